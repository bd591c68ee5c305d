//! What a run is built from: a table in memory, or runs that become one. Both give the same
//! entries in the same orders.

use std::sync::{Arc, RwLock};

use retold_core::{LogId, Position, StreamId, Timestamp};
use uuid::Uuid;

use super::cursor::{Cursor, Flat, NameCursor, Ordered};
use super::header::{Header, Place, Section};
use super::page;
use super::{Fault, Run, decode_location, decode_posting, decode_span};
use crate::index::Location;
use crate::index::keys::{Keys, ShortHash, StreamKey};
use crate::index::part::{Block, Span, read};
use crate::index::table::{MISSING, Table};
use crate::log::coding::array;
use crate::planted::{self, Bug};

/// Entries in their order, in pieces: what is done for each of them is compiled in one place.
/// Nothing comes behind a fault.
pub(crate) type Items<T> = Box<dyn Iterator<Item = Result<Vec<T>, Fault>> + Send>;

/// Entries of a piece, about.
pub(super) const PIECE_ENTRIES: usize = 4 * 1024;

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
        let pieces = (0..list(&lists).len()).step_by(PIECE_ENTRIES);
        Box::new(pieces.map(move |from| {
            let rest = &list(&lists)[from..];
            Ok(rest[..rest.len().min(PIECE_ENTRIES)].to_vec())
        }))
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
    fn cursors<T: 'static>(
        &self,
        section: Section,
        decode: impl Fn(&Run, &[u8]) -> T + Copy + Send + 'static,
    ) -> Vec<Items<T>> {
        let drops_newest = planted::is(Bug::MergeDropsNewest) && section == Section::Ids;
        let kept = self.0.len() - usize::from(drops_newest);
        let cursor = |run| Box::new(Cursor::new(run, section, decode)) as Items<T>;
        self.0[..kept].iter().map(cursor).collect()
    }

    fn postings(&self, section: Section) -> Items<Posting> {
        let decode = |run: &Run, bytes: &[u8]| {
            let (hash, at) = decode_posting(bytes);
            (hash, run.first() + Position::from(at))
        };
        // Postings of a run lie behind those of the runs before it.
        let hash = |(hash, _): &Posting| *hash;
        Box::new(Ordered::new(self.cursors(section, decode), hash))
    }

    /// The spans of each stream, each with the place of its run, in the order of the keys, then
    /// of the runs.
    fn spans(&self) -> Items<(StreamKey, usize, Span)> {
        let runs = self.0.iter().enumerate();
        let numbered = runs.map(|(number, run)| {
            let decode = move |run: &Run, bytes: &[u8]| {
                let (key, span) = decode_span(bytes, run.first());
                (key, number, span)
            };
            Box::new(Cursor::new(run, Section::Streams, decode)) as Items<_>
        });
        let key = |(key, ..): &(StreamKey, usize, Span)| *key;
        Box::new(Ordered::new(numbered.collect(), key))
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
        let cursors = self.cursors(Section::Locations, |_, bytes| decode_location(bytes));
        Box::new(cursors.into_iter().flatten())
    }

    fn blocks(&self) -> Items<Block> {
        // Blocks are few.
        let joined = || {
            let mut joined: Vec<Block> = Vec::new();
            let mut last = None;
            for run in self.0.iter() {
                let mut number = Block::number(run.first());
                let decode = |run: &Run, bytes: &[u8]| page::decode_block(bytes).ok_or(run.bad());
                for block in Cursor::new(run, Section::Blocks, decode) {
                    for block in block? {
                        match joined.last_mut() {
                            // Two runs may share the block in which one ends and the next
                            // begins.
                            Some(shared) if last == Some(number) => shared.widen(&block?),
                            _ => joined.push(block?),
                        }
                        last = Some(number);
                        number += 1;
                    }
                }
            }
            Ok(joined)
        };
        Box::new(std::iter::once(joined()))
    }

    fn ids(&self) -> Items<Posting> {
        self.postings(Section::Ids)
    }

    fn streams(&self) -> Items<(StreamKey, Span)> {
        let mut spans = self.spans();
        // What the next span may belong to.
        let mut last: Option<(StreamKey, Span)> = None;
        Box::new(std::iter::from_fn(move || {
            let Some(piece) = spans.next() else {
                return last.take().map(|last| Ok(vec![last]));
            };
            let mut streams = Vec::new();
            for (key, _, span) in match piece {
                Ok(piece) => piece,
                Err(fault) => return Some(Err(fault)),
            } {
                match &mut last {
                    Some((known, joined)) if *known == key => {
                        join(joined, &span);
                    }
                    _ => streams.extend(last.replace((key, span))),
                }
            }
            Some(Ok(streams))
        }))
    }

    fn positions(&self) -> Items<Option<Position>> {
        let decode = |run: &Run, bytes: &[u8]| {
            let at = u32::from_le_bytes(array(bytes));
            (at != MISSING).then(|| run.first() + Position::from(at))
        };
        let lists = self.cursors(Section::Positions, decode).into_iter();
        let bad = self.0.iter().map(|run| run.bad());
        Box::new(Positions {
            lists: lists.map(Flat::new).zip(bad).collect(),
            spans: Flat::new(self.spans()),
            joined: None,
            missing: 0,
            listed: (0, 0),
        })
    }

    fn terms(&self) -> Items<Posting> {
        self.postings(Section::Terms)
    }

    fn names(&self) -> Items<(StreamId, Position)> {
        let cursors = self
            .0
            .iter()
            .map(|run| Box::new(NameCursor::new(run)) as Items<_>);
        let name = |(name, _): &(StreamId, Position)| name.clone();
        Box::new(Ordered::new(cursors.collect(), name))
    }

    fn facts(&self) -> Result<Vec<u8>, Fault> {
        Ok(self.0[self.0.len() - 1].facts()?.to_json())
    }
}

