//! Walks through the sections of runs, for merging: one run's entries, and several runs' in one
//! order.

use std::sync::Arc;

use retold_core::{Position, StreamId};

use super::header::Section;
use super::names;
use super::page::Page;
use super::source::{Items, PIECE_ENTRIES};
use super::{Fault, Run};

/// Walks through a section of a run, past the cache: what is merged is read once.
pub(super) struct Cursor<D> {
    run: Arc<Run>,
    section: Section,
    decode: D,
    /// Entries that are not read yet.
    left: u64,
    /// The number of the page to be read next.
    next_page: u32,
}

/// Pages read ahead.
const READ_PAGES: u32 = 16;

impl<D> Cursor<D> {
    pub(super) fn new(run: &Arc<Run>, section: Section, decode: D) -> Cursor<D> {
        let place = run.header.section(section);
        Cursor {
            run: Arc::clone(run),
            section,
            decode,
            left: place.entries,
            next_page: place.first_page,
        }
    }

    /// The next pages; none behind the last.
    fn next_pages(&mut self) -> Result<Vec<Page>, Fault> {
        let place = self.run.header.section(self.section);
        let count = (place.first_page + place.pages - self.next_page).min(READ_PAGES);
        let pages = self.run.read_pages(self.next_page, count)?;
        self.next_page += count;
        Ok(pages)
    }
}

impl<T, D: Fn(&Run, &[u8]) -> T> Iterator for Cursor<D> {
    type Item = Result<Vec<T>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let pages = match self.next_pages() {
            // As many pages as the entries need, says the header.
            Ok(pages) if pages.is_empty() => return Some(Err(self.run.bad())),
            Ok(pages) => pages,
            Err(fault) => return Some(Err(fault)),
        };
        let in_page = self.run.header.entries_per_page(self.section) as usize;
        let mut entries = Vec::with_capacity(pages.len() * in_page);
        for page in &pages {
            let here = self.left.min(in_page as u64) as usize;
            let bytes = page.payload().chunks_exact(self.section.entry_bytes());
            entries.extend(
                bytes
                    .take(here)
                    .map(|bytes| (self.decode)(&self.run, bytes)),
            );
            self.left -= here as u64;
        }
        Some(Ok(entries))
    }
}

/// Walks through the names of a run.
pub(super) struct NameCursor(Cursor<()>);

impl NameCursor {
    pub(super) fn new(run: &Arc<Run>) -> NameCursor {
        NameCursor(Cursor::new(run, Section::Names, ()))
    }
}

impl Iterator for NameCursor {
    type Item = Result<Vec<(StreamId, Position)>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let pages = match self.0.next_pages() {
            Ok(pages) if pages.is_empty() => return None,
            Ok(pages) => pages,
            Err(fault) => return Some(Err(fault)),
        };
        let (first, bad) = (self.0.run.first(), self.0.run.bad());
        let decoded = pages
            .iter()
            .map(|page| names::decode(page, first).ok_or(bad));
        let decoded: Result<Vec<Vec<_>>, Fault> = decoded.collect();
        Some(decoded.map(|pages| pages.concat()))
    }
}

/// Entries in their order, one by one, of a list that comes in pieces.
pub(super) struct Flat<T> {
    list: Items<T>,
    piece: std::vec::IntoIter<T>,
}

impl<T> Flat<T> {
    pub(super) fn new(list: Items<T>) -> Flat<T> {
        Flat {
            list,
            piece: Vec::new().into_iter(),
        }
    }

    /// The entries that are at hand; none only behind the last one.
    pub(super) fn piece(&mut self) -> Result<&mut std::vec::IntoIter<T>, Fault> {
        while self.piece.as_slice().is_empty() {
            match self.list.next().transpose()? {
                Some(piece) => self.piece = piece.into_iter(),
                None => break,
            }
        }
        Ok(&mut self.piece)
    }

    /// The next entry, which stays where it is.
    pub(super) fn peek(&mut self) -> Result<Option<&T>, Fault> {
        Ok(self.piece()?.as_slice().first())
    }
}

/// Entries of several ordered lists in one order; equal ones in the order of the lists.
pub(super) struct Ordered<T, K, F> {
    lists: Vec<Flat<T>>,
    /// The key of the next entry of each list.
    heads: Vec<K>,
    key: F,
    is_begun: bool,
}

impl<T, K: Ord, F: Fn(&T) -> K> Ordered<T, K, F> {
    pub(super) fn new(lists: Vec<Items<T>>, key: F) -> Ordered<T, K, F> {
        Ordered {
            heads: Vec::with_capacity(lists.len()),
            lists: lists.into_iter().map(Flat::new).collect(),
            key,
            is_begun: false,
        }
    }

    fn begin(&mut self) -> Result<(), Fault> {
        self.is_begun = true;
        for mut list in std::mem::take(&mut self.lists) {
            if let Some(entry) = list.peek()? {
                self.heads.push((self.key)(entry));
                self.lists.push(list);
            }
        }
        Ok(())
    }

    fn piece(&mut self) -> Result<Vec<T>, Fault> {
        if !self.is_begun {
            self.begin()?;
        }
        let mut piece = Vec::with_capacity(PIECE_ENTRIES);
        while piece.len() < PIECE_ENTRIES && !self.heads.is_empty() {
            let mut least = 0;
            for at in 1..self.heads.len() {
                if self.heads[at] < self.heads[least] {
                    least = at;
                }
            }
            let list = &mut self.lists[least];
            piece.extend(list.piece.next());
            match list.piece.as_slice().first() {
                Some(entry) => self.heads[least] = (self.key)(entry),
                None => match list.peek()? {
                    Some(entry) => self.heads[least] = (self.key)(entry),
                    None => {
                        self.lists.remove(least);
                        self.heads.remove(least);
                    }
                },
            }
        }
        Ok(piece)
    }
}

impl<T, K: Ord, F: Fn(&T) -> K> Iterator for Ordered<T, K, F> {
    type Item = Result<Vec<T>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.piece() {
            Ok(piece) if piece.is_empty() => None,
            piece => Some(piece),
        }
    }
}
