//! The one table from errors to HTTP: each code with its status and title, and which error has
//! which code. What it says is for the caller: no path, no SQL, no type of ours.

use axum::http::StatusCode;
use retold::{Error, Expected, IllegalTransition, MachineError, StoreError, StreamConflict};
use serde_json::{Value, json};

use super::Problem;

/// Defines [`Code`] from its table.
macro_rules! codes {
    ($($variant:ident $status:ident $name:literal $title:literal $hint:expr;)*) => {
        /// What kind of problem it is. The names are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $(#[doc = $title] $variant,)* }

        impl Code {
            /// All of them.
            pub(crate) const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The status that it is answered with.
            pub(crate) fn status(self) -> StatusCode {
                match self { $(Code::$variant => StatusCode::$status,)* }
            }

            /// Its stable name.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// What it is in a few words.
            pub(crate) fn title(self) -> &'static str {
                match self { $(Code::$variant => $title,)* }
            }

            /// What to do next, where that is always the same.
            pub(crate) fn hint(self) -> Option<&'static str> {
                match self { $(Code::$variant => $hint,)* }
            }
        }
    };
}

codes! {
    Invalid BAD_REQUEST "invalid" "A value is malformed" None;
    Forbidden FORBIDDEN "forbidden" "The host or the site is not served" None;
    NotFound NOT_FOUND "not_found" "There is no such thing" None;
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed" "The method is not offered here"
        Some("the header Allow lists those that are");
    NotAcceptable NOT_ACCEPTABLE "not_acceptable" "No form that is accepted is offered" None;
    IllegalTransition CONFLICT "illegal_transition" "The machine does not allow the transition"
        Some("nothing was written; availableTransitions lists what can be done instead");
    IdentityConflict CONFLICT "identity_conflict" "The event id is known with other content"
        Some("nothing was written; a new event needs an id of its own");
    Fenced CONFLICT "fenced" "The answer came too late"
        Some("fences lists the deliveries; their events are delivered again unless finished");
    OtherLog CONFLICT "other_log" "The log is not the one that the consumer had read"
        Some("reset the consumer to where it is to begin");
    NotEmpty CONFLICT "not_empty" "The store holds events already"
        Some("restore into an empty store, or append the events");
    Conflict PRECONDITION_FAILED "conflict" "A stream is not as expected"
        Some("nothing was written; read the events in between and decide again");
    TooLarge PAYLOAD_TOO_LARGE "too_large" "A limit is exceeded" None;
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type"
        "The body has another media type" None;
    TransitionName UNPROCESSABLE_ENTITY "transition_name" "The name is that of a transition"
        Some("nothing was written; ask for the transition instead");
    Internal INTERNAL_SERVER_ERROR "internal" "The service failed"
        Some("the service's log says more");
    Corrupt INTERNAL_SERVER_ERROR "corrupt" "What was written cannot be read back"
        Some("an operator should verify the log; nothing is repaired by itself");
    Unsupported NOT_IMPLEMENTED "unsupported" "This store does not offer it" None;
    Busy SERVICE_UNAVAILABLE "busy" "The log is busy"
        Some("nothing was written; try again");
    NotYet SERVICE_UNAVAILABLE "not_yet" "The position is not reached yet"
        Some("try again, or wait longer");
    Poisoned SERVICE_UNAVAILABLE "poisoned" "An earlier write failed"
        Some("nothing was written; an operator should restart the service, which recovers");
    UnknownOutcome GATEWAY_TIMEOUT "unknown_outcome" "The events may or may not be written"
        Some("append again with the same event ids");
    Full INSUFFICIENT_STORAGE "full" "There is no room"
        Some("nothing was written; an operator should free some room, then try again");
}

