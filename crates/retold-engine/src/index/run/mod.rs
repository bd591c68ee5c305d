//! A run: an immutable file that answers for a stretch of positions. FORMAT.md draws it.

mod build;
mod cursor;
mod filter;
mod header;
mod kept;
mod names;
mod page;
mod search;
mod source;
#[cfg(test)]
mod tests;
mod writer;

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use retold_core::{Position, StreamId};
use smallvec::SmallVec;

use super::Location;
use super::cache::PageCache;
use super::keys::{SHORT_BITS, ShortHash, StreamKey, short};
use super::part::{AskedId, Block, Fault, Reach, RunNumber, Span};
use super::statistics::{Counters, add};
use super::table::MISSING;
use crate::disk::File;
use crate::log::coding::array;
use crate::state::Facts;
use kept::Filter;
use page::Shape;

pub(crate) use build::{BuildError, Building};
pub(crate) use filter::FilterKey;
pub(crate) use header::{HEADER_BYTES, Header, Section};
pub(crate) use kept::Filters;
pub(crate) use page::{PAGE_BYTES_MAX, PAGE_BYTES_MIN, Page};
pub(crate) use source::{Merged, Sorted};

/// Bytes of what the facts of a run may take: a damaged header must not claim memory.
const FACTS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Pages that are read at once when all of them are checked.
const PAGES_AT_ONCE: u32 = 64;

/// An open run.
pub(crate) struct Run {
    pub(crate) number: RunNumber,
    pub(crate) name: String,
    pub(crate) header: Header,
    shape: Shape,
    file: Arc<dyn File>,
    cache: Arc<PageCache>,
    /// How many ids were looked up for which pages of the filter had to be taken.
    asked: AtomicU64,
}

impl Run {
    pub(crate) fn new(
        number: RunNumber,
        name: String,
        header: Header,
        file: Arc<dyn File>,
        cache: Arc<PageCache>,
    ) -> Run {
        Run {
            number,
            name,
            shape: Shape::of(&header),
            header,
            file,
            cache,
            asked: AtomicU64::new(0),
        }
    }

    pub(crate) fn first(&self) -> Position {
        self.header.first()
    }

    pub(crate) fn last(&self) -> Position {
        self.header.last()
    }

    /// Positions in the run.
    pub(crate) fn len(&self) -> u64 {
        self.last() + 1 - self.first()
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.header.file_bytes()
    }

