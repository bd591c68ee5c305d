//! Builds a run from a source, a bounded piece of work at a time.

use std::io;
use std::sync::Arc;

use super::cursor::Flat;
use super::filter;
use super::header::{Header, Section};
use super::names;
use super::page::encode_block;
use super::source::{Items, Posting, Source};
use super::writer::Writer;
use super::{Fault, encode_location, encode_posting, encode_span};
use crate::disk::File;
use crate::index::Location;
use crate::index::keys::{ShortHash, StreamKey, short};
use crate::index::part::{Block, Span};
use crate::index::table::MISSING;
use retold_core::{Position, StreamId};

/// Why a run was not built.
#[derive(Debug)]
pub(crate) enum BuildError {
    /// What it is built from is not as it was written.
    Fault(Fault),
    Io(io::Error),
}

impl From<Fault> for BuildError {
    fn from(fault: Fault) -> Self {
        BuildError::Fault(fault)
    }
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> Self {
        BuildError::Io(error)
    }
}

/// A run in the making.
pub(crate) struct Building {
    source: Arc<dyn Source>,
    header: Header,
    writer: Writer,
    stage: Stage,
}

/// The section that is being written.
enum Stage {
    Locations(Items<Location>),
    Blocks(Items<Block>),
    Ids(Items<Posting>),
    IdFilter(FilterPages),
    Streams(Items<(StreamKey, Span)>, u32),
    StreamFilter(FilterPages),
    Positions(Items<Option<Position>>),
    Terms(Items<Posting>),
    Names(Items<(StreamId, Position)>),
    /// Whether they are written.
    Facts(bool),
}

impl Building {
    /// Begins a run in an empty file; one that is synced is so when it is finished.
    pub(crate) fn new(source: Arc<dyn Source>, file: Arc<dyn File>, is_synced: bool) -> Building {
        let header = source.header();
        Building {
            writer: Writer::new(file, &header, is_synced),
            stage: Stage::Locations(source.locations()),
            header,
            source,
        }
    }

    /// Writes at least so many entries, and a few thousand more at most; true once all are
    /// written.
    pub(crate) fn advance(&mut self, entries: usize) -> Result<bool, BuildError> {
        let mut left = entries.max(1);
        while left > 0 {
            match self.write()? {
                Some(written) => left = left.saturating_sub(written.max(1)),
                None if self.next_section()? => return Ok(true),
                None => {}
            }
        }
        Ok(false)
    }

    /// Writes the header.
    pub(crate) fn finish(self) -> io::Result<(Header, Arc<dyn File>)> {
        let file = self.writer.finish(&self.header)?;
        Ok((self.header, file))
    }

    /// Writes a piece of the section; returns how many entries it had, and none behind the last.
    fn write(&mut self) -> Result<Option<usize>, BuildError> {
        let first = self.header.first();
        let relative = |position: Position| {
            u32::try_from(position.wrapping_sub(first))
                .map_err(|_| io::Error::other("a run holds too many positions"))
        };
        let writer = &mut self.writer;
        match &mut self.stage {
            Stage::Locations(items) => {
                write_each(items, |location| writer.push(&encode_location(location), 1))
            }
            Stage::Blocks(items) => {
                write_each(items, |block| writer.push(&encode_block(&block), 1))
            }
            Stage::Ids(items) | Stage::Terms(items) => write_each(items, |(hash, position)| {
                writer.push(&encode_posting(hash, relative(position)?), 1)
            }),
            Stage::IdFilter(pages) | Stage::StreamFilter(pages) => pages.write(writer),
            Stage::Streams(items, start) => write_each(items, |(key, span)| {
                let listed = Span {
                    start: *start,
                    ..span
                };
                writer.push(&encode_span(key, &listed, first), 1)?;
                *start = start
                    .checked_add(span.count)
                    .ok_or_else(|| io::Error::other("a run lists too many positions"))?;
                Ok(())
            }),
            Stage::Positions(items) => write_each(items, |position| {
                let at = position.map_or(Ok(MISSING), relative)?;
                writer.push(&at.to_le_bytes(), 1)
            }),
            Stage::Names(items) => write_each(items, |(name, position)| {
                let bytes = names::encode(&name, relative(position)?);
                writer.push(&bytes, bytes.len() as u64)
            }),
            Stage::Facts(is_written) => {
                if std::mem::replace(is_written, true) {
                    return Ok(None);
                }
                let facts = self.source.facts()?;
                for part in facts.chunks(self.header.payload_bytes()) {
                    writer.push(part, part.len() as u64)?;
                }
                Ok(Some(1))
            }
        }
    }

