//! What a run is built from: a table in memory, or runs that become one. Both give the same
//! entries in the same orders.

use std::sync::{Arc, RwLock};

use retold_core::{LogId, Position, StreamId, Timestamp};
use uuid::Uuid;

use super::cursor::{Cursor, NameCursor, Ordered};
use super::header::{Header, Place, Section};
use super::page;
use super::{Fault, Run, decode_location, decode_posting, decode_span};
use crate::index::Location;
use crate::index::keys::{Keys, ShortHash, StreamKey};
use crate::index::part::{Block, Span, read};
use crate::index::table::{MISSING, Table};
use crate::log::coding::array;
use crate::planted::{self, Bug};

/// Entries in their order.
pub(crate) type Items<T> = Box<dyn Iterator<Item = Result<T, Fault>> + Send>;

/// A hash and the position that is listed under it.
pub(crate) type Posting = (ShortHash, Position);

/// What a run is built from.
pub(crate) trait Source: Send + Sync {
    /// The header of the run, without the places of its sections.
    fn header(&self) -> Header;
    fn locations(&self) -> Items<Location>;
    fn blocks(&self) -> Items<Block>;
    fn ids(&self) -> Items<Posting>;
    /// Where their positions are listed is left open.
    fn streams(&self) -> Items<(StreamKey, Span)>;
    fn positions(&self) -> Items<Option<Position>>;
    fn terms(&self) -> Items<Posting>;
    fn names(&self) -> Items<(StreamId, Position)>;
    fn facts(&self) -> Result<Vec<u8>, Fault>;
}

/// A table that nothing is added to any more, put in order.
#[derive(Clone)]
pub(crate) struct Sorted(Arc<Lists>);

struct Lists {
    header: Header,
    locations: Vec<Location>,
    blocks: Vec<Block>,
    ids: Vec<Posting>,
    streams: Vec<(StreamKey, Span)>,
    positions: Vec<Option<Position>>,
    terms: Vec<Posting>,
    names: Vec<(StreamId, Position)>,
    facts: Vec<u8>,
}

impl Sorted {
    /// None where the table is still added to.
    pub(crate) fn new(
        table: &RwLock<Table>,
        keys: &Keys,
        log_id: LogId,
        page_bytes: u16,
    ) -> Option<Sorted> {
        let table = read(table);
        let (end, facts) = table.sealed.as_ref()?;
        let ids = table.ids.iter();
        let mut ids: Vec<Posting> = ids
            .map(|(id, at)| (keys.event(id), table.absolute(*at)))
            .collect();
        ids.sort_unstable();
        let mut terms = Vec::with_capacity(ids.len());
        for (hash, postings) in &table.terms {
            let positions = postings.as_slice().iter();
            terms.extend(positions.map(|at| (*hash, table.absolute(*at))));
        }
        terms.sort_unstable();
        let keys_in_order = {
            let mut keys: Vec<StreamKey> = table.streams.keys().copied().collect();
            keys.sort_unstable();
            keys
        };
        let mut streams = Vec::with_capacity(keys_in_order.len());
        let mut positions = Vec::with_capacity(ids.len());
        for key in keys_in_order {
            if let Some(span) = table.span(key, Position::MAX) {
                streams.push((key, span));
                positions.extend(table.stream_positions(key, 0, span.count));
            }
        }
        let events = table.locations.iter().filter(|at| at.bytes > 0).count() as u64;
        let extremes = table.blocks.iter().fold(Block::EMPTY, |mut all, block| {
            all.widen(block);
            all
        });
        let header = Header {
            page_bytes,
            log_id,
            era: facts.newest_log_id().unwrap_or(log_id),
            secret: keys.secret(),
            begin: table.begin,
            end: *end,
            events,
            persisted_at: table.last_persisted_at,
            last_event_id: table.last_event_id,
            ids: (
                table.ids.keys().min().copied().unwrap_or(Uuid::max()),
                table.ids.keys().max().copied().unwrap_or(Uuid::nil()),
            ),
            timestamps: (extremes.earliest, extremes.latest),
            places: Default::default(),
        };
        let names = table.names.iter();
        let lists = Lists {
            header,
            locations: table.locations.clone(),
            blocks: blocks_of(&table, end.next_position - 1),
            ids,
            streams,
            positions,
            terms,
            names: names
                .map(|(name, at)| (name.clone(), table.absolute(*at)))
                .collect(),
            facts: facts.to_json(),
        };
        Some(Sorted(Arc::new(lists)))
    }

