//! What is wrong with a set of upcasters, and why an event could not be upcasted.

use std::fmt;
use std::sync::Arc;

use retold_core::Text;

use super::{EventVersion, UPCAST_EVENTS_MAX};

/// Why upcasters cannot be used together. Each message finishes the sentence "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpcastersError {
    /// Two upcasters begin at the same version, so that there are two answers.
    #[error(
        "use the upcasters{}: two take {event} further, one to {} and one to {}; keep one of them",
        scope(aggregate_type),
        names(first),
        names(second)
    )]
    Ambiguous {
        /// The aggregate type that they are for; none for all.
        aggregate_type: Option<Text>,
        /// What both begin at.
        event: EventVersion,
        /// Where the one leads.
        first: Vec<EventVersion>,
        /// Where the other leads.
        second: Vec<EventVersion>,
    },

    /// More than one version of an event type is not taken further, though only one can be
    /// today's.
    #[error(
        "use the upcasters{}: of {event_type} the versions {} are not taken further, and only one \
         can be today's; add an upcaster of {event_type} from each other one to it",
        scope(aggregate_type),
        and(versions)
    )]
    Gap {
        /// The aggregate type that they are for; none for all.
        aggregate_type: Option<Text>,
        /// The event type.
        event_type: Text,
        /// The versions that no upcaster begins at.
        versions: Vec<Text>,
    },

    /// Upcasters lead back to where they began.
    #[error(
        "use the upcasters{}: they lead in a circle, {}; remove one of them",
        scope(aggregate_type),
        arrows(path)
    )]
    Loop {
        /// The aggregate type that they are for; none for all.
        aggregate_type: Option<Text>,
        /// The way round; its end is its beginning.
        path: Vec<EventVersion>,
    },

    /// A version was declared to be today's, and an upcaster takes it further.
    #[error(
        "use the upcasters{}: {event} is declared to be today's version, and an upcaster takes it \
         to {}; declare the newer version instead, or remove the upcaster",
        scope(aggregate_type),
        names(further)
    )]
    NotCurrent {
        /// The aggregate type that they are for; none for all.
        aggregate_type: Option<Text>,
        /// The version that was declared.
        event: EventVersion,
        /// Where the upcaster leads.
        further: Vec<EventVersion>,
    },

    /// A name that no event of an application can have.
    #[error("use the upcasters: {name:?} {reason}")]
    Name {
        /// The name.
        name: Text,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Why an event could not be turned into what today's code would have written.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum UpcastError {
    /// Upcasters know its type, but not its version: it was written by a newer program, or an
    /// upcaster was removed. What it means would be a guess.
    #[error(
        "{event} is not a version that the upcasters know ({}); if a newer program wrote it, \
         update this one, else add an upcaster that begins at {}", comma(known), event.version
    )]
    UnknownVersion {
        /// What was written.
        event: EventVersion,
        /// The versions of the type that are known.
        known: Vec<Text>,
    },

    /// An upcaster failed, could not read the payload, or made none that is JSON.
    #[error("the upcaster of {event} failed: {source}")]
    Failed {
        /// What it begins at.
        event: EventVersion,
        /// What it said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },

    /// An upcaster that splits an event made a part that it had not declared.
    #[error(
        "the upcaster of {event} made {part}, which it does not declare; it declares {}",
        names(declared)
    )]
    Undeclared {
        /// What it begins at.
        event: EventVersion,
        /// What it made.
        part: EventVersion,
        /// What it may make.
        declared: Vec<EventVersion>,
    },

    /// An event became more than [`UPCAST_EVENTS_MAX`] events.
    #[error("{event} became more than {UPCAST_EVENTS_MAX} events; split it into fewer")]
    TooMany {
        /// What was written.
        event: EventVersion,
    },
}

fn scope(aggregate_type: &Option<Text>) -> String {
    let of = |aggregate_type| format!(" of {aggregate_type}");
    aggregate_type.as_ref().map(of).unwrap_or_default()
}

fn joined(parts: &[impl fmt::Display], separator: &str) -> String {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    parts.join(separator)
}

/// Where an upcaster leads; one that drops its event leads nowhere.
fn names(events: &[EventVersion]) -> String {
    match events {
        [] => "nothing".to_owned(),
        events => joined(events, " and "),
    }
}

fn and(versions: &[Text]) -> String {
    joined(versions, " and ")
}

fn comma(versions: &[Text]) -> String {
    joined(versions, ", ")
}

fn arrows(path: &[EventVersion]) -> String {
    joined(path, " → ")
}
