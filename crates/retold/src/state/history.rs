//! One line of an aggregate's history.

use retold_core::{RecordedEvent, SequenceNumber, Timestamp};
use serde::Serialize;

use crate::transition::RecordedTransition;

/// One transition of the past; for a type without a machine, one event. As JSON `{from, to,
/// event, timestamp, reason, actor, sequenceNumber}`, where what is not known is null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The state that it led out of.
    pub from: Option<String>,
    /// The state that it led to.
    pub to: Option<String>,
    /// The name of the transition, as it was asked for; for a plain event its type.
    pub event: String,
    /// When it happened, as its writer said.
    pub timestamp: Timestamp,
    /// Why.
    pub reason: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// The event's place in its stream.
    pub sequence_number: SequenceNumber,
}

impl HistoryEntry {
    /// The entry of an event of a type with a machine; none where it is no transition.
    pub(super) fn of_transition(event: &RecordedEvent) -> Option<HistoryEntry> {
        let transition = RecordedTransition::of(event)?;
        Some(HistoryEntry {
            from: transition.from,
            to: transition.to,
            event: transition.event,
            reason: transition.reason,
            ..HistoryEntry::of_event(event)
        })
    }

    /// The entry of an event of a type without a machine.
    pub(super) fn of_event(event: &RecordedEvent) -> HistoryEntry {
        HistoryEntry {
            from: None,
            to: None,
            event: event.event_type.to_string(),
            timestamp: event.metadata.timestamp,
            reason: None,
            actor: event.metadata.actor.as_ref().map(|actor| actor.to_string()),
            sequence_number: event.sequence_number,
        }
    }
}
