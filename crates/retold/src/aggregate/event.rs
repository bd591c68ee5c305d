//! Typed events: which names they are recorded under, and how they become payloads and back.

use std::sync::Arc;

use retold_core::{Json, JsonError, RecordedEvent};

use super::reducer::reducer_name;
use crate::upcasters::Chains;
use crate::{BoxError, Error, EventShape};

/// The events of an aggregate: an enum, with a variant for each thing that can happen.
///
/// It is derived. Each variant says the name that it is recorded under; the log keeps that name
/// for ever, and renaming the variant changes nothing:
///
/// ```
/// use retold::Event;
///
/// #[derive(Event)]
/// enum AccountEvent {
///     #[event("account.opened", version = "2.0.0")]
///     Opened { owner: String, currency: String },
///     #[event("account.deposited")]
///     Deposited { amount: u64 },
///     #[event("account.closed")]
///     Closed,
/// }
///
/// let event = AccountEvent::Deposited { amount: 5 };
/// assert_eq!(event.kind().event_type, "account.deposited");
/// assert_eq!(event.into_payload()?.as_str(), r#"{"amount":5}"#);
/// # Ok::<(), retold::JsonError>(())
/// ```
///
/// The payload is the object of the variant's fields, as serde writes them; `#[serde(…)]` on a
/// field, and `#[serde(rename_all_fields = "camelCase")]` on the enum, are heeded. A variant may
/// also hold one value, whose serde form is the payload. The types of the fields need
/// `Serialize`, `Deserialize` and `JsonSchema`; the enum needs none of them.
///
/// The version is that of the payload's shape, "1.0.0" where none is given. Change it with the
/// shape: an event of another version is not read as if it were one of today's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "events are an enum with `#[derive(retold::Event)]`, each variant with the name that it is recorded under: `#[event(\"account.opened\")]`"
)]
pub trait Event: Sized + Send + 'static {
    /// The kinds of events, in the order of the variants.
    const KINDS: &'static [EventKind];

    /// Which of them this is.
    fn kind(&self) -> &'static EventKind;

    /// The payload to record.
    ///
    /// # Errors
    /// [`JsonError`] when a field cannot be written as JSON.
    fn into_payload(self) -> Result<Json, JsonError>;

    /// Reads a payload of today's version; none where no kind has that event type.
    ///
    /// # Errors
    /// [`JsonError`] when the payload has another shape.
    fn from_payload(event_type: &str, payload: &Json) -> Result<Option<Self>, JsonError>;

    /// The shape of each kind's payload, in their order.
    fn shapes() -> Vec<EventShape>;
}

/// What a kind of event is recorded under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EventKind {
    /// The event type, such as `account.opened`.
    pub event_type: &'static str,
    /// The version of the payload's shape.
    pub version: &'static str,
}

impl EventKind {
    /// Names a kind of event.
    pub const fn new(event_type: &'static str, version: &'static str) -> EventKind {
        EventKind {
            event_type,
            version,
        }
    }
}

/// Why a recorded event is none of an enum's.
#[derive(Debug, thiserror::Error)]
enum NotAnEvent {
    #[error(
        "the event type {event_type} is none of {}; add a variant for it",
        listed(.known)
    )]
    UnknownType {
        event_type: String,
        known: &'static [EventKind],
    },

    #[error(
        "{event_type} was recorded in version {found}, and is read in version {known}; add an upcaster to it, or update this program where a newer one has written"
    )]
    OtherVersion {
        event_type: String,
        found: String,
        known: &'static str,
    },
}

fn listed(kinds: &[EventKind]) -> String {
    let event_types: Vec<&str> = kinds.iter().map(|kind| kind.event_type).collect();
    event_types.join(", ")
}

/// Reads a recorded event as what today's code would have written: one event, several or none.
pub(crate) fn read<E: Event>(upcasters: &Chains, event: &RecordedEvent) -> Result<Vec<E>, Error> {
    let upcasted = upcasters.upcast(event)?;
    let events = upcasted.iter().map(|upcasted| {
        decode(upcasted).map_err(|source| Error::Reducer {
            reducer: reducer_name(event.stream.aggregate_type()),
            stream: event.stream.clone(),
            sequence_number: event.sequence_number,
            source: Arc::from(source),
        })
    });
    events.collect()
}

/// Reads an event of today.
pub(super) fn decode<E: Event>(event: &RecordedEvent) -> Result<E, BoxError> {
    let event_type = &*event.event_type;
    let mut kinds = E::KINDS.iter();
    let unknown = || NotAnEvent::UnknownType {
        event_type: event_type.to_owned(),
        known: E::KINDS,
    };
    let kind = kinds
        .find(|kind| kind.event_type == event_type)
        .ok_or_else(unknown)?;
    if kind.version != &*event.metadata.version {
        return Err(Box::new(NotAnEvent::OtherVersion {
            event_type: event_type.to_owned(),
            found: event.metadata.version.to_string(),
            known: kind.version,
        }));
    }
    Ok(E::from_payload(event_type, &event.payload)?.ok_or_else(unknown)?)
}
