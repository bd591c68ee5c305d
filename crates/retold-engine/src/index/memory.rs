//! The index in memory: vectors by position and hash tables.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::ops::Bound;

use retold_core::{
    EventId, LogHead, Position, SequenceNumber, StreamHead, StreamId, StreamSummary, StreamsPage,
    StreamsQuery, Text, Timestamp,
};

use super::{IndexEntry, Location, StreamInfo, Term};

/// Positions whose timestamps are summed up in one pair of extremes.
const BLOCK_POSITIONS: u64 = 1_024;

/// Streams that one listing looks at: appends wait that long.
const STREAMS_EXAMINED_MAX: usize = 100_000;

/// What is kept of the whole log. Holds durable positions only.
pub(crate) struct Index {
    /// By position; `bytes` is 0 where the event is lost.
    locations: Vec<Location>,
    blocks: Vec<Block>,
    ids: HashMap<EventId, Position>,
    streams: BTreeMap<StreamId, Stream>,
    /// By hash of the term: a hit is confirmed by whoever reads the record.
    terms: HashMap<u64, Postings>,
    hasher: RandomState,
    last_persisted_at: Timestamp,
}

/// A stream's positions by sequence number; 0 where an event is missing.
#[derive(Default)]
struct Stream {
    positions: Vec<Position>,
    hole: Option<SequenceNumber>,
}

enum Postings {
    One(Position),
    Many(Vec<Position>),
}

/// The earliest and the latest timestamp of a block of positions.
#[derive(Clone, Copy)]
struct Block {
    earliest: Timestamp,
    latest: Timestamp,
}

const LOST: Location = Location {
    segment: 0,
    offset: 0,
    bytes: 0,
};

impl Default for Index {
    fn default() -> Self {
        Index {
            locations: Vec::new(),
            blocks: Vec::new(),
            ids: HashMap::new(),
            streams: BTreeMap::new(),
            terms: HashMap::new(),
            hasher: RandomState::new(),
            last_persisted_at: Timestamp::MIN,
        }
    }
}

impl Index {
    /// Takes in the next event. Positions that were passed over are lost.
    pub(crate) fn insert(&mut self, entry: IndexEntry) {
        let position = entry.position;
        self.pass_over(position - 1);
        self.locations.push(entry.location);
        self.widen_block(position, entry.timestamp);
        self.ids.insert(entry.event_id, position);
        self.post(Term::Correlation(&entry.correlation_id), position);
        for tag in &entry.tags {
            self.post(Term::Tag(tag), position);
        }
        self.last_persisted_at = self.last_persisted_at.max(entry.persisted_at);
        let stream = match self.streams.get_mut(&entry.stream) {
            Some(stream) => stream,
            // Detached, so that a name does not keep the buffer alive that it was read into.
            None => self.streams.entry(entry.stream.detached()).or_default(),
        };
        stream.put(entry.sequence_number, position);
    }

    /// Notes that all positions up to this one that are not known are lost.
    pub(crate) fn pass_over(&mut self, through: Position) {
        while self.head().position < through {
            self.locations.push(LOST);
        }
    }

    /// Notes that the event of a stream at a position is lost.
    pub(crate) fn lose(
        &mut self,
        stream: &StreamId,
        sequence_number: SequenceNumber,
        position: Position,
    ) {
        let stream = match self.streams.get_mut(stream) {
            Some(stream) => stream,
            None => self.streams.entry(stream.detached()).or_default(),
        };
        stream.lose(sequence_number, position);
    }

    /// The newest position and the date of the newest event.
    pub(crate) fn head(&self) -> LogHead {
        LogHead {
            position: self.locations.len() as Position,
            persisted_at: self.last_persisted_at,
        }
    }

    /// Where the record of a position lies; none where it is lost or past the head.
    pub(crate) fn location(&self, position: Position) -> Option<Location> {
        let at = usize::try_from(position.checked_sub(1)?).ok()?;
        let location = self.locations.get(at).copied()?;
        (location.bytes > 0).then_some(location)
    }