    /// Reads every page and checks it.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        for section in Section::ALL {
            let place = self.header.section(section);
            let end = place.first_page + place.pages;
            for first in (place.first_page..end).step_by(PAGES_AT_ONCE as usize) {
                self.read_pages(first, PAGES_AT_ONCE.min(end - first))?;
            }
        }
        Ok(())
    }

    pub(crate) fn location(
        &self,
        position: Position,
        reach: Reach,
        held: &mut Held<'_>,
    ) -> Result<Option<Location>, Fault> {
        let at = position - self.first();
        let location = decode_location(self.entry(Section::Locations, at, reach, held)?);
        Ok((location.bytes > 0).then_some(location))
    }

    /// Adds where the records from one position of the run to another lie.
    pub(crate) fn locations(
        &self,
        first: Position,
        last: Position,
        reach: Reach,
        locations: &mut Vec<Option<Location>>,
    ) -> Result<(), Fault> {
        let in_page = self.header.entries_per_page(Section::Locations);
        let (mut at, end) = (first - self.first(), last + 1 - self.first());
        let mut held = self.hold();
        while at < end {
            let count = (in_page - at % in_page).min(end - at);
            let entries = self.entries(Section::Locations, at, count, reach, &mut held)?;
            let found = entries.chunks_exact(LOCATION_BYTES).map(decode_location);
            locations.extend(found.map(|location| (location.bytes > 0).then_some(location)));
            at += count;
        }
        Ok(())
    }

    /// Whether an event id is not outside of those of the run.
    fn may_hold(&self, asked: &AskedId) -> bool {
        let (least, greatest) = self.header.ids;
        (least..=greatest).contains(&asked.event_id)
    }

    /// Has the lines of a filter that is kept taken from memory, and does not wait for them.
    pub(crate) fn touch_ids(&self, asked: &[AskedId], filters: &Filters) {
        for asked in asked.iter().filter(|asked| self.may_hold(asked)) {
            filters.touch_id(&asked.key);
        }
    }

    /// Adds where some event ids may stand. They come in the order of their hashes, so that each
    /// page is asked for once.
    pub(crate) fn find_ids(
        &self,
        asked: &[AskedId],
        filters: Option<&Filters>,
        reach: Reach,
        found: &mut Vec<(usize, Position)>,
    ) -> Result<(), Fault> {
        let mut filter = self.filter(Section::IdFilter, filters);
        if filters.is_none() {
            self.asked.fetch_add(asked.len() as u64, Ordering::Relaxed);
        }
        for asked in asked.chunks(filter::AT_ONCE) {
            let within: SmallVec<[&AskedId; filter::AT_ONCE]> =
                asked.iter().filter(|asked| self.may_hold(asked)).collect();
            let keys = within.iter().map(|asked| &asked.key);
            let mut held = filter.may_hold_some(keys, reach)?;
            while held != 0 {
                let asked = within[held.trailing_zeros() as usize];
                held &= held - 1;
                let listed = self.listed(Section::Ids, asked.key.hash, 0, usize::MAX, reach)?;
                found.extend(listed.into_iter().map(|position| (asked.place, position)));
            }
        }
        Ok(())
    }

    /// The events of each of some streams, which come in the order of their keys.
    pub(crate) fn spans<'a>(
        &'a self,
        keys: impl Iterator<Item = StreamKey> + 'a,
        filters: Option<&'a Filters>,
        reach: Reach,
    ) -> impl Iterator<Item = Result<Option<Span>, Fault>> + 'a {
        let mut filter = self.filter(Section::StreamFilter, filters);
        let mut streams = self.hold();
        keys.map(move |key| self.span_in(key, reach, &mut filter, &mut streams))
    }

    pub(crate) fn span(
        &self,
        key: StreamKey,
        filters: Option<&Filters>,
        reach: Reach,
    ) -> Result<Option<Span>, Fault> {
        let mut filter = self.filter(Section::StreamFilter, filters);
        self.span_in(key, reach, &mut filter, &mut self.hold())
    }

    fn span_in(
        &self,
        key: StreamKey,
        reach: Reach,
        filter: &mut Filter<'_>,
        streams: &mut Held<'_>,
    ) -> Result<Option<Span>, Fault> {
        if !filter.may_hold(&FilterKey::new(short(key)), reach)? {
            return Ok(None);
        }
        let at = self.lower_bound(Section::Streams, key, reach, streams)?;
        if at == self.header.section(Section::Streams).entries {
            return Ok(None);
        }
        let entry = self.entry(Section::Streams, at, reach, streams)?;
        let (found, span) = decode_span(entry, self.first());
        // A count of nothing is never written.
        if span.count == 0 {
            return Err(self.bad());
        }
        Ok((found == key).then_some(span))
    }

    pub(crate) fn stream_positions(
        &self,
        span: &Span,
        from: u32,
        count: u32,
        reach: Reach,
    ) -> Result<Vec<Option<Position>>, Fault> {
        let end = span.count.min(from.saturating_add(count));
        let mut held = self.hold();
        (from..end)
            .map(|nth| self.stream_position(span, nth, reach, &mut held))
            .collect()
    }

    pub(crate) fn count_through(
        &self,
        span: &Span,
        position: Position,
        reach: Reach,
    ) -> Result<u32, Fault> {
        if span.last <= position {
            return Ok(span.count);
        }
        // Entries before `low` are not behind the position, those from `high` on are.
        let (mut low, mut high) = (0, span.count);
        let mut held = self.hold();
        while low < high {
            let middle = low + (high - low) / 2;
            // A missing event has no position: it goes with the next one that has.
            let mut nth = middle;
            let found = loop {
                match self.stream_position(span, nth, reach, &mut held)? {
                    Some(found) => break Some(found),
                    None if nth + 1 < high => nth += 1,
                    None => break None,
                }
            };
            match found {
                Some(found) if found <= position => low = nth + 1,
                _ => high = middle,
            }
        }
        // Missing events behind the last one that is there do not count.
        while low > 0
            && self
                .stream_position(span, low - 1, reach, &mut held)?
                .is_none()
        {
            low -= 1;
        }
        Ok(low)
    }

    pub(crate) fn postings(
        &self,
        hash: ShortHash,
        after: Position,
        limit: usize,
        reach: Reach,
    ) -> Result<Vec<Position>, Fault> {
        self.listed(Section::Terms, hash, after, limit, reach)
    }

    pub(crate) fn block(&self, position: Position, reach: Reach) -> Result<Block, Fault> {
        let at = Block::number(position) - Block::number(self.first());
        let mut held = self.hold();
        let entry = self.entry(Section::Blocks, at, reach, &mut held)?;
        page::decode_block(entry).ok_or(self.bad())
    }

    pub(crate) fn names(
        &self,
        from: Bound<&StreamId>,
        limit: usize,
        reach: Reach,
    ) -> Result<Vec<StreamId>, Fault> {
        names::list(self, from, limit, reach)
    }

    /// Whether the file is there when the log is opened next.
    pub(crate) fn has_name(&self) -> bool {
        self.name.ends_with(".run")
    }

    /// What the log said up to the end of the run.
    pub(crate) fn facts(&self) -> Result<Facts, Fault> {
        let place = self.header.section(Section::Facts);
        if place.entries > FACTS_BYTES_MAX {
            return Err(self.bad());
        }
        let mut bytes = Vec::new();
        for page in place.first_page..place.first_page + place.pages {
            bytes.extend_from_slice(self.page(page, Reach::Disk)?.payload());
        }
        bytes.truncate(usize::try_from(place.entries).unwrap_or(usize::MAX));
        let mut facts = Facts::from_json(&bytes).ok_or(self.bad())?;
        // What was accepted behind it may be lost again, with its acceptance.
        facts.forget_behind(&self.header.end);
        Ok(facts)
    }

    /// The positions behind `after` that are listed under a hash, in ascending order.
    fn listed(
        &self,
        section: Section,
        hash: ShortHash,
        after: Position,
        limit: usize,
        reach: Reach,
    ) -> Result<Vec<Position>, Fault> {
        let from = (after + 1).saturating_sub(self.first());
        let Ok(from) = u32::try_from(from) else {
            return Ok(Vec::new());
        };
        let first = u128::from(hash) << 32 | u128::from(from);
        let mut held = self.hold();
        let mut at = self.lower_bound(section, first, reach, &mut held)?;
        let mut positions = Vec::new();
        let entries = self.header.section(section).entries;
        while positions.len() < limit && at < entries {
            let entry = self.entry(section, at, reach, &mut held)?;
            let (found, position) = decode_posting(entry);
            if found != hash {
                break;
            }
            positions.push(self.first() + Position::from(position));
            at += 1;
        }
        Ok(positions)
    }

    fn stream_position(
        &self,
        span: &Span,
        nth: u32,
        reach: Reach,
        held: &mut Held<'_>,
    ) -> Result<Option<Position>, Fault> {
        let at = u64::from(span.start) + u64::from(nth);
        let entry = self.entry(Section::Positions, at, reach, held)?;
        let position = u32::from_le_bytes(array(entry));
        Ok((position != MISSING).then(|| self.first() + Position::from(position)))
    }

    /// An entry of fixed size.
    fn entry<'a>(
        &self,
        section: Section,
        at: u64,
        reach: Reach,
        held: &'a mut Held<'_>,
    ) -> Result<&'a [u8], Fault> {
        self.entries(section, at, 1, reach, held)
    }

    /// So many entries of fixed size, which lie in one page.
    fn entries<'a>(
        &self,
        section: Section,
        at: u64,
        count: u64,
        reach: Reach,
        held: &'a mut Held<'_>,
    ) -> Result<&'a [u8], Fault> {
        let place = self.header.section(section);
        if at + count > place.entries {
            return Err(self.bad());
        }
        let in_page = self.header.entries_per_page(section);
        let page = place.first_page + u32::try_from(at / in_page).map_err(|_| self.bad())?;
        let bytes = section.entry_bytes();
        let from = (at % in_page) as usize * bytes;
        let page = self.held(page, reach, held)?;
        Ok(&page.payload()[from..from + bytes * count as usize])
    }

    /// A page that may be the one that was asked for last.
    fn held<'a>(&self, number: u32, reach: Reach, held: &'a mut Held) -> Result<&'a Page, Fault> {
        if held.page.as_ref().is_none_or(|(held, _)| *held != number) {
            let cached = self.cache.get(self.number, number);
            held.hits += u64::from(cached.is_some());
            let page = cached.map_or_else(|| self.page(number, reach), Ok)?;
            held.page = Some((number, page));
        }
        let (_, page) = held.page.as_ref().expect("a page was taken");
        Ok(page)
    }

    /// Holds no page of the run yet.
    pub(crate) fn hold(&self) -> Held<'_> {
        Held {
            page: None,
            hits: 0,
            counters: Some(&self.cache.counters),
        }
    }

    /// A page from the file.
    fn page(&self, number: u32, reach: Reach) -> Result<Page, Fault> {
        add(&self.cache.counters.misses);
        let page = match reach {
            Reach::Memory => {
                page::read_at_once(&*self.file, self.shape, number).ok_or(Fault::Cold)?
            }
            Reach::Disk => self.read_pages(number, 1)?.pop().ok_or(self.bad())?,
        };
        self.cache.put(self.number, number, page.clone());
        Ok(page)
    }

    /// Pages straight from the file.
    fn read_pages(&self, first: u32, count: u32) -> Result<Vec<Page>, Fault> {
        page::read(&*self.file, self.shape, first, count).map_err(|reason| {
            tracing::warn!(
                run = self.name,
                page = first,
                reason,
                "a run is not as it was written"
            );
            self.bad()
        })
    }

    fn bad(&self) -> Fault {
        Fault::Bad(self.number)
    }
}

