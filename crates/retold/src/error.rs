//! The error of the library: that of the store, and what is refused above it.

use std::fmt;
use std::sync::Arc;

use retold_core::{EventId, Position, SequenceNumber, StreamId};

use crate::machine::{AvailableTransition, MachineError, Refusal};
use crate::upcasters::{UpcastError, UpcastersError};

/// What a reducer may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong. Each message finishes the sentence "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's answer; its kinds say what each asks of the caller.
    #[error(transparent)]
    Store(#[from] retold_core::Error),

    /// The machine does not allow the transition in the current state. Nothing was written.
    #[error("{0}")]
    IllegalTransition(Box<IllegalTransition>),

    /// A transition was asked of a type without a machine. Nothing was written.
    #[error(
        "find a machine for the type {aggregate_type}; add one, or record the event with a plain append"
    )]
    UnknownMachine {
        /// The aggregate type.
        aggregate_type: String,
    },

    /// A plain append used the name of a transition. Nothing was written.
    #[error(
        "append {event_type} to a stream of the type {aggregate_type}: it is the name of a transition; ask for the transition instead"
    )]
    TransitionName {
        /// The aggregate type.
        aggregate_type: String,
        /// The event type, which is a name or an alias of a transition.
        event_type: String,
        /// The ids of the events that were refused.
        event_ids: Vec<EventId>,
    },

    /// Other writers were faster in each attempt to carry a command out. Nothing was written; it
    /// may be tried again.
    #[error(
        "execute a command of {}: other writers were faster in each of {attempts} attempts; nothing was written, try again",
        listed(streams)
    )]
    Contended {
        /// The streams that the command concerns.
        streams: Vec<StreamId>,
        /// How often it was tried.
        attempts: usize,
    },

    /// A machine is not well formed.
    #[error(transparent)]
    Machine(#[from] MachineError),

    /// A reducer could not fold an event in.
    #[error(
        "fold event {sequence_number} of {stream} with the reducer {reducer}: {source}; correct the reducer and replay"
    )]
    Reducer {
        /// The reducer's name.
        reducer: String,
        /// The stream.
        stream: StreamId,
        /// The event's place in it.
        sequence_number: SequenceNumber,
        /// What the reducer said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// The log is not the one that a consumer read before: it was replaced, or restored from an
    /// older copy.
    #[error(
        "go on with the consumer {consumer}: the log is not the one that it had read through \
         position {position}; reset the consumer to where it is to begin"
    )]
    ConsumerLog {
        /// The consumer's name.
        consumer: String,
        /// How far it had read.
        position: Position,
    },

    /// The rows of a projection are asked for while its first version is being built.
    #[error(
        "read the projection {projection}: it is being built, and has come through position \
         {complete_through} of {head}; try again once it has caught up"
    )]
    NotCaughtUp {
        /// The projection's name.
        projection: String,
        /// How far it has come.
        complete_through: Position,
        /// The head of the log.
        head: Position,
    },

    /// Upcasters cannot be used together.
    #[error(transparent)]
    Upcasters(Box<UpcastersError>),

    /// An event could not be turned into what today's code would have written.
    #[error("upcast event {sequence_number} of {stream} (position {position}): {source}")]
    Upcast {
        /// The stream.
        stream: StreamId,
        /// The event's place in it.
        sequence_number: SequenceNumber,
        /// Its place in the log.
        position: Position,
        /// Why.
        source: Box<UpcastError>,
    },
}

impl From<UpcastersError> for Error {
    fn from(error: UpcastersError) -> Error {
        Error::Upcasters(Box::new(error))
    }
}

impl Error {
    /// The ids of the events that the error is about, where it is about some.
    pub fn event_ids(&self) -> &[EventId] {
        match self {
            Error::Store(error) => error.event_ids(),
            Error::TransitionName { event_ids, .. } => event_ids,
            _ => &[],
        }
    }
}

/// A transition that was refused, and what could be done instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IllegalTransition {
    /// The stream.
    pub stream: StreamId,
    /// The state that it is in.
    pub current_state: String,
    /// The state that the caller believed it to be in; none for "no transition yet".
    pub from_state: Option<String>,
    /// The state asked for.
    pub to_state: String,
    /// The name of the transition asked for.
    pub event: String,
    /// Why it was refused.
    pub refusal: Refusal,
    /// What leads out of the current state.
    pub available_transitions: Vec<AvailableTransition>,
}

impl fmt::Display for IllegalTransition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from_state.as_deref().unwrap_or("its initial state");
        write!(
            f,
            "move {} from {from} to {} by {}: {}; it is {}, ",
            self.stream, self.to_state, self.event, self.refusal, self.current_state
        )?;
        let available: Vec<String> = self
            .available_transitions
            .iter()
            .map(|available| format!("{} (to {})", available.event, available.to_state))
            .collect();
        match available.as_slice() {
            [] => f.write_str("which no transition leads out of"),
            available => write!(f, "from where it can {}", available.join(", ")),
        }
    }
}

fn listed(streams: &[StreamId]) -> String {
    let streams: Vec<String> = streams.iter().map(StreamId::to_string).collect();
    streams.join(" and ")
}

/// What a read of a stream without events answers.
pub(crate) fn unknown_stream(stream: &StreamId) -> Error {
    Error::Store(retold_core::Error::NotFound {
        what: format!("stream {stream}"),
    })
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("with something that is no text")
}