impl Code {
    /// Whether coming back soon may help.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self, Code::Busy | Code::NotYet)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let detail = error.to_string();
        match &error {
            StoreError::Conflict { conflicts, .. } => {
                let conflicts = conflicts.iter().map(conflict).collect();
                Problem::new(Code::Conflict, detail).member("conflicts", conflicts)
            }
            StoreError::IdentityConflict { .. } => Problem::new(Code::IdentityConflict, detail),
            StoreError::NotFound { .. } => Problem::new(Code::NotFound, detail),
            StoreError::Invalid { field, reason } => Problem::invalid(field, reason),
            StoreError::TooLarge { field, .. } => Problem::new(Code::TooLarge, detail).field(field),
            StoreError::Busy { reason, .. } => {
                let detail = format!("proceed now: {reason}; nothing was written");
                Problem::new(Code::Busy, detail)
            }
            StoreError::Full { .. } => Problem::new(Code::Full, detail),
            // The reason may be the system's answer about a file.
            StoreError::UnknownOutcome { reason, .. } => {
                tracing::error!(%reason, "the outcome of an append is unknown");
                Problem::new(Code::UnknownOutcome, "learn whether the append took place")
            }
            StoreError::Corrupt { damage, .. } => {
                tracing::error!(%damage, "what was written cannot be read back");
                let detail = match (damage.position, &damage.stream) {
                    (Some(position), _) => format!("rely on what was written: position {position}"),
                    (None, Some(stream)) => format!("rely on what was written: stream {stream}"),
                    (None, None) => "rely on what was written".to_owned(),
                };
                let problem = Problem::new(Code::Corrupt, detail);
                match damage.position {
                    Some(position) => problem.member("position", position.into()),
                    None => problem,
                }
            }
            StoreError::Poisoned { cause, .. } => {
                tracing::error!(%cause, "an earlier write failed; restart to recover");
                let detail = "append: an earlier write failed; nothing was written";
                Problem::new(Code::Poisoned, detail)
            }
            StoreError::Unsupported { .. } => Problem::new(Code::Unsupported, detail),
            StoreError::NotEmpty { .. } => Problem::new(Code::NotEmpty, detail),
            _ => {
                tracing::error!(%error, "failed to serve a request");
                Problem::new(Code::Internal, "read or write what is kept")
            }
        }
        .event_ids(error.event_ids())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let detail = error.to_string();
        match error {
            Error::Store(error) => Problem::from(error),
            Error::IllegalTransition(illegal) => illegal_transition(&illegal, &detail),
            Error::UnknownMachine { .. } => Problem::new(Code::NotFound, detail),
            Error::TransitionName { ref event_ids, .. } => {
                Problem::new(Code::TransitionName, detail)
                    .field("eventType")
                    .event_ids(event_ids)
            }
            Error::Contended { .. } => Problem::new(Code::Busy, detail),
            Error::Machine(error) => machine(&error),
            Error::NotCaughtUp {
                complete_through, ..
            } => Problem::new(Code::NotYet, detail).member("position", complete_through.into()),
            Error::ConsumerLog { position, .. } => {
                Problem::new(Code::OtherLog, detail).member("position", position.into())
            }
            _ => {
                tracing::error!(%error, "failed to serve a request");
                Problem::new(Code::Internal, "derive what was asked for from the events")
            }
        }
    }
}

fn illegal_transition(illegal: &IllegalTransition, detail: &str) -> Problem {
    Problem::new(Code::IllegalTransition, detail)
        .member("currentState", illegal.current_state.as_str().into())
        .member("availableTransitions", json!(illegal.available_transitions))
}

fn machine(error: &MachineError) -> Problem {
    let field = match error {
        MachineError::Name { field, .. }
        | MachineError::Duplicate { field, .. }
        | MachineError::UnknownState { field, .. } => field,
        MachineError::NoStates | MachineError::Unreachable { .. } => "states",
        MachineError::SnapshotEvery => "snapshot_every",
        MachineError::NoFrom { .. } | MachineError::LeavesFinal { .. } => "transition.from",
        MachineError::Ambiguous { .. } => "transition.name",
        _ => "body",
    };
    Problem::new(Code::Invalid, error.to_string()).field(field)
}

fn conflict(conflict: &StreamConflict) -> Value {
    json!({
        "aggregateType": &**conflict.stream.aggregate_type(),
        "aggregateId": &**conflict.stream.aggregate_id(),
        "expected": expected(conflict.expected),
        "actual": conflict.actual,
    })
}

fn expected(expected: Expected) -> Value {
    match expected {
        Expected::Any => "any".into(),
        Expected::NoStream => "no_stream".into(),
        Expected::StreamExists => "stream_exists".into(),
        Expected::Sequence(sequence) => sequence.into(),
    }
}
