//! What is decided about a consumer, as events of its own stream: that it exists, what it is
//! given, that it pauses, what is passed over and why.

use retold_core::{
    Append, Entry, EventId, EventStore, Expected, NewEvent, Position, SequenceNumber, StreamId,
    StreamProgress, StreamQuery, Text, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::running::shortened;
use super::settings::{ConsumerSettings, ConsumerStart, check_name};
use crate::{Error, checkpoint};

/// The type of the streams that hold what is decided; the id is the consumer's name.
pub(super) const STREAM_TYPE: &str = "$consumer";

/// Bytes of an error that are copied into the log: a thousand parked events must fit a payload.
const COPIED_ERROR_BYTES_MAX: usize = 128;

const CREATED: &str = "consumer.created";
const CHANGED: &str = "consumer.changed";
const PAUSED: &str = "consumer.paused";
const RESUMED: &str = "consumer.resumed";
const SKIPPED: &str = "consumer.skipped";
const CHECKPOINTED: &str = "consumer.checkpointed";
const RESET: &str = "consumer.reset";
const DELETED: &str = "consumer.deleted";

/// What the stream of a consumer comes to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Definition {
    pub(super) settings: ConsumerSettings,
    /// Behind which position it began, or was sent to begin anew.
    pub(super) after: Position,
    /// Why it pauses; none where it does not.
    pub(super) paused: Option<String>,
    /// How far it had come when that was last copied into the log.
    pub(super) copied: Option<Copied>,
    /// What was passed over since it began.
    pub(super) skipped: Vec<SkippedEvent>,
    /// How many events its stream has.
    pub(super) sequence: SequenceNumber,
}

/// The payload of [`CREATED`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    settings: ConsumerSettings,
    after: Position,
}

/// The payload of [`CHANGED`].
#[derive(Serialize, Deserialize)]
struct Changed {
    settings: ConsumerSettings,
}

/// The payload of [`PAUSED`].
#[derive(Serialize, Deserialize)]
struct Paused {
    reason: String,
}

/// The payload of [`RESET`].
#[derive(Serialize, Deserialize)]
struct Reset {
    after: Position,
}

/// An event that somebody decided to pass over: the payload of `consumer.skipped`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SkippedEvent {
    /// Where it is in the log.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// What its last attempt came to.
    pub error: String,
    /// Why it is passed over.
    pub reason: String,
}

/// The payload of [`CHECKPOINTED`]: how far a consumer has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Copied {
    pub(super) position: Position,
    pub(super) event_id: EventId,
    /// Streams of which more or less is finished.
    pub(super) streams: Vec<CopiedStream>,
    /// The tally of all that was finished.
    pub(super) events: u64,
    pub(super) sum: u64,
}

/// A stream of which more or less is finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CopiedStream {
    aggregate_type: String,
    aggregate_id: String,
    next: SequenceNumber,
    through: Position,
    blocked: Option<CopiedBlocked>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CopiedBlocked {
    position: Position,
    event_id: EventId,
    attempts: u32,
    is_parked: bool,
    error: String,
    failed_at: Timestamp,
}

impl CopiedStream {
    pub(super) fn of(progress: &StreamProgress) -> CopiedStream {
        CopiedStream {
            aggregate_type: progress.stream.aggregate_type().to_string(),
            aggregate_id: progress.stream.aggregate_id().to_string(),
            next: progress.next,
            through: progress.through,
            blocked: progress.blocked.as_ref().map(|blocked| CopiedBlocked {
                position: blocked.position,
                event_id: blocked.event_id,
                attempts: blocked.attempts,
                is_parked: blocked.is_parked,
                error: shortened(blocked.error.clone(), COPIED_ERROR_BYTES_MAX).to_string(),
                failed_at: blocked.failed_at,
            }),
        }
    }

    pub(super) fn progress(&self) -> Result<StreamProgress, retold_core::Error> {
        let stream = StreamId::new(self.aggregate_type.clone(), self.aggregate_id.clone())?;
        Ok(StreamProgress {
            stream,
            next: self.next,
            through: self.through,
            blocked: self.blocked.as_ref().map(|blocked| retold_core::Blocked {
                position: blocked.position,
                event_id: blocked.event_id,
                attempts: blocked.attempts,
                is_parked: blocked.is_parked,
                error: blocked.error.clone().into(),
                failed_at: blocked.failed_at,
            }),
        })
    }
}

/// The stream of a consumer.
pub(super) fn stream_of(name: &Text) -> Result<StreamId, retold_core::Error> {
    check_name(name)?;
    StreamId::new(STREAM_TYPE, name.clone())
}

/// Reads what is decided about a consumer; none where there is none, and how many events its
/// stream has.
pub(super) async fn read(
    store: &dyn EventStore,
    name: &Text,
) -> Result<(Option<Definition>, SequenceNumber), Error> {
    let mut query = StreamQuery::new(stream_of(name)?);
    let mut definition = None;
    let mut sequence = 0;
    loop {
        let page = store.read_stream(query.clone()).await?;
        for entry in page.entries {
            let Entry::Event(event) = entry else { continue };
            sequence = event.sequence_number;
            let decoded = apply(&mut definition, &event);
            decoded.map_err(|error| retold_core::Error::invalid("payload", error.to_string()))?;
            if let Some(definition) = &mut definition {
                definition.sequence = sequence;
            }
        }
        match page.next {
            Some(next) => query = query.continued(next),
            None => return Ok((definition, sequence)),
        }
    }
}

