//! The one error that stores answer with. Each kind asks something different of the caller.

use std::fmt;
use std::sync::Arc;

use crate::{EventId, Position, StreamId};

use crate::SequenceNumber;
use crate::append::Expected;

/// What went wrong in a store. Each message finishes the sentence "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A stream is not where the caller expected it: read the events in between, decide again.
    #[error(
        "append: {}; read the events in between and decide again{}",
        listed(conflicts),
        with_ids(event_ids)
    )]
    Conflict {
        /// Every condition that failed, in the order of the call.
        conflicts: Vec<StreamConflict>,
        /// The ids of the events that were refused.
        event_ids: Vec<EventId>,
    },

    /// An event id is known already with other content; a new event needs an id of its own.
    #[error("append: {reason}{}", with_ids(event_ids))]
    IdentityConflict {
        /// The ids that are known already.
        event_ids: Vec<EventId>,
        /// What differs.
        reason: String,
    },

    /// There is no such thing.
    #[error("find {what}")]
    NotFound {
        /// What was looked for, such as `stream Issue/42`.
        what: String,
    },

    /// A value is malformed.
    #[error("accept {field}: {reason}")]
    Invalid {
        /// The JSON name of the field, such as `metadata.correlationId`.
        field: String,
        /// What it must be.
        reason: String,
    },

    /// A value exceeds a limit of [`crate::limits`].
    #[error("accept {field}: {actual} is over the limit of {max}")]
    TooLarge {
        /// The JSON name of what is too large, such as `payload`.
        field: String,
        /// The limit, in bytes or in number.
        max: usize,
        /// What was given; for what is counted only up to its limit, one more than that.
        actual: usize,
    },

    /// Nothing was written and nothing was sent: try again.
    #[error(
        "proceed now: {reason}; nothing was written, try again{}",
        with_ids(event_ids)
    )]
    Busy {
        /// What stands in the way.
        reason: String,
        /// The ids of the events that were not written.
        event_ids: Vec<EventId>,
    },

    /// There is no room; nothing was written. Appends go on when there is room again.
    #[error(
        "write: no room on the disk; nothing was written, free some and try again{}",
        with_ids(event_ids)
    )]
    Full {
        /// The ids of the events that were not written.
        event_ids: Vec<EventId>,
    },

    /// The events may or may not have been written: append them again with the same ids.
    #[error(
        "learn whether the append took place ({reason}); append again with the same event ids{}",
        with_ids(event_ids)
    )]
    UnknownOutcome {
        /// What happened.
        reason: String,
        /// The ids to append again with.
        event_ids: Vec<EventId>,
    },

    /// Something that was written cannot be read back as it was.
    #[error("rely on what was written: {damage}; {advice}")]
    Corrupt {
        /// Where.
        damage: Box<Damage>,
        /// What to run.
        advice: String,
    },

    /// An earlier write failed in a way that leaves the disk's content unknown. Nothing was
    /// written by this call; reading goes on; a restart recovers.
    #[error(
        "append: an earlier write failed ({cause}); nothing was written, restart to recover{}",
        with_ids(event_ids)
    )]
    Poisoned {
        /// The failure that poisoned the store.
        cause: String,
        /// The ids of the events that were not written.
        event_ids: Vec<EventId>,
    },

    /// This store does not offer what was asked for; see [`crate::Capabilities`].
    #[error("use {what}: this store does not offer it")]
    Unsupported {
        /// What was asked for.
        what: String,
    },

    /// A restore was asked of a store that holds other events already.
    #[error(
        "restore: the store holds events already (head {head}); restore into an empty one, or append"
    )]
    NotEmpty {
        /// The position of the newest event.
        head: Position,
    },

    /// The operating system refused to read or write.
    #[error("{action}: {source}")]
    Io {
        /// What was being done, such as `read the log`.
        action: String,
        /// What the system answered.
        source: Arc<std::io::Error>,
    },
}

impl Error {
    /// An [`Error::Invalid`] for `field`.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// An [`Error::Io`] for what was being done.
    pub fn io(action: impl Into<String>, source: std::io::Error) -> Error {
        Error::Io {
            action: action.into(),
            source: Arc::new(source),
        }
    }

    /// An [`Error::Corrupt`] for a damage, with what to do about it.
    pub fn corrupt(damage: Damage, advice: impl Into<String>) -> Error {
        Error::Corrupt {
            damage: Box::new(damage),
            advice: advice.into(),
        }
    }

    /// The ids of the events that the error is about, where it is about some.
    pub fn event_ids(&self) -> &[EventId] {
        match self {
            Error::Conflict { event_ids, .. }
            | Error::IdentityConflict { event_ids, .. }
            | Error::Busy { event_ids, .. }
            | Error::Full { event_ids }
            | Error::UnknownOutcome { event_ids, .. }
            | Error::Poisoned { event_ids, .. } => event_ids,
            _ => &[],
        }
    }
}

/// One condition on a stream that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamConflict {
    /// The stream.
    pub stream: StreamId,
    /// What the caller expected of it.
    pub expected: Expected,
    /// The sequence number of its newest event; 0 where there is no such stream.
    pub actual: SequenceNumber,
}

impl fmt::Display for StreamConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamConflict {
            stream,
            expected,
            actual,
        } = self;
        match expected {
            Expected::Any => write!(f, "stream {stream} is at {actual}"),
            Expected::NoStream => write!(f, "stream {stream} exists, at {actual}"),
            Expected::StreamExists => write!(f, "stream {stream} does not exist"),
            Expected::Sequence(expected) => {
                write!(f, "stream {stream} is at {actual}, not at {expected}")
            }
        }
    }
}

/// Where something that was written cannot be read back as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Damage {
    /// The position of the first event concerned, where it is known.
    pub position: Option<Position>,
    /// The stream concerned, where it is known.
    pub stream: Option<StreamId>,
    /// File and offset, for the operator; never shown to a client of a service.
    pub place: Option<String>,
    /// What does not fit.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(position) = self.position {
            write!(f, ", position {position}")?;
        }
        if let Some(stream) = &self.stream {
            write!(f, ", stream {stream}")?;
        }
        if let Some(place) = &self.place {
            write!(f, ", {place}")?;
        }
        Ok(())
    }
}

fn listed(conflicts: &[StreamConflict]) -> String {
    let conflicts: Vec<String> = conflicts.iter().map(StreamConflict::to_string).collect();
    conflicts.join(", ")
}

fn with_ids(event_ids: &[EventId]) -> String {
    match event_ids {
        [] => String::new(),
        [id] => format!(" (event id {id})"),
        [first, .., last] => format!(" ({} event ids, {first} to {last})", event_ids.len()),
    }
}