    /// The position of an event id.
    pub(crate) fn position_of(&self, event_id: EventId) -> Option<Position> {
        self.ids.get(&event_id).copied()
    }

    /// What is known of a stream.
    pub(crate) fn stream(&self, stream: &StreamId) -> Option<StreamInfo> {
        self.streams.get(stream).map(Stream::info)
    }

    /// The position of each event of a stream in a range of sequence numbers, from the lowest;
    /// none for one that is missing.
    pub(crate) fn stream_positions(
        &self,
        stream: &StreamId,
        from: SequenceNumber,
        to: SequenceNumber,
    ) -> Vec<(SequenceNumber, Option<Position>)> {
        let Some(stream) = self.streams.get(stream) else {
            return Vec::new();
        };
        let to = to.min(stream.last());
        (from.max(1)..=to)
            .map(|sequence| (sequence, stream.position(sequence)))
            .collect()
    }

    /// How many events of a stream stand at or before a position.
    pub(crate) fn sequence_at(&self, stream: &StreamId, position: Position) -> SequenceNumber {
        let Some(stream) = self.streams.get(stream) else {
            return 0;
        };
        let positions = &stream.positions;
        if stream.hole.is_none() {
            return positions.partition_point(|at| *at <= position) as SequenceNumber;
        }
        // A missing event has no position: it counts to what comes after it.
        let last = positions.iter().rposition(|at| *at != 0 && *at <= position);
        last.map_or(0, |at| at as SequenceNumber + 1)
    }

    /// The first positions after `after`, at most `limit`, of events that may carry a term.
    pub(crate) fn postings(&self, term: Term<'_>, after: Position, limit: usize) -> Vec<Position> {
        match self.terms.get(&self.hash(term)) {
            None => Vec::new(),
            Some(Postings::One(position)) if *position > after => vec![*position],
            Some(Postings::One(_)) => Vec::new(),
            Some(Postings::Many(positions)) => {
                let from = positions.partition_point(|position| *position <= after);
                let rest = &positions[from..];
                rest[..limit.min(rest.len())].to_vec()
            }
        }
    }

