//! What a table in memory and a run on the disk both answer, each for the positions it covers.

use std::sync::{Arc, PoisonError, RwLock};

use retold_core::{EventId, Position, SequenceNumber, StreamHead, StreamId, Timestamp};

use super::Location;
use super::keys::{ShortHash, StreamKey};
use super::run::{FilterKey, Filters, Held, Run};
use super::table::Table;
use crate::few::Few;

/// How far a look-up may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only to what lies in memory, that of the system included.
    Memory,
    /// To the disk.
    Disk,
}

/// Why a look-up has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It would have to go to the disk.
    Cold,
    /// A run is not as it was written.
    Bad(RunNumber),
}

/// Names a run that is open in this process.
pub(crate) type RunNumber = u64;

/// The events of a stream in one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first_sequence: SequenceNumber,
    /// Sequence numbers from the first to the last, missing ones included.
    pub(crate) count: u32,
    /// Where a run lists their positions.
    pub(crate) start: u32,
    /// The position of the newest one.
    pub(crate) last: Position,
}

impl Span {
    pub(crate) fn last_sequence(&self) -> SequenceNumber {
        // A forged run may say anything.
        let end = self.first_sequence.saturating_add(self.count.into());
        end.saturating_sub(1)
    }
}

/// The extremes of both times in a block of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) earliest: Timestamp,
    pub(crate) latest: Timestamp,
    pub(crate) first_persisted_at: Timestamp,
    pub(crate) last_persisted_at: Timestamp,
}

/// Positions that one block sums up; blocks begin at multiples of this, plus one.
pub(crate) const BLOCK_POSITIONS: u64 = 1_024;

impl Block {
    /// No event: rules everything out.
    pub(crate) const EMPTY: Block = Block {
        earliest: Timestamp::MAX,
        latest: Timestamp::MIN,
        first_persisted_at: Timestamp::MAX,
        last_persisted_at: Timestamp::MIN,
    };

    pub(crate) fn number(position: Position) -> u64 {
        (position - 1) / BLOCK_POSITIONS
    }

    pub(crate) fn widen(&mut self, other: &Block) {
        self.earliest = self.earliest.min(other.earliest);
        self.latest = self.latest.max(other.latest);
        self.first_persisted_at = self.first_persisted_at.min(other.first_persisted_at);
        self.last_persisted_at = self.last_persisted_at.max(other.last_persisted_at);
    }
}

/// An event id that is looked up, and its place among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AskedId {
    pub(crate) key: FilterKey,
    pub(crate) event_id: EventId,
    pub(crate) place: usize,
}

/// A stream whose head is looked up, and its place among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AskedStream {
    pub(crate) key: StreamKey,
    pub(crate) place: usize,
}

/// A part of the index that covers a stretch of positions.
#[derive(Clone)]
pub(crate) enum Part {
    Table(Arc<RwLock<Table>>),
    /// A run, and its filters where they are kept.
    Run(Arc<Run>, Option<Arc<Filters>>),
}

impl From<Arc<Run>> for Part {
    /// A run whose filters are not kept yet.
    fn from(run: Arc<Run>) -> Part {
        Part::Run(run, None)
    }
}

/// Answers of a part. Nothing behind `through` is answered; runs end before every head.
impl Part {
    pub(crate) fn first(&self) -> Position {
        match self {
            Part::Table(table) => read(table).first(),
            Part::Run(run, _) => run.first(),
        }
    }

    pub(crate) fn last(&self) -> Position {
        match self {
            Part::Table(table) => read(table).last(),
            Part::Run(run, _) => run.last(),
        }
    }