/// The page of a run that was asked for last: neighbours need not go to the cache.
#[derive(Default)]
pub(crate) struct Held<'a> {
    page: Option<(u32, Page)>,
    /// Pages that the cache had; counted for all at once.
    hits: u64,
    counters: Option<&'a Counters>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(counters) = self.counters.filter(|_| self.hits > 0) {
            counters.hits.fetch_add(self.hits, Ordering::Relaxed);
        }
    }
}

/// Bytes of a location: an offset of 32 bits and a length of 24.
const LOCATION_BYTES: usize = 7;

fn encode_location(location: Location) -> [u8; LOCATION_BYTES] {
    let mut bytes = [0; LOCATION_BYTES];
    bytes[..4].copy_from_slice(&location.offset.to_le_bytes());
    bytes[4..].copy_from_slice(&location.bytes.to_le_bytes()[..3]);
    bytes
}

fn decode_location(bytes: &[u8]) -> Location {
    Location {
        offset: u32::from_le_bytes(array(&bytes[..4])),
        bytes: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], 0]),
    }
}

/// Bytes of a posting: a hash of 48 bits and a position counted from the first of the run,
/// high bytes first, so that the order of the bytes is the order of the entries.
const POSTING_BYTES: usize = 10;

fn encode_posting(hash: ShortHash, position: u32) -> [u8; POSTING_BYTES] {
    let mut bytes = [0; POSTING_BYTES];
    bytes[..6].copy_from_slice(&hash.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&position.to_be_bytes());
    bytes
}