    /// Whether any event in the block of this position may be dated in a range, and the last
    /// position of the block.
    pub(crate) fn block(
        &self,
        position: Position,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> (bool, Position) {
        let number = (position - 1) / BLOCK_POSITIONS;
        let last = (number + 1) * BLOCK_POSITIONS;
        let block = usize::try_from(number)
            .ok()
            .and_then(|at| self.blocks.get(at));
        let may_match = block.is_none_or(|block| {
            from.is_none_or(|from| block.latest >= from) && to.is_none_or(|to| block.earliest <= to)
        });
        (may_match, last)
    }

    /// Lists streams.
    pub(crate) fn streams(&self, query: &StreamsQuery) -> StreamsPage {
        let first = first_candidate(query);
        let mut streams: Vec<StreamSummary> = Vec::new();
        let mut examined: Option<&StreamId> = None;
        let candidates = self.streams.range((first, Bound::Unbounded));
        for (number, (stream, kept)) in candidates.enumerate() {
            if number == STREAMS_EXAMINED_MAX {
                return StreamsPage {
                    streams,
                    next: examined.cloned(),
                };
            }
            examined = Some(stream);
            let is_past = query.aggregate_type.as_ref().is_some_and(|aggregate_type| {
                let key = (stream.aggregate_type(), &**stream.aggregate_id());
                let is_behind_prefix =
                    !stream.aggregate_id().starts_with(&*query.prefix) && *key.1 > *query.prefix;
                key.0 > aggregate_type || key.0 == aggregate_type && is_behind_prefix
            });
            if is_past {
                break;
            }
            if !query.admits(stream) || kept.positions.is_empty() {
                continue;
            }
            if streams.len() == query.limit {
                let next = streams
                    .last()
                    .map(|last: &StreamSummary| last.stream.clone());
                return StreamsPage { streams, next };
            }
            streams.push(StreamSummary {
                stream: stream.clone(),
                head: kept.info().head,
            });
        }
        StreamsPage {
            streams,
            next: None,
        }
    }

    /// Streams of which an event is missing, with the first one.
    pub(crate) fn holes(&self) -> impl Iterator<Item = (&StreamId, SequenceNumber)> {
        let hole = |(stream, kept): (_, &Stream)| kept.hole.map(|hole| (stream, hole));
        self.streams.iter().filter_map(hole)
    }

    fn hash(&self, term: Term<'_>) -> u64 {
        self.hasher.hash_one(term)
    }

    fn post(&mut self, term: Term<'_>, position: Position) {
        match self.terms.entry(self.hasher.hash_one(term)) {
            Entry::Vacant(vacant) => {
                vacant.insert(Postings::One(position));
            }
            Entry::Occupied(mut occupied) => match occupied.get_mut() {
                Postings::Many(positions) => positions.push(position),
                Postings::One(first) => {
                    let positions = vec![*first, position];
                    occupied.insert(Postings::Many(positions));
                }
            },
        }
    }

    fn widen_block(&mut self, position: Position, timestamp: Timestamp) {
        let number = (position - 1) / BLOCK_POSITIONS;
        // A block without events is dated such that it rules everything out.
        let empty = Block {
            earliest: Timestamp::MAX,
            latest: Timestamp::MIN,
        };
        let number = usize::try_from(number).expect("blocks are fewer than locations");
        if self.blocks.len() <= number {
            self.blocks.resize(number + 1, empty);
        }
        let block = &mut self.blocks[number];
        block.earliest = block.earliest.min(timestamp);
        block.latest = block.latest.max(timestamp);
    }
}

impl Stream {
    fn put(&mut self, sequence: SequenceNumber, position: Position) {
        let next = self.last() + 1;
        if sequence < next {
            // Only a forged log repeats a sequence number; its stream cannot be relied on.
            self.hole = Some(self.hole.map_or(sequence, |hole| hole.min(sequence)));
            return;
        }
        if sequence > next && self.hole.is_none() {
            self.hole = Some(next);
        }
        let passed_over = usize::try_from(sequence - next).unwrap_or(0);
        // A damaged count must not claim memory: more than this many missing events leave the
        // stream marked, and its later events out.
        const MISSING_MAX: usize = 1 << 20;
        if passed_over > MISSING_MAX {
            return;
        }
        self.positions
            .extend(std::iter::repeat_n(0, passed_over).chain([position]));
    }

    fn lose(&mut self, sequence: SequenceNumber, position: Position) {
        if sequence > self.last() {
            self.put(sequence, position);
        } else if let Some(missing) = usize::try_from(sequence - 1)
            .ok()
            .and_then(|at| self.positions.get_mut(at))
            .filter(|position| **position == 0)
        {
            *missing = position;
        } else {
            return;
        }
        self.hole = Some(self.hole.map_or(sequence, |hole| hole.min(sequence)));
    }

    fn last(&self) -> SequenceNumber {
        self.positions.len() as SequenceNumber
    }

    fn position(&self, sequence: SequenceNumber) -> Option<Position> {
        let at = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.positions
            .get(at)
            .copied()
            .filter(|position| *position != 0)
    }

    fn info(&self) -> StreamInfo {
        StreamInfo {
            head: StreamHead {
                sequence_number: self.last(),
                position: self.positions.last().copied().unwrap_or(0),
            },
            hole: self.hole,
        }
    }
}

/// From where on streams may be those asked for.
fn first_candidate(query: &StreamsQuery) -> Bound<StreamId> {
    let by_prefix = query.aggregate_type.as_ref().and_then(|aggregate_type| {
        // The empty prefix and the two ids that no stream has come before every stream.
        let from = if query.prefix.is_empty() {
            Text::from_static("\u{20}")
        } else {
            query.prefix.clone()
        };
        StreamId::new(aggregate_type.clone(), from).ok()
    });
    match (&query.after, by_prefix) {
        (Some(after), Some(first)) if *after < first => Bound::Included(first),
        (Some(after), _) => Bound::Excluded(after.clone()),
        (None, Some(first)) => Bound::Included(first),
        (None, None) => Bound::Unbounded,
    }
}