    /// Holds no page of the part yet.
    pub(crate) fn hold(&self) -> Held<'_> {
        match self {
            Part::Table(_) => Held::default(),
            Part::Run(run, _) => run.hold(),
        }
    }

    /// Where the record of a position lies; none where it is lost.
    pub(crate) fn location(
        &self,
        position: Position,
        reach: Reach,
        held: &mut Held<'_>,
    ) -> Result<Option<Location>, Fault> {
        match self {
            Part::Table(table) => Ok(read(table).location(position)),
            Part::Run(run, _) => run.location(position, reach, held),
        }
    }

    /// Adds where the records from one position to another lie.
    pub(crate) fn locations(
        &self,
        first: Position,
        last: Position,
        reach: Reach,
        locations: &mut Vec<Option<Location>>,
    ) -> Result<(), Fault> {
        match self {
            Part::Table(table) => {
                let table = read(table);
                locations.extend((first..=last).map(|position| table.location(position)));
                Ok(())
            }
            Part::Run(run, _) => run.locations(first, last, reach, locations),
        }
    }

    /// Has what answers for some event ids taken from memory, where it is a line of a filter, and
    /// does not wait for it.
    pub(crate) fn touch_ids(&self, asked: &[AskedId]) {
        if let Part::Run(run, Some(filters)) = self {
            run.touch_ids(asked, filters);
        }
    }

    /// Adds the positions at which some event ids may stand, in the order of their hashes.
    pub(crate) fn find_ids(
        &self,
        asked: &[AskedId],
        through: Position,
        reach: Reach,
        found: &mut Vec<(usize, Position)>,
    ) -> Result<(), Fault> {
        match self {
            Part::Table(table) => {
                let table = read(table);
                for asked in asked {
                    let position = table.position_of(&asked.event_id, through);
                    found.extend(position.map(|position| (asked.place, position)));
                }
                Ok(())
            }
            Part::Run(run, filters) => run.find_ids(asked, filters.as_deref(), reach, found),
        }
    }

    /// Notes the heads of those streams that have events here, and strikes them off.
    pub(crate) fn find_heads(
        &self,
        asked: &mut Few<AskedStream>,
        through: Position,
        reach: Reach,
        heads: &mut [Option<StreamHead>],
    ) -> Result<(), Fault> {
        let mut note = |asked: &AskedStream, span: Option<Span>| {
            heads[asked.place] = span.map(|span| StreamHead {
                sequence_number: span.last_sequence(),
                position: span.last,
            });
            span.is_none()
        };
        match self {
            Part::Table(table) => {
                let table = read(table);
                asked.retain(|asked| note(asked, table.span(asked.key, through)));
                Ok(())
            }
            Part::Run(run, filters) => {
                let keys = asked.iter().map(|asked| asked.key);
                let spans = run
                    .spans(keys, filters.as_deref(), reach)
                    .collect::<Result<Few<_>, _>>()?;
                let mut spans = spans.into_iter();
                asked.retain(|asked| note(asked, spans.next().flatten()));
                Ok(())
            }
        }
    }

    /// The events of a stream.
    pub(crate) fn span(
        &self,
        key: StreamKey,
        through: Position,
        reach: Reach,
    ) -> Result<Option<Span>, Fault> {
        match self {
            Part::Table(table) => Ok(read(table).span(key, through)),
            Part::Run(run, filters) => run.span(key, filters.as_deref(), reach),
        }
    }

    /// The positions of so many sequence numbers of a span, from the nth on; none for those
    /// that are missing.
    pub(crate) fn stream_positions(
        &self,
        key: StreamKey,
        span: &Span,
        from: u32,
        count: u32,
        reach: Reach,
    ) -> Result<Vec<Option<Position>>, Fault> {
        match self {
            Part::Table(table) => Ok(read(table).stream_positions(key, from, count)),
            Part::Run(run, _) => run.stream_positions(span, from, count, reach),
        }
    }

    /// How many sequence numbers of a span come before the first event behind a position.
    pub(crate) fn count_through(
        &self,
        key: StreamKey,
        span: &Span,
        position: Position,
        reach: Reach,
    ) -> Result<u32, Fault> {
        match self {
            Part::Table(table) => Ok(read(table).count_through(key, position)),
            Part::Run(run, _) => run.count_through(span, position, reach),
        }
    }

    /// The first positions after `after`, at most `limit`, at which a term may stand.
    pub(crate) fn postings(
        &self,
        hash: ShortHash,
        after: Position,
        through: Position,
        limit: usize,
        reach: Reach,
    ) -> Result<Vec<Position>, Fault> {
        match self {
            Part::Table(table) => Ok(read(table).postings(hash, after, through, limit)),
            Part::Run(run, _) => run.postings(hash, after, limit, reach),
        }
    }

    /// The extremes of the block that a position lies in.
    pub(crate) fn block(&self, position: Position, reach: Reach) -> Result<Block, Fault> {
        match self {
            Part::Table(table) => Ok(read(table).block(position)),
            Part::Run(run, _) => run.block(position, reach),
        }
    }

    /// The first streams in order of their names that begin in this part and are not before
    /// `from`, at most `limit`.
    pub(crate) fn names(
        &self,
        from: std::ops::Bound<&StreamId>,
        through: Position,
        limit: usize,
        reach: Reach,
    ) -> Result<Vec<StreamId>, Fault> {
        match self {
            Part::Table(table) => Ok(read(table).names(from, through, limit)),
            Part::Run(run, _) => run.names(from, limit, reach),
        }
    }
}

pub(crate) fn read(table: &RwLock<Table>) -> std::sync::RwLockReadGuard<'_, Table> {
    table.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write(table: &RwLock<Table>) -> std::sync::RwLockWriteGuard<'_, Table> {
    table.write().unwrap_or_else(PoisonError::into_inner)
}
