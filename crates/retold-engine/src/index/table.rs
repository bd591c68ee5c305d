//! The table in memory: the newest events, until it is full and becomes a run.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

use retold_core::{EventId, Position, SequenceNumber, StreamId, Timestamp};
use uuid::Uuid;

use super::anchor::Anchor;
use super::keys::{ShortHash, StreamKey};
use super::part::{Block, Span};
use super::{KeyedEntry, Location};
use crate::fast_map::{FastMap, HashedMap};
use crate::state::Facts;

/// Stands for the position of an event that is missing.
pub(crate) const MISSING: u32 = u32::MAX;

/// A location without a record.
pub(crate) const LOST: Location = Location {
    offset: 0,
    bytes: 0,
};

/// A stretch of positions in memory. Positions are counted from its first one.
pub(crate) struct Table {
    pub(crate) begin: Anchor,
    /// Where it ends and what the log said up to there, once nothing is added any more.
    pub(crate) sealed: Option<(Anchor, Arc<Facts>)>,
    pub(crate) locations: Vec<Location>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) ids: FastMap<EventId, u32>,
    pub(crate) streams: HashedMap<StreamKey, Sequences>,
    /// By hash of the term: a hit is confirmed by whoever reads the record.
    pub(crate) terms: HashedMap<ShortHash, Postings>,
    /// The streams that begin here, with their first positions.
    pub(crate) names: BTreeMap<StreamId, u32>,
    pub(crate) last_event_id: EventId,
    pub(crate) last_persisted_at: Timestamp,
}

/// A stream's positions by sequence number, from `first` on.
pub(crate) struct Sequences {
    pub(crate) first: SequenceNumber,
    pub(crate) positions: Postings,
}

/// Most lists have one position.
pub(crate) enum Postings {
    One([u32; 1]),
    Many(Vec<u32>),
}

impl Postings {
    pub(crate) fn as_slice(&self) -> &[u32] {
        match self {
            Postings::One(position) => position,
            Postings::Many(positions) => positions,
        }
    }

    fn extend(&mut self, more: impl Iterator<Item = u32>) {
        if let Postings::One(first) = self {
            *self = Postings::Many(first.to_vec());
        }
        if let Postings::Many(positions) = self {
            positions.extend(more);
        }
    }
}

impl Table {
    pub(crate) fn new(begin: Anchor) -> Table {
        Table {
            begin,
            sealed: None,
            locations: Vec::new(),
            blocks: Vec::new(),
            ids: FastMap::default(),
            streams: HashedMap::default(),
            terms: HashedMap::default(),
            names: BTreeMap::new(),
            last_event_id: Uuid::nil(),
            last_persisted_at: Timestamp::MIN,
        }
    }

    pub(crate) fn first(&self) -> Position {
        self.begin.next_position
    }

    /// The last position; the one before the first where there is none.
    pub(crate) fn last(&self) -> Position {
        self.first() + self.locations.len() as Position - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.locations.len()
    }

    /// Takes in the next event. Positions that were passed over are lost. Returns the sequence
    /// number of the stream that should have come first, where this one does not follow.
    pub(crate) fn insert(&mut self, entry: &KeyedEntry) -> Option<SequenceNumber> {
        self.pass_over(entry.position - 1);
        let at = self.relative(entry.position);
        self.locations.push(entry.location);
        self.widen_block(entry);
        self.ids.insert(entry.event_id, at);
        self.post(entry.keys.correlation, at);
        for tag in &entry.keys.tags {
            self.post(*tag, at);
        }
        self.last_event_id = entry.event_id;
        self.last_persisted_at = self.last_persisted_at.max(entry.persisted_at);
        if let Some(stream) = &entry.begins {
            self.name(stream, at);
        }
        self.put(entry.keys.stream, entry.sequence_number, at)
    }

    /// Notes a stream that begins here.
    pub(crate) fn name(&mut self, stream: &StreamId, at: u32) {
        // Detached, so that a name does not keep the buffer alive that it was read into.
        self.names.entry(stream.detached()).or_insert(at);
    }

    /// Notes that all positions up to this one that are not known are lost.
    pub(crate) fn pass_over(&mut self, through: Position) {
        while self.last() < through {
            self.locations.push(LOST);
        }
    }