/// Where the events of each stream lie, in the order of the streams, of several runs.
struct Positions {
    /// What each run lists, and what to say where it ends too early.
    lists: Vec<(Flat<Option<Position>>, Fault)>,
    spans: Flat<(StreamKey, usize, Span)>,
    joined: Option<(StreamKey, Span)>,
    /// Events of the stream that are missing before the next one.
    missing: u32,
    /// Whose list goes on, and for how many events.
    listed: (usize, u32),
}

impl Positions {
    fn piece(&mut self) -> Result<Vec<Option<Position>>, Fault> {
        let mut piece = Vec::with_capacity(PIECE_ENTRIES);
        while piece.len() < PIECE_ENTRIES {
            let room = PIECE_ENTRIES - piece.len();
            let missing = room.min(self.missing as usize);
            piece.extend(std::iter::repeat_n(None, missing));
            self.missing -= missing as u32;
            if self.missing > 0 {
                break;
            }
            let (run, left) = self.listed;
            if left > 0 {
                let count = left.min((PIECE_ENTRIES - piece.len()) as u32);
                self.take(run, count, &mut piece)?;
                self.listed = (run, left - count);
                continue;
            }
            let Some((key, run, span)) = self.spans.piece()?.next() else {
                break;
            };
            let follows = match &mut self.joined {
                Some((known, joined)) if *known == key => join(joined, &span),
                _ => {
                    self.joined = Some((key, span));
                    Some(0)
                }
            };
            match follows {
                Some(passed_over) => (self.missing, self.listed) = (passed_over, (run, span.count)),
                None => self.take(run, span.count, &mut Vec::new())?,
            }
        }
        Ok(piece)
    }

    /// Takes so many positions off the list of a run.
    fn take(
        &mut self,
        run: usize,
        count: u32,
        piece: &mut Vec<Option<Position>>,
    ) -> Result<(), Fault> {
        let (list, bad) = &mut self.lists[run];
        let mut left = count as usize;
        while left > 0 {
            let at_hand = list.piece()?;
            let taken = left.min(at_hand.len());
            // A list that ends too early must not pass for a whole one.
            if taken == 0 {
                return Err(*bad);
            }
            piece.extend(at_hand.take(taken));
            left -= taken;
        }
        Ok(())
    }
}

impl Iterator for Positions {
    type Item = Result<Vec<Option<Position>>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.piece() {
            Ok(piece) if piece.is_empty() => None,
            piece => Some(piece),
        }
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