fn decode_posting(bytes: &[u8]) -> (ShortHash, u32) {
    let hash = [
        0, 0, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5],
    ];
    (
        u64::from_be_bytes(hash),
        u32::from_be_bytes(array(&bytes[6..POSTING_BYTES])),
    )
}

/// Bytes of a stream: its key, first sequence number, count, where its positions are listed,
/// and its newest position.
const SPAN_BYTES: usize = 36;

fn encode_span(key: StreamKey, span: &Span, first: Position) -> [u8; SPAN_BYTES] {
    let mut bytes = [0; SPAN_BYTES];
    let last = u32::try_from(span.last - first).expect("a run holds fewer than 2^32 positions");
    bytes[..16].copy_from_slice(&key.to_be_bytes());
    bytes[16..24].copy_from_slice(&span.first_sequence.to_le_bytes());
    bytes[24..28].copy_from_slice(&span.count.to_le_bytes());
    bytes[28..32].copy_from_slice(&span.start.to_le_bytes());
    bytes[32..].copy_from_slice(&last.to_le_bytes());
    bytes
}

fn decode_span(bytes: &[u8], first: Position) -> (StreamKey, Span) {
    let number = |at: usize| u32::from_le_bytes(array(&bytes[at..at + 4]));
    let span = Span {
        first_sequence: u64::from_le_bytes(array(&bytes[16..24])),
        count: number(24),
        start: number(28),
        last: first + Position::from(number(32)),
    };
    (u128::from_be_bytes(array(&bytes[..16])), span)
}

const _: () = assert!(SHORT_BITS == 48 && POSTING_BYTES == 6 + 4);