    fn put(&mut self, key: StreamKey, sequence: SequenceNumber, at: u32) -> Option<SequenceNumber> {
        let stream = match self.streams.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Sequences {
                    first: sequence,
                    positions: Postings::One([at]),
                });
                return None;
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        let next = stream.first + stream.positions.as_slice().len() as u64;
        let Some(passed_over) = sequence.checked_sub(next) else {
            // Only a forged log repeats a sequence number; its stream cannot be relied on.
            return Some(sequence);
        };
        // A damaged count must not claim memory: more than this many missing events leave the
        // stream marked, and its later events out.
        const MISSING_MAX: u64 = 1 << 20;
        if passed_over <= MISSING_MAX {
            let missing = std::iter::repeat_n(MISSING, passed_over as usize);
            stream.positions.extend(missing.chain([at]));
        }
        (passed_over > 0).then_some(next)
    }

    pub(crate) fn location(&self, position: Position) -> Option<Location> {
        let at = usize::try_from(position.checked_sub(self.first())?).ok()?;
        let location = self.locations.get(at).copied()?;
        (location.bytes > 0).then_some(location)
    }

    pub(crate) fn position_of(&self, event_id: &EventId, through: Position) -> Option<Position> {
        let position = self.ids.get(event_id).map(|at| self.absolute(*at));
        position.filter(|position| *position <= through)
    }

    pub(crate) fn span(&self, key: StreamKey, through: Position) -> Option<Span> {
        let stream = self.streams.get(&key)?;
        let positions = stream.positions.as_slice();
        let is_shown = |at: &u32| *at != MISSING && self.absolute(*at) <= through;
        let last = positions.iter().rposition(is_shown)?;
        Some(Span {
            first_sequence: stream.first,
            count: last as u32 + 1,
            start: 0,
            last: self.absolute(positions[last]),
        })
    }

    pub(crate) fn stream_positions(
        &self,
        key: StreamKey,
        from: u32,
        count: u32,
    ) -> Vec<Option<Position>> {
        let stream = self.streams.get(&key);
        let positions = stream.map_or(&[][..], |stream| stream.positions.as_slice());
        let shown = positions.iter().skip(from as usize).take(count as usize);
        shown
            .map(|at| (*at != MISSING).then(|| self.absolute(*at)))
            .collect()
    }

    pub(crate) fn count_through(&self, key: StreamKey, position: Position) -> u32 {
        let stream = self.streams.get(&key);
        let positions = stream.map_or(&[][..], |stream| stream.positions.as_slice());
        // A missing event has no position: it counts to what comes after it.
        let is_before = |at: &u32| *at != MISSING && self.absolute(*at) <= position;
        positions
            .iter()
            .rposition(is_before)
            .map_or(0, |last| last as u32 + 1)
    }

    pub(crate) fn postings(
        &self,
        hash: ShortHash,
        after: Position,
        through: Position,
        limit: usize,
    ) -> Vec<Position> {
        let positions = self
            .terms
            .get(&hash)
            .map_or(&[][..], |postings| postings.as_slice());
        let from = positions.partition_point(|at| self.absolute(*at) <= after);
        let shown = positions[from..].iter().map(|at| self.absolute(*at));
        shown
            .take_while(|position| *position <= through)
            .take(limit)
            .collect()
    }

    pub(crate) fn block(&self, position: Position) -> Block {
        let at = Block::number(position) - Block::number(self.first());
        let block = usize::try_from(at).ok().and_then(|at| self.blocks.get(at));
        block.copied().unwrap_or(Block::EMPTY)
    }

    pub(crate) fn names(
        &self,
        from: Bound<&StreamId>,
        through: Position,
        limit: usize,
    ) -> Vec<StreamId> {
        let names = self.names.range::<StreamId, _>((from, Bound::Unbounded));
        let shown = names.filter(|(_, at)| self.absolute(**at) <= through);
        shown.map(|(name, _)| name.clone()).take(limit).collect()
    }

    pub(crate) fn absolute(&self, at: u32) -> Position {
        self.first() + Position::from(at)
    }

    fn relative(&self, position: Position) -> u32 {
        u32::try_from(position - self.first()).expect("a table holds far fewer positions")
    }

    fn post(&mut self, hash: ShortHash, at: u32) {
        match self.terms.entry(hash) {
            Entry::Vacant(vacant) => {
                vacant.insert(Postings::One([at]));
            }
            // Two terms of one event may share a hash.
            Entry::Occupied(occupied) if occupied.get().as_slice().last() == Some(&at) => {}
            Entry::Occupied(occupied) => occupied.into_mut().extend([at].into_iter()),
        }
    }

    fn widen_block(&mut self, entry: &KeyedEntry) {
        let at = Block::number(entry.position) - Block::number(self.first());
        let at = usize::try_from(at).expect("blocks are fewer than locations");
        if self.blocks.len() <= at {
            self.blocks.resize(at + 1, Block::EMPTY);
        }
        self.blocks[at].widen(&Block {
            earliest: entry.timestamp,
            latest: entry.timestamp,
            first_persisted_at: entry.persisted_at,
            last_persisted_at: entry.persisted_at,
        });
    }
}
