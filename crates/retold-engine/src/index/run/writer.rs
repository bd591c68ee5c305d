//! Writes the pages of a run, one after the other.

use std::io;
use std::sync::Arc;

use super::header::{HEADER_BYTES, Header, Place};
use super::page::{self, CHECKSUM_BYTES};
use crate::disk::File;

/// Bytes handed to the disk at once.
const WRITE_BYTES: usize = 128 * 1024;

/// Bytes written between two syncs of a run that is synced at all: a few milliseconds of a
/// disk that the log needs too.
const SYNC_BYTES: u64 = 4 * 1024 * 1024;

pub(super) struct Writer {
    file: Arc<dyn File>,
    page_bytes: usize,
    binding: u32,
    /// The pages that are ended and not yet written, and where they go.
    ended: Vec<u8>,
    offset: u64,
    /// The payload of the page in the making.
    payload: Vec<u8>,
    number: u32,
    /// The section in the making.
    place: Place,
    is_synced: bool,
    synced_through: u64,
}

impl Writer {
    /// Begins behind the page of the header.
    pub(super) fn new(file: Arc<dyn File>, header: &Header, is_synced: bool) -> Writer {
        let page_bytes = usize::from(header.page_bytes);
        Writer {
            file,
            page_bytes,
            binding: header.binding(),
            ended: Vec::with_capacity(WRITE_BYTES + page_bytes),
            offset: page_bytes as u64,
            payload: Vec::with_capacity(page_bytes),
            number: 1,
            place: Place {
                first_page: 1,
                ..Place::default()
            },
            is_synced,
            synced_through: 0,
        }
    }

    /// Appends an entry, which is never split over pages.
    pub(super) fn push(&mut self, entry: &[u8], entries: u64) -> io::Result<()> {
        if self.payload.len() + entry.len() > self.page_bytes - CHECKSUM_BYTES {
            self.end_page()?;
        }
        self.payload.extend_from_slice(entry);
        self.place.entries += entries;
        Ok(())
    }

    /// Ends a section; the next one begins with a page of its own.
    pub(super) fn end_section(&mut self) -> io::Result<Place> {
        if !self.payload.is_empty() {
            self.end_page()?;
        }
        let next = Place {
            first_page: self.number,
            ..Place::default()
        };
        let mut place = std::mem::replace(&mut self.place, next);
        place.pages = self.number - place.first_page;
        Ok(place)
    }

    /// Writes the header, which makes the file a run.
    pub(super) fn finish(mut self, header: &Header) -> io::Result<Arc<dyn File>> {
        self.write()?;
        let mut first = vec![0; self.page_bytes];
        first[..HEADER_BYTES].copy_from_slice(&header.encode());
        self.file.write_at(&first, 0)?;
        if self.is_synced {
            self.file.sync()?;
        }
        Ok(self.file)
    }

    fn end_page(&mut self) -> io::Result<()> {
        self.payload.resize(self.page_bytes, 0);
        page::seal(&mut self.payload, self.binding, self.number);
        self.ended.append(&mut self.payload);
        self.number = self
            .number
            .checked_add(1)
            .ok_or(io::Error::other("a run has too many pages"))?;
        if self.ended.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_at(&self.ended, self.offset)?;
        self.offset += self.ended.len() as u64;
        self.ended.clear();
        if self.is_synced && self.offset - self.synced_through >= SYNC_BYTES {
            self.file.sync()?;
            self.synced_through = self.offset;
        }
        Ok(())
    }
}
