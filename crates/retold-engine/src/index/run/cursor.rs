//! Walks through the sections of runs, for merging: one run's entries, and several runs' in one
//! order.

use std::sync::Arc;

use retold_core::{Position, StreamId};

use super::header::Section;
use super::names;
use super::page::Page;
use super::source::Items;
use super::{Fault, Run};

/// Walks through a section of a run, past the cache: what is merged is read once.
pub(super) struct Cursor<T> {
    run: Arc<Run>,
    section: Section,
    decode: fn(&Run, &[u8]) -> T,
    next: u64,
    pages: std::vec::IntoIter<Page>,
    page: Option<Page>,
    /// The number of the page to be read next.
    next_page: u32,
}

/// Pages read ahead.
const READ_PAGES: u32 = 16;

impl<T> Cursor<T> {
    pub(super) fn new(run: &Arc<Run>, section: Section, decode: fn(&Run, &[u8]) -> T) -> Cursor<T> {
        Cursor {
            run: Arc::clone(run),
            section,
            decode,
            next: 0,
            pages: Vec::new().into_iter(),
            page: None,
            next_page: run.header.section(section).first_page,
        }
    }

    fn next_page(&mut self) -> Result<Option<Page>, Fault> {
        if let Some(page) = self.pages.next() {
            return Ok(Some(page));
        }
        let place = self.run.header.section(self.section);
        let left = place.first_page + place.pages - self.next_page;
        if left == 0 {
            return Ok(None);
        }
        let count = left.min(READ_PAGES);
        self.pages = self.run.read_pages(self.next_page, count)?.into_iter();
        self.next_page += count;
        Ok(self.pages.next())
    }
}

impl<T> Iterator for Cursor<T> {
    type Item = Result<T, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = &self.run.header;
        if self.next >= header.section(self.section).entries {
            return None;
        }
        let in_page = self.next % header.entries_per_page(self.section);
        if in_page == 0 {
            match self.next_page() {
                Ok(page) => self.page = page,
                Err(fault) => {
                    // Nothing comes behind what cannot be read.
                    self.next = u64::MAX;
                    return Some(Err(fault));
                }
            }
        }
        self.next += 1;
        let bytes = self.section.entry_bytes();
        let from = in_page as usize * bytes;
        let page = self.page.as_ref()?;
        Some(Ok((self.decode)(
            &self.run,
            &page.payload()[from..from + bytes],
        )))
    }
}

/// Walks through the names of a run.
pub(super) struct NameCursor {
    pages: Cursor<()>,
    names: std::vec::IntoIter<(StreamId, Position)>,
}

impl NameCursor {
    pub(super) fn new(run: &Arc<Run>) -> NameCursor {
        NameCursor {
            pages: Cursor::new(run, Section::Names, |_, _| ()),
            names: Vec::new().into_iter(),
        }
    }
}

impl Iterator for NameCursor {
    type Item = Result<(StreamId, Position), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(name) = self.names.next() {
                return Some(Ok(name));
            }
            let run = &self.pages.run;
            let (first, bad) = (run.first(), run.bad());
            match self.pages.next_page() {
                Ok(Some(page)) => match names::decode(&page, first) {
                    Some(names) => self.names = names.into_iter(),
                    None => return Some(Err(bad)),
                },
                Ok(None) => return None,
                Err(fault) => return Some(Err(fault)),
            }
        }
    }
}

/// Items of several ordered lists in one order; equal ones in the order of the lists.
pub(super) struct Ordered<T, K> {
    lists: Vec<Items<T>>,
    heads: Vec<Option<Result<(K, T), Fault>>>,
    key: fn(&T) -> K,
}

impl<T: 'static, K: Ord> Ordered<T, K> {
    pub(super) fn new<L>(lists: Vec<L>, key: fn(&T) -> K) -> Ordered<T, K>
    where
        L: Iterator<Item = Result<T, Fault>> + Send + 'static,
    {
        let boxed = lists.into_iter().map(|list| Box::new(list) as Items<T>);
        let mut ordered = Ordered {
            lists: boxed.collect(),
            heads: Vec::new(),
            key,
        };
        ordered.heads = (0..ordered.lists.len())
            .map(|at| ordered.head(at))
            .collect();
        ordered
    }

    fn head(&mut self, at: usize) -> Option<Result<(K, T), Fault>> {
        let next = self.lists[at].next()?;
        Some(next.map(|item| ((self.key)(&item), item)))
    }
}

impl<T: 'static, K: Ord> Iterator for Ordered<T, K> {
    type Item = Result<T, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut least: Option<(usize, &K)> = None;
        for (at, head) in self.heads.iter().enumerate() {
            match head {
                Some(Ok((key, _))) if least.is_none_or(|(_, least)| key < least) => {
                    least = Some((at, key));
                }
                // A fault comes first: what follows would not be in order.
                Some(Err(fault)) => return Some(Err(*fault)),
                _ => {}
            }
        }
        let (at, _) = least?;
        let next = self.head(at);
        let taken = std::mem::replace(&mut self.heads[at], next);
        taken.map(|head| head.map(|(_, item)| item))
    }
}
