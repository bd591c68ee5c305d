//! Takes each line of a file as a transition, which the service judges: the lines of one stream
//! one after the other, streams side by side.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Mutex;

use axum::http::Method;
use futures::future::{join, try_join_all};
use retold::{Json, Machine, RecordedEvent, StreamId};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::outcome::Outcome;
use crate::arguments::Stream;
use crate::client::{Client, Failure, JSON, Kind, Path, parsed};
use crate::import::{self, Event, Item, Items, expected, own_metadata};
use crate::output::Progress;

/// Streams that are worked on side by side: enough to share syncs of the log.
const WORKERS: usize = 32;

/// Lines that wait for a worker: a case whose lines lie together must not keep the others idle.
const WAITING_MAX: usize = 64;

/// The names in the payload of a recorded transition.
const PAYLOAD_NAMES: [&str; 5] = ["fromState", "toState", "event", "context", "reason"];

/// Takes the lines of a file as transitions; ends at the first refused one if told so.
pub(super) async fn send(
    client: &Client,
    items: Items,
    is_strict: bool,
    read: &import::Progress,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let outcome = Mutex::new(Outcome::default());
    // One after the other, where nothing may happen behind a refused line.
    let count = if is_strict { 1 } else { WORKERS };
    let (queues, workers): (Vec<_>, Vec<_>) = (0..count)
        .map(|_| {
            let (queue, lines) = mpsc::channel(if is_strict { 1 } else { WAITING_MAX });
            let worker = Worker {
                client,
                machines: HashMap::new(),
                streams: HashMap::new(),
            };
            (queue, worker.run(lines, &outcome, is_strict))
        })
        .unzip();
    let (sending, mut lines) = mpsc::channel(WAITING_MAX);
    let reading = tokio::task::spawn_blocking(move || {
        for item in items {
            if sending.blocking_send(item).is_err() {
                return;
            }
        }
    });
    let deal = async move {
        while let Some(item) = lines.recv().await {
            progress.set(read.bytes_read());
            let item = item?;
            let worker = match &item {
                Item::Event(event) => hash(&event.import.event.stream) as usize % queues.len(),
                Item::Refused { .. } => 0,
            };
            // A worker that stopped has ended the import.
            if queues[worker].send(item).await.is_err() {
                break;
            }
        }
        anyhow::Ok(())
    };
    let (dealt, worked) = join(deal, try_join_all(workers)).await;
    drop(reading);
    worked?;
    dealt?;
    Ok(outcome
        .into_inner()
        .unwrap_or_else(|error| error.into_inner()))
}

fn hash(stream: &StreamId) -> u64 {
    let mut hasher = DefaultHasher::new();
    stream.hash(&mut hasher);
    hasher.finish()
}

/// Takes the transitions of some of the streams.
struct Worker<'a> {
    client: &'a Client,
    machines: HashMap<String, Option<Machine>>,
    streams: HashMap<StreamId, Standing>,
}

/// Where a stream stands.
struct Standing {
    /// None before the first transition.
    status: Option<String>,
    /// Whether it had events before this import, so that its lines may be known.
    was_there: bool,
}

/// What became of a line.
enum Taken {
    New,
    Known,
    PassedOver,
    Refused(String),
}

