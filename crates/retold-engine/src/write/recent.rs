//! What was encoded lately: the events that a look-up among the durable ones may have missed.

use retold_core::{EventId, Position, SequenceNumber, StreamHead};

use crate::fast_map::{FastMap, HashedMap};
use crate::few::Few;
use crate::index::StreamKey;
use crate::planted::{self, Bug};

/// Events after which a generation is closed: more than a few groups hold, and few enough to
/// be forgotten without a pause.
const GENERATION_EVENTS: usize = 16 * 1024;

/// The ids and the heads of all events behind the floor, in two generations.
pub(crate) struct Recent {
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
    pub(crate) fn from(floor: Position) -> Recent {
        let generation = || Generation {
            last: floor,
            ..Generation::default()
        };
        Recent {
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

    /// Forgets what has been durable, and so can be looked up, for a generation.
    pub(crate) fn forget(&mut self, durable: Position) {
        if self.newer.ids.len() < GENERATION_EVENTS || self.older.last > durable {
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
