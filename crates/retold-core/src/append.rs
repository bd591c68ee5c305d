//! What a writer asks of a store: events, conditions, identity; and a restore.

use crate::error::StreamConflict;
use crate::{
    Error, EventId, LogId, NewEvent, Position, RecordedEvent, SequenceNumber, StreamId, limits,
};

/// What a writer expects of a stream before its events are appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expected {
    /// Anything.
    Any,
    /// That it has no events yet. `Sequence(0)` says the same.
    NoStream,
    /// That it has at least one event.
    StreamExists,
    /// That its newest event has this sequence number.
    Sequence(SequenceNumber),
}

impl Expected {
    /// Whether a stream whose newest event is `actual` (0 where there is none) is as expected.
    pub fn admits(self, actual: SequenceNumber) -> bool {
        match self {
            Expected::Any => true,
            Expected::NoStream => actual == 0,
            Expected::StreamExists => actual > 0,
            Expected::Sequence(expected) => actual == expected,
        }
    }
}

/// Something that must hold for an append to take place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// A stream is as expected; it may be one that the call does not write.
    Stream {
        /// The stream.
        stream: StreamId,
        /// What is expected of it.
        expected: Expected,
    },
}

/// One call: 1–1,000 events to one stream or to several, all of them or none.
#[derive(Debug, Clone)]
pub struct Append {
    events: Vec<NewEvent>,
    conditions: Vec<Condition>,
    by_retold: bool,
}

impl Append {
    /// Appends `events`, whatever the state of their streams.
    pub fn new(events: Vec<NewEvent>) -> Append {
        Append {
            events,
            conditions: Vec::new(),
            by_retold: false,
        }
    }

    /// Appends only if `stream` is as expected.
    pub fn expect(mut self, stream: StreamId, expected: Expected) -> Append {
        self.conditions.push(Condition::Stream { stream, expected });
        self
    }

    /// Allows names that start with `$`, which only Retold writes: streams that hold what a
    /// person decided, and metadata that Retold adds. Faces never pass this on.
    pub fn by_retold(mut self) -> Append {
        self.by_retold = true;
        self
    }

    /// The events, in order.
    pub fn events(&self) -> &[NewEvent] {
        &self.events
    }

    /// The conditions, in order.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The events, to be recorded.
    pub fn into_events(self) -> Vec<NewEvent> {
        self.events
    }

    /// The ids of the events, for an error.
    pub fn event_ids(&self) -> Vec<EventId> {
        self.events
            .iter()
            .map(|event| event.metadata.event_id)
            .collect()
    }

    /// Checks the form and the limits of the call. Every store calls it first.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`] name what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        if self.events.is_empty() {
            return Err(Error::invalid("events", "must hold at least one event"));
        }
        check_max("events", limits::EVENTS_PER_APPEND_MAX, self.events.len())?;
        check_max(
            "checks",
            limits::CONDITIONS_PER_APPEND_MAX,
            self.conditions.len(),
        )?;
        let mut bytes = 0;
        for event in &self.events {
            if event.stream.is_reserved() && !self.by_retold {
                return Err(Error::invalid(
                    "aggregateType",
                    "must not start with $: such streams are written by Retold only",
                ));
            }
            event.check()?;
            let reserved = |(name, _): &&(crate::Text, crate::Json)| name.starts_with('$');
            if let Some((name, _)) = event.metadata.extra.iter().find(reserved)
                && !self.by_retold
            {
                return Err(Error::invalid(
                    format!("metadata.{name}"),
                    "must not start with $: such metadata are written by Retold only",
                ));
            }
            bytes += event.bytes();
        }
        if has_repeated(self.event_ids()) {
            return Err(Error::invalid(
                "metadata.eventId",
                "must not be the same for two events of one call",
            ));
        }
        check_max("body", limits::APPEND_BYTES_MAX, bytes)
    }

    /// Decides, from the position at which each event's id is known, whether the call is new
    /// or a repetition. `recorded` holds for each event what the log keeps under its id.
    ///
    /// # Errors
    /// [`Error::IdentityConflict`] when it is neither.
    pub fn identify(&self, recorded: &[Option<RecordedEvent>]) -> Result<Identity, Error> {
        let known: Vec<EventId> = recorded
            .iter()
            .flatten()
            .map(|event| event.metadata.event_id)
            .collect();
        if known.is_empty() {
            return Ok(Identity::New);
        }
        let refuse = |reason: &str| {
            Err(Error::IdentityConflict {
                event_ids: known.clone(),
                reason: reason.to_owned(),
            })
        };
        let differs = |(event, recorded): (&NewEvent, &Option<RecordedEvent>)| {
            recorded
                .as_ref()
                .is_some_and(|recorded| !event.is_same_as(recorded))
        };
        if self.events.iter().zip(recorded).any(differs) {
            return refuse(
                "an event id is known already with another stream, event type or payload",
            );
        }
        if known.len() < self.events.len() {
            return refuse("some of the call's event ids are known already and others are not");
        }
        let positions = recorded.iter().flatten().map(|event| event.position);
        if !positions.is_sorted() {
            return refuse("the call's event ids are known already in another order");
        }
        Ok(Identity::Repeated)
    }

    /// Evaluates all conditions against the streams' heads and reports every one that fails.
    /// The head is asked once for each condition, in their order.
    ///
    /// # Errors
    /// [`Error::Conflict`] lists them.
    pub fn check_conditions(
        &self,
        mut head: impl FnMut(&StreamId) -> SequenceNumber,
    ) -> Result<(), Error> {
        let mut conflicts = Vec::new();
        for condition in &self.conditions {
            let Condition::Stream { stream, expected } = condition;
            let actual = head(stream);
            if !expected.admits(actual) {
                conflicts.push(StreamConflict {
                    stream: stream.clone(),
                    expected: *expected,
                    actual,
                });
            }
        }
        if conflicts.is_empty() {
            return Ok(());
        }
        Err(Error::Conflict {
            conflicts,
            event_ids: self.event_ids(),
        })
    }
}