impl Worker<'_> {
    async fn run(
        mut self,
        mut lines: mpsc::Receiver<Item>,
        outcome: &Mutex<Outcome>,
        is_strict: bool,
    ) -> anyhow::Result<()> {
        while let Some(item) = lines.recv().await {
            let (line, taken) = match item {
                Item::Event(event) => (event.line, self.take(&event).await?),
                Item::Refused { line, reason } => (line, Taken::Refused(reason)),
            };
            let mut outcome = outcome.lock().unwrap_or_else(|error| error.into_inner());
            match taken {
                Taken::New => outcome.new += 1,
                Taken::Known => outcome.known += 1,
                Taken::PassedOver => outcome.passed_over += 1,
                Taken::Refused(reason) => outcome.refuse(line, reason),
            }
            if is_strict && outcome.refused > 0 {
                break;
            }
        }
        Ok(())
    }

    async fn take(&mut self, event: &Event) -> anyhow::Result<Taken> {
        if event.is_reserved() {
            return Ok(Taken::PassedOver);
        }
        let new = &event.import.event;
        let stream = &new.stream;
        let said = match Said::of(&new.event_type, &new.payload) {
            Ok(said) => said,
            Err(reason) => return Ok(Taken::Refused(reason)),
        };
        let Some(initial) = self.initial(stream.aggregate_type()).await? else {
            let reason = format!(
                "find a state machine for {}, which --machine check needs: retold machines add",
                stream.aggregate_type()
            );
            return Ok(Taken::Refused(reason));
        };
        if !self.streams.contains_key(stream) {
            let standing = self.standing(stream).await?;
            self.streams.insert(stream.detached(), standing);
        }
        let standing = &self.streams[stream];
        let known = match standing.was_there {
            true => self.recorded(&new.metadata.event_id.to_string()).await?,
            false => None,
        };
        // A known line is sent as it was then; the service compares the two.
        let (from, to) = match known.as_ref().and_then(states) {
            Some(states) => states,
            None => {
                let status = standing.status.clone().unwrap_or(initial);
                let to = said.to.clone();
                let to = to.or_else(|| self.leads_to(stream, &status, &said.event));
                match to {
                    Some(to) => (said.from.clone().unwrap_or(status), to),
                    None => return Ok(Taken::Refused(self.no_way(stream, &status, &said.event))),
                }
            }
        };
        let to_state = to.clone();
        let body = request(event, said, from, to);
        let path = Path::of_stream(&arguments(stream), &["transitions"]);
        let ids = [new.metadata.event_id.to_string()];
        let answer = self
            .client
            .write(Method::POST, path.as_str(), JSON, body, &ids);
        match answer.await {
            Ok(answer) => {
                let answer: Value = parsed(&answer)?;
                if answer["isNew"] == json!(false) {
                    return Ok(Taken::Known);
                }
                if let Some(standing) = self.streams.get_mut(stream) {
                    standing.status = Some(to_state);
                }
                Ok(Taken::New)
            }
            Err(error) => {
                // Somebody else may write the stream, too.
                self.streams.remove(stream);
                refusal(error)
            }
        }
    }

    /// The initial state of a type's machine; none where it has none.
    async fn initial(&mut self, aggregate_type: &str) -> anyhow::Result<Option<String>> {
        if !self.machines.contains_key(aggregate_type) {
            let path = Path::new(&["machines", aggregate_type]);
            let machine = match self.client.get_toml(path.as_str()).await {
                Ok(toml) => Some(Machine::from_toml(&toml)?),
                Err(error) if Failure::is_not_found(&error) => None,
                Err(error) => return Err(error),
            };
            self.machines.insert(aggregate_type.to_owned(), machine);
        }
        let machine = self.machines[aggregate_type].as_ref();
        Ok(machine.map(|machine| machine.initial().to_owned()))
    }

    async fn standing(&self, stream: &StreamId) -> anyhow::Result<Standing> {
        let path = Path::of_stream(&arguments(stream), &["state"]);
        match self.client.get_as::<Value>(path.as_str()).await {
            Ok(state) => Ok(Standing {
                status: state["status"].as_str().map(str::to_owned),
                was_there: true,
            }),
            Err(error) if Failure::is_not_found(&error) => Ok(Standing {
                status: None,
                was_there: false,
            }),
            Err(error) => Err(error),
        }
    }

    async fn recorded(&self, event_id: &str) -> anyhow::Result<Option<RecordedEvent>> {
        let path = Path::new(&["events", event_id]);
        match self.client.get_as(path.as_str()).await {
            Ok(event) => Ok(Some(event)),
            Err(error) if Failure::is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn machine(&self, stream: &StreamId) -> Option<&Machine> {
        self.machines.get(&**stream.aggregate_type())?.as_ref()
    }

    /// Where the transition of a name leads from a state.
    fn leads_to(&self, stream: &StreamId, status: &str, event: &str) -> Option<String> {
        let ways = self.machine(stream)?.available_from(status);
        let mut ways = ways.into_iter();
        let way = ways.find(|way| way.event == event || way.aliases.iter().any(|a| a == event))?;
        Some(way.to_state)
    }

    fn no_way(&self, stream: &StreamId, status: &str, event: &str) -> String {
        let machine = self.machine(stream);
        if machine.is_some_and(|machine| !machine.is_transition_name(event)) {
            return format!(
                "take {event}: {} has no transition of that name; --machine trust records such \
                 events as they are",
                stream.aggregate_type()
            );
        }
        let ways = machine.map(|machine| machine.available_from(status));
        let ways: Vec<String> = ways.into_iter().flatten().map(|way| way.event).collect();
        let ways = match ways.as_slice() {
            [] => "nothing".to_owned(),
            ways => ways.join(", "),
        };
        format!("take {event} from {status}; possible there: {ways}")
    }
}

/// What a line says of its transition.
struct Said {
    event: String,
    from: Option<String>,
    to: Option<String>,
    reason: Option<String>,
    /// As JSON, in its own spelling.
    context: Option<Json>,
}

impl Said {
    /// A payload with `toState` has the form in which transitions are recorded; any other is
    /// what is known beside it.
    fn of(event_type: &str, payload: &Json) -> Result<Said, String> {
        let mut said = Said {
            event: event_type.to_owned(),
            from: None,
            to: None,
            reason: None,
            context: None,
        };
        let fields: Map<String, Value> = payload.decode().unwrap_or_default();
        if !fields.contains_key("toState") {
            let is_empty = matches!(payload.as_str(), "null" | "{}");
            said.context = (!is_empty).then(|| payload.clone());
            return Ok(said);
        }
        let unknown = fields
            .keys()
            .find(|name| !PAYLOAD_NAMES.contains(&name.as_str()));
        if let Some(name) = unknown {
            return Err(format!(
                "read its payload as a transition: it holds {name:?} beside toState; put it into \
                 context"
            ));
        }
        let text = |name: &str| match &fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!(
                "read its payload as a transition: {name} is not a text"
            )),
        };
        said.from = text("fromState")?;
        said.to = text("toState")?;
        said.reason = text("reason")?;
        said.event = text("event")?.unwrap_or(said.event);
        if fields.contains_key("context") {
            // Decoded by itself, since its own spelling stays.
            #[derive(serde::Deserialize)]
            struct Context {
                context: Json,
            }
            let context = payload.decode::<Context>();
            said.context = Some(context.map_err(|error| error.to_string())?.context);
        }
        Ok(said)
    }
}