    fn items<T: Clone + Send + 'static>(
        &self,
        list: impl Fn(&Lists) -> &Vec<T> + Send + 'static,
    ) -> Items<T> {
        let lists = Arc::clone(&self.0);
        let length = list(&lists).len();
        Box::new((0..length).map(move |at| Ok(list(&lists)[at].clone())))
    }
}

/// All blocks up to the last position, also those in which every event is lost.
fn blocks_of(table: &Table, last: Position) -> Vec<Block> {
    let count = Block::number(last) - Block::number(table.first()) + 1;
    let mut blocks = table.blocks.clone();
    blocks.resize(count as usize, Block::EMPTY);
    blocks
}

impl Source for Sorted {
    fn header(&self) -> Header {
        self.0.header.clone()
    }

    fn locations(&self) -> Items<Location> {
        self.items(|lists| &lists.locations)
    }

    fn blocks(&self) -> Items<Block> {
        self.items(|lists| &lists.blocks)
    }

    fn ids(&self) -> Items<Posting> {
        self.items(|lists| &lists.ids)
    }

    fn streams(&self) -> Items<(StreamKey, Span)> {
        self.items(|lists| &lists.streams)
    }

    fn positions(&self) -> Items<Option<Position>> {
        self.items(|lists| &lists.positions)
    }

    fn terms(&self) -> Items<Posting> {
        self.items(|lists| &lists.terms)
    }

    fn names(&self) -> Items<(StreamId, Position)> {
        self.items(|lists| &lists.names)
    }

    fn facts(&self) -> Result<Vec<u8>, Fault> {
        Ok(self.0.facts.clone())
    }
}

/// Runs that follow one another.
#[derive(Clone)]
pub(crate) struct Merged(pub(crate) Arc<[Arc<Run>]>);

impl Merged {
    fn cursors<T>(&self, section: Section, decode: fn(&Run, &[u8]) -> T) -> Vec<Cursor<T>> {
        let drops_newest = planted::is(Bug::MergeDropsNewest) && section == Section::Ids;
        let kept = self.0.len() - usize::from(drops_newest);
        let runs = self.0[..kept].iter();
        runs.map(|run| Cursor::new(run, section, decode)).collect()
    }

    fn chained<T: Send + 'static>(
        &self,
        section: Section,
        decode: fn(&Run, &[u8]) -> T,
    ) -> Items<T> {
        Box::new(self.cursors(section, decode).into_iter().flatten())
    }

    fn postings(&self, section: Section) -> Items<Posting> {
        let decode = |run: &Run, bytes: &[u8]| {
            let (hash, at) = decode_posting(bytes);
            (hash, run.first() + Position::from(at))
        };
        Box::new(Ordered::new(self.cursors(section, decode), |posting| {
            *posting
        }))
    }

    /// The spans of each stream, each with the place of its run, in the order of the keys, then
    /// of the runs.
    fn spans(&self) -> Ordered<(StreamKey, usize, Span), StreamKey> {
        let decode = |run: &Run, bytes: &[u8]| decode_span(bytes, run.first());
        let cursors = self.cursors(Section::Streams, decode).into_iter();
        let numbered = cursors.enumerate().map(|(number, cursor)| {
            cursor.map(move |item| item.map(|(key, span)| (key, number, span)))
        });
        Ordered::new(numbered.collect(), |(key, ..)| *key)
    }
}

impl Source for Merged {
    fn header(&self) -> Header {
        let headers = || self.0.iter().map(|run| &run.header);
        let (first, last) = (&self.0[0].header, &self.0[self.0.len() - 1].header);
        let least = headers().map(|header| header.ids.0).min();
        let greatest = headers().map(|header| header.ids.1).max();
        let earliest = headers().map(|header| header.timestamps.0).min();
        let latest = headers().map(|header| header.timestamps.1).max();
        let persisted_at = headers().map(|header| header.persisted_at).max();
        Header {
            begin: first.begin,
            events: headers().map(|header| header.events).sum(),
            ids: (
                least.unwrap_or(Uuid::max()),
                greatest.unwrap_or(Uuid::nil()),
            ),
            timestamps: (
                earliest.unwrap_or(Timestamp::MAX),
                latest.unwrap_or(Timestamp::MIN),
            ),
            persisted_at: persisted_at.unwrap_or(Timestamp::MIN),
            places: [Place::default(); Section::ALL.len()],
            ..last.clone()
        }
    }