fn has_repeated(mut ids: Vec<EventId>) -> bool {
    ids.sort_unstable();
    ids.windows(2).any(|pair| pair[0] == pair[1])
}

fn check_max(field: &str, max: usize, actual: usize) -> Result<(), Error> {
    if actual <= max {
        return Ok(());
    }
    Err(Error::TooLarge {
        field: field.into(),
        max,
        actual,
    })
}

/// Whether the events of a call are new to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// None of the ids is known.
    New,
    /// All of them are, with the same content and in the same order.
    Repeated,
}

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// False when the same events had been appended before; nothing was written then.
    pub is_new: bool,
    /// The events as the log keeps them, in the order of the call.
    pub events: Vec<RecordedEvent>,
}

/// A part of a log that is being moved: recorded events, in order, to be kept as they are.
///
/// A restore may be told again from its beginning or from any event: what the store has
/// already is compared and passed over. Appends are refused until the last batch is in.
#[derive(Debug, Clone)]
pub struct RestoreBatch {
    /// The log that the events come from.
    pub origin: LogId,
    /// The events, each at the position after the one before.
    pub events: Vec<RecordedEvent>,
    /// Whether this batch is the last.
    pub is_last: bool,
}

impl RestoreBatch {
    /// Checks form, limits and the order of positions within the batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`] name what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let mut previous: Option<&RecordedEvent> = None;
        for event in &self.events {
            event.clone().into_new().check()?;
            if event.position == 0 || event.sequence_number == 0 {
                return Err(Error::invalid("position", "must be counted from 1"));
            }
            if let Some(previous) = previous {
                if event.position != previous.position + 1 {
                    return Err(Error::invalid(
                        "position",
                        format!(
                            "must be {} after {}, not {}",
                            previous.position + 1,
                            previous.position,
                            event.position
                        ),
                    ));
                }
                if event.persisted_at < previous.persisted_at {
                    return Err(Error::invalid("persistedAt", "must not run backwards"));
                }
            }
            previous = Some(event);
        }
        let ids = self.events.iter().map(|event| event.metadata.event_id);
        if has_repeated(ids.collect()) {
            return Err(Error::invalid(
                "metadata.eventId",
                "must not be the same for two events",
            ));
        }
        Ok(())
    }

    /// The position that the first event must have for a store whose newest is `head`, or an
    /// error when events in between are missing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the batch begins past the position after `head`.
    pub fn check_follows(&self, head: Position) -> Result<(), Error> {
        match self.events.first() {
            Some(first) if first.position > head + 1 => Err(Error::invalid(
                "position",
                format!("must go on at {}, not at {}", head + 1, first.position),
            )),
            _ => Ok(()),
        }
    }
}