/// The states of a transition that was recorded.
fn states(recorded: &RecordedEvent) -> Option<(String, String)> {
    let payload: Map<String, Value> = recorded.payload.decode().ok()?;
    let text = |name: &str| payload.get(name)?.as_str().map(str::to_owned);
    Some((text("fromState")?, text("toState")?))
}

/// The body of the request.
fn request(event: &Event, said: Said, from: String, to: String) -> String {
    let new = &event.import.event;
    let mut fields = json!({
        "fromState": from,
        "toState": to,
        "event": said.event,
        "tags": new.tags.iter().map(|tag| &**tag).collect::<Vec<_>>(),
    });
    if let Some(reason) = said.reason {
        fields["reason"] = json!(reason);
    }
    if let Some(wanted) = event.import.expected {
        fields["expected"] = expected(wanted);
    }
    let mut body = fields.to_string();
    body.pop();
    let metadata = serde_json::to_string(&own_metadata(new)).unwrap_or_else(|_| "{}".into());
    body.push_str(&format!(",\"metadata\":{metadata}"));
    if let Some(context) = said.context {
        body.push_str(&format!(",\"context\":{}", context.as_str()));
    }
    body.push('}');
    body
}

fn arguments(stream: &StreamId) -> Stream {
    Stream {
        aggregate_type: stream.aggregate_type().to_string(),
        aggregate_id: stream.aggregate_id().to_string(),
    }
}

/// What the service refused is about the line; anything else ends the import.
fn refusal(error: anyhow::Error) -> anyhow::Result<Taken> {
    match error.downcast_ref::<Failure>() {
        Some(failure) if failure.is_refusal() && failure.kind != Kind::Damage => {
            Ok(Taken::Refused(failure.to_string()))
        }
        _ => Err(error),
    }
}
