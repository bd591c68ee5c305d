//! What was encoded lately: the events that a look-up may have missed, since they were not durable
//! yet or lie in the table that is added to, which no look-up of an append needs to ask.

use retold_core::{EventId, Position, SequenceNumber, StreamHead};

use crate::fast_map::{FastMap, HashedMap};
use crate::few::Few;
use crate::index::StreamKey;
use crate::planted::{self, Bug};

/// The ids and the heads of all events behind the floor, in two generations.
pub(crate) struct Recent {
    /// Events after which a generation is closed, or later: where it is not found elsewhere yet.
    generation_events: usize,
    /// Look-ups must hold at least through here.
    floor: Position,
    older: Generation,
    newer: Generation,
}

#[derive(Default)]
struct Generation {
    ids: FastMap<EventId, Position>,
    heads: HashedMap<StreamKey, StreamHead>,
    last: Position,
}

impl Recent {
    /// Knows nothing, and needs to know nothing of positions up to `floor`.
    pub(crate) fn from(floor: Position, generation_events: usize) -> Recent {
        let generation = || Generation {
            last: floor,
            ..Generation::default()
        };
        Recent {
            generation_events,
            floor,
            older: generation(),
            newer: generation(),
        }
    }

    pub(crate) fn floor(&self) -> Position {
        self.floor
    }

    pub(crate) fn position_of(&self, event_id: &EventId) -> Option<Position> {
        if planted::is(Bug::RecentIdsForgotten) {
            return None;
        }
        let newer = self.newer.ids.get(event_id);
        newer.or_else(|| self.older.ids.get(event_id)).copied()
    }

    pub(crate) fn head(&self, stream: StreamKey) -> Option<StreamHead> {
        if planted::is(Bug::RecentHeadsForgotten) {
            return None;
        }
        let newer = self.newer.heads.get(&stream);
        newer.or_else(|| self.older.heads.get(&stream)).copied()
    }

    /// Notes an event that is the newest of its stream, and of all.
    pub(crate) fn insert(&mut self, event_id: EventId, stream: StreamKey, head: StreamHead) {
        self.newer.ids.insert(event_id, head.position);
        self.newer.heads.insert(stream, head);
        self.newer.last = head.position;
    }

    /// Knows nothing any more of what was encoded behind `durable`, nor needs to know what is.
    pub(crate) fn reset(&mut self, durable: Position) {
        *self = Recent::from(durable, self.generation_events);
    }

    /// Forgets a generation that does not reach beyond `sealed`: it is found without what is known
    /// here.
    pub(crate) fn forget(&mut self, sealed: Position) {
        if self.newer.ids.len() < self.generation_events || self.older.last > sealed {
            return;
        }
        let last = self.newer.last;
        self.floor = self.older.last;
        self.older = std::mem::take(&mut self.newer);
        self.newer.last = last;
    }
}

/// What a caller found among the durable events.
#[derive(Debug, Clone)]
pub(crate) struct LookedUp {
    /// The look-up holds through this position: none of the call's ids is known up to here.
    pub(crate) through: Position,
    /// The heads of all streams of the call, in their order there; 0 for none.
    pub(crate) heads: Few<SequenceNumber>,
}
