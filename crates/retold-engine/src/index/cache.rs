//! The pages that were read lately. Bounded in bytes, shared by all runs.

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::part::RunNumber;
use super::run::Page;
use super::statistics::Counters;

pub(crate) struct PageCache {
    pages: Cache<(RunNumber, u32), Page, Bytes, Hasher>,
    pub(crate) counters: Counters,
}

/// Hashes alike in every process, so that a simulated run reads the same pages each time: the
/// numbers are our own, and nobody can choose them to collide.
type Hasher = foldhash::fast::FixedState;

#[derive(Clone)]
struct Bytes;

impl Weighter<(RunNumber, u32), Page> for Bytes {
    fn weight(&self, _: &(RunNumber, u32), page: &Page) -> u64 {
        page.bytes()
    }
}

impl PageCache {
    pub(crate) fn new(bytes: u64, page_bytes: u16) -> PageCache {
        let pages = usize::try_from(bytes / u64::from(page_bytes)).unwrap_or(usize::MAX);
        PageCache {
            pages: Cache::with(
                pages.max(1),
                bytes,
                Bytes,
                Hasher::default(),
                DefaultLifecycle::default(),
            ),
            counters: Counters::default(),
        }
    }

    pub(crate) fn get(&self, run: RunNumber, page: u32) -> Option<Page> {
        self.pages.get(&(run, page))
    }

    pub(crate) fn put(&self, run: RunNumber, number: u32, page: Page) {
        self.pages.insert((run, number), page);
    }
}
