//! What a handler is given: an event of the log in the bus's own terms.

use heck::ToKebabCase;
use retold_core::{EventId, Json, JsonError, Position, RecordedEvent, Text, Timestamp};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::topics;
use crate::aggregate;
use crate::transition::RecordedTransition;

/// An event on the bus. As JSON `{type, payload, metadata}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BusEvent {
    /// The topic that it is on: that of its aggregate type.
    #[serde(skip)]
    pub topic: String,
    /// `<kebab-case type>.state.changed` for a transition, else the event's own type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// For a transition `{issueId | executionId | aggregateId, from, to, reason}`, else the
    /// event's own payload.
    pub payload: Json,
    /// Where it comes from.
    pub metadata: BusMetadata,
    /// The event as the log keeps it.
    #[serde(skip)]
    pub event: RecordedEvent,
}

/// Where an event on the bus comes from. As JSON `{eventId, correlationId, causationId, userId,
/// position, timestamp}`, where what is absent is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusMetadata {
    /// The event's id.
    pub event_id: EventId,
    /// What it belongs together with.
    pub correlation_id: Text,
    /// What caused it.
    pub causation_id: Option<Text>,
    /// Who did it: the event's actor.
    pub user_id: Option<Text>,
    /// Its place in the log.
    pub position: Position,
    /// When it happened.
    pub timestamp: Timestamp,
}

impl BusEvent {
    /// # Errors
    /// When the payload of a transition cannot be written.
    pub(super) fn new(event: RecordedEvent) -> Result<BusEvent, JsonError> {
        let aggregate_type = &**event.stream.aggregate_type();
        let (event_type, payload) = match RecordedTransition::of(&event) {
            Some(transition) => {
                let changed = Changed {
                    id_name: aggregate::id_name(aggregate_type).unwrap_or("aggregateId"),
                    id: event.stream.aggregate_id(),
                    transition,
                };
                let event_type = format!("{}.state.changed", kebab(aggregate_type));
                (event_type, Json::from_value(&changed)?)
            }
            None => (event.event_type.to_string(), event.payload.clone()),
        };
        let metadata = BusMetadata {
            event_id: event.metadata.event_id,
            correlation_id: event.metadata.correlation_id.clone(),
            causation_id: event.metadata.causation_id.clone(),
            user_id: event.metadata.actor.clone(),
            position: event.position,
            timestamp: event.metadata.timestamp,
        };
        Ok(BusEvent {
            topic: topics::of(aggregate_type),
            event_type,
            payload,
            metadata,
            event,
        })
    }
}

/// An aggregate type as it appears in topics and event types.
pub(super) fn kebab(aggregate_type: &str) -> String {
    aggregate_type.to_kebab_case()
}

struct Changed<'a> {
    id_name: &'static str,
    id: &'a str,
    transition: RecordedTransition,
}

impl Serialize for Changed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry(self.id_name, self.id)?;
        map.serialize_entry("from", &self.transition.from)?;
        map.serialize_entry("to", &self.transition.to)?;
        map.serialize_entry("reason", &self.transition.reason)?;
        map.end()
    }
}

impl Serialize for BusMetadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("eventId", &self.event_id.to_string())?;
        map.serialize_entry("correlationId", &*self.correlation_id)?;
        if let Some(causation_id) = &self.causation_id {
            map.serialize_entry("causationId", &**causation_id)?;
        }
        if let Some(user_id) = &self.user_id {
            map.serialize_entry("userId", &**user_id)?;
        }
        map.serialize_entry("position", &self.position)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.end()
    }
}