    /// Ends the section; true behind the last one.
    fn next_section(&mut self) -> Result<bool, BuildError> {
        let mut place = self.writer.end_section()?;
        let payload_bytes = self.header.payload_bytes();
        let source = &self.source;
        let (section, next) = match &self.stage {
            Stage::Locations(_) => (Section::Locations, Some(Stage::Blocks(source.blocks()))),
            Stage::Blocks(_) => (Section::Blocks, Some(Stage::Ids(source.ids()))),
            Stage::Ids(_) => {
                let hashes = hashes(source.ids(), |(hash, _)| *hash);
                let pages = FilterPages::new(place.entries, hashes, payload_bytes);
                (Section::Ids, Some(Stage::IdFilter(pages)))
            }
            Stage::IdFilter(pages) => {
                place.entries = pages.probes();
                let streams = source.streams();
                (Section::IdFilter, Some(Stage::Streams(streams, 0)))
            }
            Stage::Streams(..) => {
                let hashes = hashes(source.streams(), |(key, _)| short(*key));
                let pages = FilterPages::new(place.entries, hashes, payload_bytes);
                (Section::Streams, Some(Stage::StreamFilter(pages)))
            }
            Stage::StreamFilter(pages) => {
                place.entries = pages.probes();
                let positions = source.positions();
                (Section::StreamFilter, Some(Stage::Positions(positions)))
            }
            Stage::Positions(_) => (Section::Positions, Some(Stage::Terms(source.terms()))),
            Stage::Terms(_) => (Section::Terms, Some(Stage::Names(source.names()))),
            Stage::Names(_) => (Section::Names, Some(Stage::Facts(false))),
            Stage::Facts(_) => (Section::Facts, None),
        };
        self.header.places[section as usize] = place;
        match next {
            Some(next) => {
                self.stage = next;
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

/// Writes the entries of the next piece; returns how many there were, and none behind the last.
fn write_each<T>(
    items: &mut Items<T>,
    write: impl FnMut(T) -> io::Result<()>,
) -> Result<Option<usize>, BuildError> {
    let Some(piece) = items.next().transpose()? else {
        return Ok(None);
    };
    let written = piece.len();
    piece.into_iter().try_for_each(write)?;
    Ok(Some(written))
}

fn hashes<T: 'static>(
    items: Items<T>,
    hash: impl Fn(&T) -> ShortHash + Copy + Send + 'static,
) -> Items<ShortHash> {
    Box::new(items.map(move |piece| Ok(piece?.iter().map(hash).collect())))
}

/// The pages of a filter, made of hashes in their order.
struct FilterPages {
    hashes: Flat<ShortHash>,
    size: filter::Size,
    pages: u32,
    next: u32,
    payload: Vec<u8>,
}

impl FilterPages {
    fn new(keys: u64, hashes: Items<ShortHash>, payload_bytes: usize) -> FilterPages {
        FilterPages {
            hashes: Flat::new(hashes),
            size: filter::size(keys),
            pages: filter::pages(keys, payload_bytes),
            next: 0,
            payload: vec![0; payload_bytes],
        }
    }

    /// How many bits each key sets; none where there is no key.
    fn probes(&self) -> u64 {
        if self.pages == 0 { 0 } else { self.size.probes }
    }

    /// Writes a page; returns how many keys it has, and none behind the last page.
    fn write(&mut self, writer: &mut Writer) -> Result<Option<usize>, BuildError> {
        if self.next == self.pages {
            return Ok(None);
        }
        self.payload.fill(0);
        let (page, pages) = (self.next, self.pages);
        let mut keys = 0;
        loop {
            let piece = self.hashes.piece()?;
            let at_hand = piece.as_slice();
            let is_here = |hash: &&ShortHash| filter::page_of(**hash, pages) == page;
            let here = at_hand.iter().take_while(is_here).count();
            let goes_on = here > 0 && here == at_hand.len();
            for hash in piece.take(here) {
                filter::insert(&mut self.payload, hash, self.size.probes);
            }
            keys += here;
            if !goes_on {
                break;
            }
        }
        writer.push(&self.payload, self.payload.len() as u64)?;
        self.next += 1;
        Ok(Some(keys))
    }
}
