//! Finding an entry among sorted ones: hashes are spread evenly, so where one lies can be
//! guessed, and the guess mended by what the first page shows.

use super::header::Section;
use super::{Fault, Held, Reach, Run, decode_posting};
use crate::log::coding::array;

/// Guesses before the search halves what is left: keys that are not spread evenly, such as a
/// term that many events carry, must not make it long.
const GUESSES: u32 = 3;

impl Run {
    /// The first entry that is not below `target`; the number of entries where all are.
    pub(super) fn lower_bound(
        &self,
        section: Section,
        target: u128,
        reach: Reach,
        held: &mut Held,
    ) -> Result<u64, Fault> {
        let entries = self.header.section(section).entries;
        let in_page = self.header.entries_per_page(section);
        let bytes = section.entry_bytes();
        let share = |distance: u128| share_of(section, distance, entries);
        // Entries before `low` are below the target, those from `high` on are not.
        let (mut low, mut high) = (0, entries);
        let mut guess = share(target);
        let mut guesses = 0;
        while low < high {
            let middle = if guesses < GUESSES {
                guess.clamp(low, high - 1)
            } else {
                low + (high - low) / 2
            };
            guesses += 1;
            let first = middle / in_page * in_page;
            let (from, end) = (first.max(low), (first + in_page).min(high));
            let number = self.header.section(section).first_page
                + u32::try_from(first / in_page).map_err(|_| self.bad())?;
            let payload = self.held(number, reach, held)?.payload();
            let key = |at: u64| {
                let from = (at - first) as usize * bytes;
                key_of(section, &payload[from..from + bytes])
            };
            let found = partition_point(from, end, |at| key(at) < target);
            if found == from && from > low {
                high = from;
                guess = from.saturating_sub(1 + share(key(from).saturating_sub(target)));
            } else if found == end && end < high {
                low = end;
                guess = end + share(target.saturating_sub(key(end - 1)));
            } else {
                return Ok(found);
            }
        }
        Ok(low)
    }
}

fn partition_point(from: u64, end: u64, is_below: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (from, end);
    while low < high {
        let middle = low + (high - low) / 2;
        match is_below(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

fn key_of(section: Section, entry: &[u8]) -> u128 {
    match section {
        Section::Streams => u128::from_be_bytes(array(&entry[..16])),
        _ => {
            let (hash, position) = decode_posting(entry);
            u128::from(hash) << 32 | u128::from(position)
        }
    }
}

/// How many of the entries lie in a distance of keys, were they spread evenly.
fn share_of(section: Section, distance: u128, entries: u64) -> u64 {
    let highest = match section {
        Section::Streams => distance >> 64,
        _ => distance >> 16,
    };
    ((highest * u128::from(entries)) >> 64) as u64
}
