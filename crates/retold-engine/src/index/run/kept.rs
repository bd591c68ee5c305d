//! Filters that are kept in memory as a whole: nearly all look-ups of appends end at them, and
//! taking a page out of the cache costs several times as much as looking at it.

use std::sync::atomic::Ordering;

use super::filter::{self, FilterKey, Lines};
use super::{Fault, Held, PAGES_AT_ONCE, Reach, Run, Section};

/// What both filters hold.
pub(crate) struct Filters {
    ids: Lines,
    streams: Lines,
}

impl Filters {
    /// Has the line of an id taken from memory, and does not wait for it.
    pub(super) fn touch_id(&self, key: &FilterKey) {
        self.ids.touch(key);
    }
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

    fn whole(&self, section: Section) -> Result<Lines, Fault> {
        let place = self.header.section(section);
        let end = place.first_page + place.pages;
        let mut lines = Lines::new(place.pages, self.header.payload_bytes());
        for first in (place.first_page..end).step_by(PAGES_AT_ONCE as usize) {
            for page in self.read_pages(first, PAGES_AT_ONCE.min(end - first))? {
                lines.push(page.payload());
            }
        }
        Ok(lines)
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
                Section::IdFilter => &kept.ids,
                _ => &kept.streams,
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
    kept: Option<&'a Lines>,
    held: Held<'a>,
}

impl Filter<'_> {
    /// Whether the run may hold a key.
    pub(super) fn may_hold(&mut self, key: &FilterKey, reach: Reach) -> Result<bool, Fault> {
        let held = self.may_hold_some(std::iter::once(key), reach)?;
        Ok(held != 0)
    }

    /// Which of some keys, at most [`filter::AT_ONCE`], the run may hold: a bit for each.
    pub(super) fn may_hold_some<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k FilterKey> + Clone,
        reach: Reach,
    ) -> Result<u64, Fault> {
        if self.pages == 0 {
            return Ok(0);
        }
        if let Some(kept) = self.kept {
            return Ok(kept.may_hold(keys, self.probes));
        }
        let first_page = self.run.header.section(self.section).first_page;
        let mut held = 0;
        for (nth, key) in keys.enumerate() {
            let page = first_page + filter::page_of(key.hash, self.pages);
            let payload = self.run.held(page, reach, &mut self.held)?.payload();
            held |= u64::from(filter::may_hold(payload, key, self.probes)) << nth;
        }
        Ok(held)
    }
}