    fn locations(&self) -> Items<Location> {
        self.chained(Section::Locations, |_, bytes| decode_location(bytes))
    }

    fn blocks(&self) -> Items<Block> {
        let runs = Arc::clone(&self.0);
        let all = runs.iter().flat_map(|run| {
            let first = Block::number(run.first());
            let cursor = Cursor::new(run, Section::Blocks, |_, bytes| page::decode_block(bytes));
            let bad = run.bad();
            cursor
                .zip(first..)
                .map(move |(block, number)| Ok((number, block?.ok_or(bad)?)))
        });
        // Two runs may share the block in which one ends and the next begins. Blocks are few.
        let mut joined: Vec<Result<(u64, Block), Fault>> = Vec::new();
        for next in all {
            match (joined.last_mut(), &next) {
                (Some(Ok((number, block))), Ok((next, more))) if number == next => {
                    block.widen(more);
                }
                _ => joined.push(next),
            }
        }
        Box::new(joined.into_iter().map(|next| next.map(|(_, block)| block)))
    }

    fn ids(&self) -> Items<Posting> {
        self.postings(Section::Ids)
    }

    fn streams(&self) -> Items<(StreamKey, Span)> {
        let mut spans = self.spans().peekable();
        Box::new(std::iter::from_fn(move || {
            let (key, _, mut joined) = match spans.next()? {
                Ok(span) => span,
                Err(fault) => return Some(Err(fault)),
            };
            while let Some(Ok((_, _, span))) =
                spans.next_if(|next| matches!(next, Ok((next, ..)) if *next == key))
            {
                join(&mut joined, &span);
            }
            Some(Ok((key, joined)))
        }))
    }

    fn positions(&self) -> Items<Option<Position>> {
        let decode = |run: &Run, bytes: &[u8]| {
            let at = u32::from_le_bytes(array(bytes));
            (at != MISSING).then(|| run.first() + Position::from(at))
        };
        let mut lists = self.cursors(Section::Positions, decode);
        let bad: Vec<Fault> = self.0.iter().map(|run| run.bad()).collect();
        let mut joined: Option<(StreamKey, Span)> = None;
        let (mut missing, mut number, mut listed) = (0_u32, 0, 0_u32);
        let mut spans = self.spans();
        Box::new(std::iter::from_fn(move || {
            loop {
                if missing > 0 {
                    missing -= 1;
                    return Some(Ok(None));
                }
                if listed > 0 {
                    listed -= 1;
                    // A list that ends too early must not pass for a whole one.
                    return Some(lists[number].next().unwrap_or(Err(bad[number])));
                }
                let (key, run, span) = match spans.next()? {
                    Ok(span) => span,
                    Err(fault) => return Some(Err(fault)),
                };
                number = run;
                let follows = match &mut joined {
                    Some((known, joined)) if *known == key => join(joined, &span),
                    _ => {
                        joined = Some((key, span));
                        Some(0)
                    }
                };
                match follows {
                    Some(passed_over) => (missing, listed) = (passed_over, span.count),
                    None => lists[run].by_ref().take(span.count as usize).for_each(drop),
                }
            }
        }))
    }

    fn terms(&self) -> Items<Posting> {
        self.postings(Section::Terms)
    }

    fn names(&self) -> Items<(StreamId, Position)> {
        let cursors = self.0.iter().map(NameCursor::new).collect();
        Box::new(Ordered::new(cursors, |(name, _): &(StreamId, Position)| {
            name.clone()
        }))
    }

    fn facts(&self) -> Result<Vec<u8>, Fault> {
        Ok(self.0[self.0.len() - 1].facts()?.to_json())
    }
}

/// Joins a span of a stream to the one before, and returns how many sequence numbers are
/// missing in between; none where it is left out, because it does not follow or too many are
/// missing: the stream is known to be incomplete then.
fn join(joined: &mut Span, next: &Span) -> Option<u32> {
    const MISSING_MAX: u64 = 1 << 20;
    let missing = next
        .first_sequence
        .checked_sub(joined.last_sequence().saturating_add(1))
        .filter(|missing| *missing <= MISSING_MAX)?;
    let missing = u32::try_from(missing).ok()?;
    joined.count = joined.count.checked_add(missing)?.checked_add(next.count)?;
    joined.last = next.last;
    Some(missing)
}
