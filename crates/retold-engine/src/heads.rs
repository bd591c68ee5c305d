//! The newest sequence number of every stream: all that checking a whole log needs to keep of
//! its events.

use std::collections::{BTreeSet, HashMap};

use retold_core::{EventId, Lost, Position, SequenceNumber, StreamId};

use crate::index::{IndexEntry, Keys, StreamKey};
use crate::log::control::LostEvent;
use crate::state::{DamagedPlace, Intake, LogState};

/// The heads of all streams.
pub(crate) struct Heads {
    keys: Keys,
    heads: HashMap<StreamKey, SequenceNumber>,
    /// Positions whose event ids are asked for, and those ids.
    watched: BTreeSet<Position>,
    seen: HashMap<Position, EventId>,
}

impl Heads {
    /// Also keeps the event ids at some positions.
    pub(crate) fn watching(watched: BTreeSet<Position>) -> Heads {
        Heads {
            keys: Keys::new(uuid::Uuid::new_v4().into_bytes()),
            heads: HashMap::new(),
            watched,
            seen: HashMap::new(),
        }
    }

    /// The id of the event at a watched position.
    pub(crate) fn seen(&self, position: Position) -> Option<EventId> {
        self.seen.get(&position).copied()
    }

    /// What is known of the events that `damage` lost: where a stream misses exactly the
    /// event that a damaged record still names, the name is believed.
    pub(crate) fn lost_events(&self, state: &LogState, damage: &DamagedPlace) -> Vec<LostEvent> {
        let mut events = Vec::new();
        for (first, last) in &damage.lost {
            let known = damage.known.iter().find(|lost| lost.position == *first);
            match known {
                Some(lost) if first == last && self.is_plausible(state, lost) => {
                    events.push(LostEvent::from_lost(lost));
                }
                _ => events.push(LostEvent {
                    first: *first,
                    last: *last,
                    aggregate_type: None,
                    aggregate_id: None,
                    sequence_number: None,
                    event_id: None,
                }),
            }
        }
        events
    }

    fn is_plausible(&self, state: &LogState, lost: &Lost) -> bool {
        let (Some(stream), Some(sequence_number)) = (&lost.stream, lost.sequence_number) else {
            return false;
        };
        let head = self.heads.get(&self.keys.stream(stream)).copied();
        state.facts.holes.get(stream) == Some(&sequence_number)
            || head.unwrap_or(0) + 1 == sequence_number
    }
}

impl Intake for Heads {
    fn events(&mut self, events: &[IndexEntry], _has_losses: bool) -> Vec<(StreamId, u64)> {
        let mut incomplete = Vec::new();
        for event in events {
            let head = self
                .heads
                .entry(self.keys.stream(&event.stream))
                .or_default();
            let (next, found) = (*head + 1, event.sequence_number);
            if found != next {
                incomplete.push((event.stream.clone(), found.min(next)));
            }
            *head = found.max(*head);
            if self.watched.contains(&event.position) {
                self.seen.insert(event.position, event.event_id);
            }
        }
        incomplete
    }

    fn pass_over(&mut self, _through: Position) {}
}
