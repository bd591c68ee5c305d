//! The answer to a question for a state, and its JSON form.

use retold_core::{Position, SequenceNumber, StreamId, Timestamp};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::HistoryEntry;
use crate::aggregate;
use crate::machine::AvailableTransition;

/// The state of an aggregate, now or as it was.
///
/// As JSON `{aggregateType, aggregateId, exists, status, transitionCount, lastTransitionAt,
/// sequenceNumber, position}`, and `stateHistory`, `availableTransitions`, `final` and
/// `laterAtOrBefore` where they are given. An issue has its id also as `issueId`, an execution
/// as `executionId`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// The stream.
    pub stream: StreamId,
    /// Whether it had an event at that moment.
    pub exists: bool,
    /// The state that the last transition led to, the machine's initial state before the first
    /// one; for a type without a machine the type of the last event. None before the first event.
    pub status: Option<String>,
    /// How many transitions there were; for a type without a machine, how many events.
    pub transition_count: u64,
    /// The `timestamp` of the last one.
    pub last_transition_at: Option<Timestamp>,
    /// The sequence number of the last event that counted; 0 before the first.
    pub sequence_number: SequenceNumber,
    /// The position of that event; 0 before the first.
    pub position: Position,
    /// The transitions until then, where asked for.
    pub state_history: Option<Vec<HistoryEntry>>,
    /// What today's machine allows in this state, where asked for; empty without a machine.
    pub available_transitions: Option<Vec<AvailableTransition>>,
    /// For a state by `persistedAt`: whether no event can be recorded any more that would
    /// belong to it.
    pub is_final: Option<bool>,
    /// For a state by `timestamp`, where asked for: how many events dated at or before it lie
    /// behind the first later one and are therefore left out.
    pub later_at_or_before: Option<u64>,
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let aggregate_type = &**self.stream.aggregate_type();
        let aggregate_id = &**self.stream.aggregate_id();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("aggregateType", aggregate_type)?;
        map.serialize_entry("aggregateId", aggregate_id)?;
        if let Some(name) = aggregate::id_name(aggregate_type) {
            map.serialize_entry(name, aggregate_id)?;
        }
        map.serialize_entry("exists", &self.exists)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("transitionCount", &self.transition_count)?;
        map.serialize_entry("lastTransitionAt", &self.last_transition_at)?;
        map.serialize_entry("sequenceNumber", &self.sequence_number)?;
        map.serialize_entry("position", &self.position)?;
        if let Some(history) = &self.state_history {
            map.serialize_entry("stateHistory", history)?;
        }
        if let Some(transitions) = &self.available_transitions {
            map.serialize_entry("availableTransitions", transitions)?;
        }
        if let Some(is_final) = &self.is_final {
            map.serialize_entry("final", is_final)?;
        }
        if let Some(count) = &self.later_at_or_before {
            map.serialize_entry("laterAtOrBefore", count)?;
        }
        map.end()
    }
}
