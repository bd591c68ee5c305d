//! What the killed processes said that they sent and were answered, and what the log must
//! therefore hold.

use std::collections::{HashMap, HashSet};

use retold_core::{
    Append, EventId, EventStore, NewEvent, Position, RecordedEvent, SequenceNumber, StreamId,
};
use retold_engine::EngineStore;

use crate::draw::event;

type Place = (EventId, Position, SequenceNumber);

enum Outcome {
    Unknown,
    Kept(Vec<Place>),
    Refused,
}

/// All calls that were sent, by the id of their first event, with their events and outcomes.
#[derive(Default)]
pub(crate) struct Calls(HashMap<EventId, (Vec<EventId>, Outcome)>);

impl Calls {
    /// Takes in a line of the child's; others are the test harness's.
    pub(crate) fn hear(&mut self, line: &str) {
        let Some((word, rest)) = line.split_once(' ') else {
            return;
        };
        let ids = || -> Vec<EventId> { rest.split(' ').map(|id| id.parse().unwrap()).collect() };
        match word {
            "sent" => {
                let ids = ids();
                let known = self.0.insert(ids[0], (ids, Outcome::Unknown));
                assert!(known.is_none());
            }
            "kept" => {
                let places: Vec<Place> = rest.split(' ').map(place).collect();
                let first = places[0].0;
                self.0.get_mut(&first).unwrap().1 = Outcome::Kept(places);
            }
            "refused" => self.0.get_mut(&ids()[0]).unwrap().1 = Outcome::Refused,
            _ => {}
        }
    }

    pub(crate) fn acknowledged(&self) -> usize {
        let is_kept = |call: &&(Vec<EventId>, Outcome)| matches!(call.1, Outcome::Kept(_));
        self.0.values().filter(is_kept).count()
    }

    /// Compares the whole log with what was sent and answered.
    pub(crate) fn check(&self, log: &[RecordedEvent]) {
        let mut heads: HashMap<&StreamId, SequenceNumber> = HashMap::new();
        let mut seen: HashMap<EventId, Place> = HashMap::new();
        for (recorded, position) in log.iter().zip(1..) {
            let id = recorded.metadata.event_id;
            let head = heads.entry(&recorded.stream).or_default();
            *head += 1;
            let expected = event(id).record(*head, position, recorded.persisted_at);
            assert_eq!(*recorded, expected, "at position {position}");
            let twice = seen.insert(id, (id, position, *head));
            assert!(twice.is_none(), "{id} is at {position} and at {twice:?}");
        }
        let mut allowed: HashSet<&EventId> = HashSet::new();
        for (ids, outcome) in self.0.values() {
            let found: Vec<Place> = ids.iter().filter_map(|id| seen.get(id).copied()).collect();
            match outcome {
                Outcome::Kept(places) => assert_eq!(found, *places, "acknowledged, not kept"),
                Outcome::Refused => assert!(found.is_empty(), "{found:?} was refused"),
                Outcome::Unknown => {
                    assert!(
                        found.is_empty() || found.len() == ids.len(),
                        "half of {ids:?}"
                    );
                    let follows = |pair: &[Place]| pair[0].1 + 1 == pair[1].1;
                    assert!(found.windows(2).all(follows), "out of order: {found:?}");
                }
            }
            allowed.extend(ids);
        }
        let unknown = seen.keys().find(|id| !allowed.contains(id));
        assert!(unknown.is_none(), "{unknown:?} was never sent");
    }

    /// Sends the calls of unknown outcome again: each is new or known, as the log has it.
    pub(crate) async fn retry(&mut self, store: &EngineStore, log: &[RecordedEvent]) {
        let kept: HashSet<EventId> = log.iter().map(|event| event.metadata.event_id).collect();
        for (first, (ids, outcome)) in &mut self.0 {
            if !matches!(outcome, Outcome::Unknown) {
                continue;
            }
            let events: Vec<NewEvent> = ids.iter().copied().map(event).collect();
            let appended = store.append(Append::new(events)).await.unwrap();
            assert_eq!(appended.is_new, !kept.contains(first));
            let place = |event: &RecordedEvent| {
                let id = event.metadata.event_id;
                (id, event.position, event.sequence_number)
            };
            *outcome = Outcome::Kept(appended.events.iter().map(place).collect());
        }
    }
}

fn place(text: &str) -> Place {
    let parts: Vec<&str> = text.split(':').collect();
    (
        parts[0].parse().unwrap(),
        parts[1].parse().unwrap(),
        parts[2].parse().unwrap(),
    )
}
