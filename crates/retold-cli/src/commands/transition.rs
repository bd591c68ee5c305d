//! `retold transition`: moves something from one state to the next. What the command line leaves
//! out is read from the state and the machine first; the service judges the whole all the same.

use axum::http::Method;
use serde_json::{Value, json};

use super::append::{About, json_of};
use crate::arguments::Stream;
use crate::client::{Client, Failure, JSON, Kind, Path, parsed};
use crate::output::{Output, shown};

const EXAMPLES: &str = "\
Examples:
  retold transition Issue/42 start_work --actor ana --reason 'Starting implementation'
  retold transition Issue/42 block --from IN_PROGRESS --to BLOCKED
  retold state Issue/42                         which transitions there are now

Exit code 3 says that the machine does not allow it in the current state, or that somebody was
faster; the message says what is possible instead.";

/// Takes a transition of a state machine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Transition {
    /// The stream, as TYPE/ID.
    stream: Stream,

    /// The transition's name, such as start_work.
    event: String,

    /// The state it leads out of; the current one unless told otherwise.
    #[arg(long, value_name = "STATE")]
    from: Option<String>,

    /// The state it leads to; where the name leads unless told otherwise.
    #[arg(long, value_name = "STATE")]
    to: Option<String>,

    /// Why.
    #[arg(long)]
    reason: Option<String>,

    /// Anything else that is worth keeping, as JSON.
    #[arg(long, value_name = "JSON")]
    context: Option<String>,

    #[command(flatten)]
    about: About,
}

impl Transition {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let event_id = self.about.event_id();
        let (from, to) = match (&self.from, &self.to) {
            (Some(from), Some(to)) => (Some(from.clone()), to.clone()),
            _ => self.found(client).await?,
        };
        let mut fields = json!({
            "fromState": from,
            "toState": to,
            "event": self.event,
            "eventId": event_id,
        });
        for (name, value) in self.about.fields() {
            fields[name] = json!(value);
        }
        if let Some(reason) = &self.reason {
            fields["reason"] = json!(reason);
        }
        if let Some(expected) = self.about.expected() {
            fields["expected"] = expected;
        }
        let mut body = fields.to_string();
        if let Some(context) = self.context {
            // Its own spelling stays.
            let context = json_of("--context", context)?;
            body.pop();
            body.push_str(&format!(",\"context\":{context}}}"));
        }
        let path = Path::of_stream(&self.stream, &["transitions"]);
        let answer = client
            .write(Method::POST, path.as_str(), JSON, body, &[event_id])
            .await?;
        if output.json {
            return output.line(answer);
        }
        let answer: Value = parsed(&answer)?;
        let event = &answer["event"];
        let known = match answer["isNew"].as_bool() {
            Some(false) => ", as it was before",
            _ => "",
        };
        output.line(format!(
            "{}/{} is {} (was {}), at {}, event id {}{known}",
            self.stream.aggregate_type,
            self.stream.aggregate_id,
            shown(&event["payload"]["toState"]),
            shown(&event["payload"]["fromState"]),
            shown(&event["sequenceNumber"]),
            shown(&event["metadata"]["eventId"]),
        ))
    }

    /// The states that were not given: from the current state, or from the machine where there
    /// is no event yet.
    async fn found(&self, client: &Client) -> anyhow::Result<(Option<String>, String)> {
        let path = Path::of_stream(&self.stream, &["state"]).with("transitions", true);
        let (current, leads_to) = match client.get_as::<Value>(path.as_str()).await {
            Ok(state) => {
                let leads_to = self.named(&state["availableTransitions"], "event", "toState");
                (text(&state["status"]), leads_to)
            }
            Err(error) if Failure::is_not_found(&error) => {
                let path = Path::new(&["machines", &self.stream.aggregate_type]);
                let machine: Value = client.get_as(path.as_str()).await?;
                let mut rules = machine["transitions"].clone();
                if let Some(rules) = rules.as_array_mut() {
                    rules.retain(|rule| holds(&rule["from"], &machine["initial"]));
                }
                (text(&machine["initial"]), self.named(&rules, "name", "to"))
            }
            Err(error) => return Err(error),
        };
        let from = self.from.clone().or(current);
        match self.to.clone().or(leads_to) {
            Some(to) => Ok((from, to)),
            None => {
                let stream = &self.stream;
                let message = format!(
                    "take {} from {}: no transition of that name leads out of it",
                    self.event,
                    from.as_deref().unwrap_or("the initial state"),
                );
                let hint = format!(
                    "retold state {}/{} --transitions",
                    stream.aggregate_type, stream.aggregate_id
                );
                Err(Failure::new(Kind::Conflict, message).hint(hint).into())
            }
        }
    }

    /// Where the transition of this name leads, among those of a list.
    fn named(&self, rules: &Value, name: &str, to: &str) -> Option<String> {
        let mut rules = rules.as_array()?.iter();
        let wanted = Value::from(self.event.as_str());
        let rule = rules.find(|rule| rule[name] == wanted || holds(&rule["aliases"], &wanted))?;
        text(&rule[to])
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn holds(list: &Value, wanted: &Value) -> bool {
    list.as_array().is_some_and(|list| list.contains(wanted))
}
