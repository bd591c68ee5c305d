//! Filters that are kept in memory as a whole: nearly all look-ups of appends end at them, and
//! taking a page out of the cache costs several times as much as looking at it.

use std::sync::atomic::Ordering;

use super::{Fault, Held, PAGES_AT_ONCE, Reach, Run, Section, filter};
use crate::index::keys::ShortHash;

/// What the pages of both filters hold, one after the other.
pub(crate) struct Filters {
    ids: Vec<u8>,
    streams: Vec<u8>,
}

impl Run {
    /// Bytes of both filters.
    pub(crate) fn filter_bytes(&self) -> u64 {
        self.filter_pages() * self.header.payload_bytes() as u64
    }

    /// Whether reading both filters would not have cost more than was paid for pages of them.
    pub(crate) fn is_asked_often(&self) -> bool {
        self.asked.load(Ordering::Relaxed) >= self.filter_pages()
    }

    /// Reads both filters, to be kept.
    pub(crate) fn filters(&self) -> Result<Filters, Fault> {
        Ok(Filters {
            ids: self.whole(Section::IdFilter)?,
            streams: self.whole(Section::StreamFilter)?,
        })
    }

    fn filter_pages(&self) -> u64 {
        let sections = [Section::IdFilter, Section::StreamFilter];
        let pages = sections.map(|section| u64::from(self.header.section(section).pages));
        pages.iter().sum()
    }

    fn whole(&self, section: Section) -> Result<Vec<u8>, Fault> {
        let place = self.header.section(section);
        let end = place.first_page + place.pages;
        let mut payloads = Vec::new();
        for first in (place.first_page..end).step_by(PAGES_AT_ONCE as usize) {
            for page in self.read_pages(first, PAGES_AT_ONCE.min(end - first))? {
                payloads.extend_from_slice(page.payload());
            }
        }
        // It stays for long.
        payloads.shrink_to_fit();
        Ok(payloads)
    }

    /// The filter in front of a section, which may be among those that are kept.
    pub(super) fn filter<'a>(&'a self, section: Section, kept: Option<&'a Filters>) -> Filter<'a> {
        let place = self.header.section(section);
        Filter {
            run: self,
            section,
            pages: place.pages,
            probes: place.entries,
            kept: kept.map(|kept| match section {
                Section::IdFilter => &*kept.ids,
                _ => &*kept.streams,
            }),
            held: self.hold(),
        }
    }
}

/// A filter that some keys are looked up in.
pub(super) struct Filter<'a> {
    run: &'a Run,
    section: Section,
    pages: u32,
    probes: u64,
    kept: Option<&'a [u8]>,
    held: Held<'a>,
}

impl Filter<'_> {
    /// Whether the run may hold a key.
    pub(super) fn may_hold(&mut self, hash: ShortHash, reach: Reach) -> Result<bool, Fault> {
        if self.pages == 0 {
            return Ok(false);
        }
        let page = filter::page_of(hash, self.pages);
        if let Some(payloads) = self.kept {
            let bytes = self.run.header.payload_bytes();
            let from = page as usize * bytes;
            let payload = &payloads[from..from + bytes];
            return Ok(filter::may_hold(payload, hash, self.probes));
        }
        let page = self.run.header.section(self.section).first_page + page;
        let payload = self.run.held(page, reach, &mut self.held)?.payload();
        Ok(filter::may_hold(payload, hash, self.probes))
    }
}
