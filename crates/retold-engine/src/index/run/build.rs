//! Builds a run from a source, a bounded piece of work at a time.

use std::io;
use std::sync::Arc;

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
    Facts,
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

    /// Writes at most about so many entries; true once all are written.
    pub(crate) fn advance(&mut self, entries: usize) -> Result<bool, BuildError> {
        let mut left = entries.max(1);
        while left > 0 {
            let (written, is_ended) = self.write(left)?;
            left = left.saturating_sub(written.max(1));
            if is_ended && self.next_section()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the header.
    pub(crate) fn finish(self) -> io::Result<(Header, Arc<dyn File>)> {
        let file = self.writer.finish(&self.header)?;
        Ok((self.header, file))
    }

    /// Writes entries of the section; returns how many, and whether there are no more.
    fn write(&mut self, entries: usize) -> Result<(usize, bool), BuildError> {
        let first = self.header.first();
        let relative = |position: Position| {
            u32::try_from(position.wrapping_sub(first))
                .map_err(|_| io::Error::other("a run holds too many positions"))
        };
        let writer = &mut self.writer;
        if let Stage::IdFilter(pages) | Stage::StreamFilter(pages) = &mut self.stage {
            return Ok((pages.keys_per_page(), pages.write(writer)?));
        }
        for written in 0..entries {
            let is_ended = match &mut self.stage {
                Stage::Locations(items) => match items.next().transpose()? {
                    Some(location) => {
                        writer.push(&encode_location(location), 1)?;
                        false
                    }
                    None => true,
                },
                Stage::Blocks(items) => match items.next().transpose()? {
                    Some(block) => {
                        writer.push(&encode_block(&block), 1)?;
                        false
                    }
                    None => true,
                },
                Stage::Ids(items) | Stage::Terms(items) => match items.next().transpose()? {
                    Some((hash, position)) => {
                        writer.push(&encode_posting(hash, relative(position)?), 1)?;
                        false
                    }
                    None => true,
                },
                Stage::IdFilter(_) | Stage::StreamFilter(_) => return Ok((written, false)),
                Stage::Streams(items, start) => match items.next().transpose()? {
                    Some((key, span)) => {
                        let listed = Span {
                            start: *start,
                            ..span
                        };
                        writer.push(&encode_span(key, &listed, first), 1)?;
                        *start = start
                            .checked_add(span.count)
                            .ok_or_else(|| io::Error::other("a run lists too many positions"))?;
                        false
                    }
                    None => true,
                },
                Stage::Positions(items) => match items.next().transpose()? {
                    Some(position) => {
                        let at = position.map_or(Ok(MISSING), relative)?;
                        writer.push(&at.to_le_bytes(), 1)?;
                        false
                    }
                    None => true,
                },
                Stage::Names(items) => match items.next().transpose()? {
                    Some((name, position)) => {
                        let bytes = names::encode(&name, relative(position)?);
                        writer.push(&bytes, bytes.len() as u64)?;
                        false
                    }
                    None => true,
                },
                Stage::Facts => {
                    let facts = self.source.facts()?;
                    for chunk in facts.chunks(self.header.payload_bytes()) {
                        writer.push(chunk, chunk.len() as u64)?;
                    }
                    true
                }
            };
            if is_ended {
                return Ok((written, true));
            }
        }
        Ok((entries, false))
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
                let hashes = source.ids().map(|posting| posting.map(|(hash, _)| hash));
                let pages = FilterPages::new(place.entries, Box::new(hashes), payload_bytes);
                (Section::Ids, Some(Stage::IdFilter(pages)))
            }
            Stage::IdFilter(pages) => {
                place.entries = pages.probes();
                let streams = source.streams();
                (Section::IdFilter, Some(Stage::Streams(streams, 0)))
            }
            Stage::Streams(..) => {
                let hashes = source.streams().map(|span| span.map(|(key, _)| short(key)));
                let pages = FilterPages::new(place.entries, Box::new(hashes), payload_bytes);
                (Section::Streams, Some(Stage::StreamFilter(pages)))
            }
            Stage::StreamFilter(pages) => {
                place.entries = pages.probes();
                let positions = source.positions();
                (Section::StreamFilter, Some(Stage::Positions(positions)))
            }
            Stage::Positions(_) => (Section::Positions, Some(Stage::Terms(source.terms()))),
            Stage::Terms(_) => (Section::Terms, Some(Stage::Names(source.names()))),
            Stage::Names(_) => (Section::Names, Some(Stage::Facts)),
            Stage::Facts => (Section::Facts, None),
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

/// The pages of a filter, made of hashes in their order.
struct FilterPages {
    hashes: std::iter::Peekable<Items<ShortHash>>,
    size: filter::Size,
    pages: u32,
    next: u32,
    payload_bytes: usize,
}

impl FilterPages {
    fn new(keys: u64, hashes: Items<ShortHash>, payload_bytes: usize) -> FilterPages {
        FilterPages {
            hashes: hashes.peekable(),
            size: filter::size(keys),
            pages: filter::pages(keys, payload_bytes),
            next: 0,
            payload_bytes,
        }
    }

    fn keys_per_page(&self) -> usize {
        self.payload_bytes
    }

    /// How many bits each key sets; none where there is no key.
    fn probes(&self) -> u64 {
        if self.pages == 0 { 0 } else { self.size.probes }
    }

    /// Writes a page; true where there are no more.
    fn write(&mut self, writer: &mut Writer) -> Result<bool, BuildError> {
        if self.next == self.pages {
            return Ok(true);
        }
        let mut payload = vec![0; self.payload_bytes];
        let (page, pages) = (self.next, self.pages);
        while let Some(hash) = self.hashes.next_if(|hash| match hash {
            Ok(hash) => filter::page_of(*hash, pages) == page,
            Err(_) => true,
        }) {
            filter::insert(&mut payload, hash?, self.size.probes);
        }
        writer.push(&payload, payload.len() as u64)?;
        self.next += 1;
        Ok(false)
    }
}