fn apply(
    definition: &mut Option<Definition>,
    event: &retold_core::RecordedEvent,
) -> Result<(), retold_core::JsonError> {
    let payload = &event.payload;
    match (&*event.event_type, definition.as_mut()) {
        (CREATED, _) => {
            let Created { settings, after } = payload.decode()?;
            *definition = Some(Definition {
                settings,
                after,
                paused: None,
                copied: None,
                skipped: Vec::new(),
                sequence: 0,
            });
        }
        (DELETED, _) => *definition = None,
        (CHANGED, Some(kept)) => kept.settings = payload.decode::<Changed>()?.settings,
        (PAUSED, Some(kept)) => kept.paused = Some(payload.decode::<Paused>()?.reason),
        (RESUMED, Some(kept)) => kept.paused = None,
        (CHECKPOINTED, Some(kept)) => kept.copied = Some(payload.decode()?),
        (SKIPPED, Some(kept)) => kept.skipped.push(payload.decode()?),
        (RESET, Some(kept)) => {
            kept.after = payload.decode::<Reset>()?.after;
            kept.copied = None;
            kept.skipped.clear();
        }
        _ => {}
    }
    Ok(())
}

/// Appends one decision; `expected` is that of the stream.
async fn decide(
    store: &dyn EventStore,
    name: &Text,
    event_type: &'static str,
    payload: &impl Serialize,
    expected: Expected,
) -> Result<(), Error> {
    let stream = stream_of(name)?;
    let event = NewEvent::new(stream.clone(), event_type, payload)?;
    let append = Append::new(vec![event]).expect(stream, expected);
    store.append(append.by_retold()).await?;
    Ok(())
}

fn at(sequence: SequenceNumber) -> Expected {
    match sequence {
        0 => Expected::NoStream,
        sequence => Expected::Sequence(sequence),
    }
}

/// Makes a consumer that does not exist.
pub(super) async fn create(
    store: &dyn EventStore,
    name: &Text,
    settings: &ConsumerSettings,
    sequence: SequenceNumber,
) -> Result<(), Error> {
    settings.check()?;
    let created = Created {
        settings: settings.clone(),
        after: position_of(store, settings.start).await?,
    };
    decide(store, name, CREATED, &created, at(sequence)).await
}

/// Gives a consumer other settings.
pub(super) async fn change(
    store: &dyn EventStore,
    name: &Text,
    settings: &ConsumerSettings,
    sequence: SequenceNumber,
) -> Result<(), Error> {
    settings.check()?;
    let settings = settings.clone();
    decide(store, name, CHANGED, &Changed { settings }, at(sequence)).await
}

pub(super) async fn pause(store: &dyn EventStore, name: &Text, reason: &str) -> Result<(), Error> {
    let reason = reason.to_owned();
    decide(
        store,
        name,
        PAUSED,
        &Paused { reason },
        Expected::StreamExists,
    )
    .await
}

pub(super) async fn resume(store: &dyn EventStore, name: &Text) -> Result<(), Error> {
    let nothing = serde_json::json!({});
    decide(store, name, RESUMED, &nothing, Expected::StreamExists).await
}

pub(super) async fn delete(store: &dyn EventStore, name: &Text) -> Result<(), Error> {
    let nothing = serde_json::json!({});
    decide(store, name, DELETED, &nothing, Expected::StreamExists).await
}

/// Notes that an event is passed over, before it is.
pub(super) async fn skip(
    store: &dyn EventStore,
    name: &Text,
    blocked: &retold_core::Blocked,
    reason: &str,
) -> Result<(), Error> {
    let skipped = SkippedEvent {
        position: blocked.position,
        event_id: blocked.event_id,
        error: blocked.error.to_string(),
        reason: reason.to_owned(),
    };
    decide(store, name, SKIPPED, &skipped, Expected::StreamExists).await
}

/// Sends a consumer to begin anew behind a position.
pub(super) async fn reset(
    store: &dyn EventStore,
    name: &Text,
    after: Position,
) -> Result<(), Error> {
    let reset = Reset { after };
    decide(store, name, RESET, &reset, Expected::StreamExists).await
}

/// Copies how far a consumer has come into the log.
pub(super) async fn copy(
    store: &dyn EventStore,
    name: &Text,
    copied: &Copied,
) -> Result<(), Error> {
    decide(store, name, CHECKPOINTED, copied, Expected::StreamExists).await
}

/// Behind which position a new consumer begins.
pub(super) async fn position_of(
    store: &dyn EventStore,
    start: ConsumerStart,
) -> Result<Position, Error> {
    let head = store.head().await?.position;
    match start {
        ConsumerStart::Beginning => Ok(0),
        ConsumerStart::Now => Ok(head),
        ConsumerStart::After(position) if position > head => {
            let reason = format!("must not be past the head of the log, {head}");
            Err(retold_core::Error::invalid("start", reason).into())
        }
        ConsumerStart::After(position) => Ok(position),
        ConsumerStart::At(moment) => {
            // Dates never run backwards, so that the first one is found by halving.
            let (mut before, mut from) = (0, head + 1);
            while from - before > 1 {
                let middle = before + (from - before) / 2;
                match recorded_at(store, middle).await? {
                    Some(date) if date >= moment => from = middle,
                    _ => before = middle,
                }
            }
            Ok(before)
        }
    }
}

async fn recorded_at(
    store: &dyn EventStore,
    position: Position,
) -> Result<Option<Timestamp>, Error> {
    Ok(checkpoint::event_at(store, position)
        .await?
        .map(|event| event.persisted_at))
}
