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
        held: &mut Held<'_>,
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
            let is_below = |at: u64| key(at) < target;
            if is_below(end - 1) && end < high {
                low = end;
                guess = end + share(target.saturating_sub(key(end - 1)));
            } else if from > low && !is_below(from) {
                high = from;
                guess = from.saturating_sub(1 + share(key(from).saturating_sub(target)));
            } else {
                let near = from + share(target.saturating_sub(key(from)));
                return Ok(partition_point(from, end, near, is_below));
            }
        }
        Ok(low)
    }
}

/// The first place in a range that is not below; `near` is where it is likely to be. Looks in
/// steps that double from there on, and halves the last one.
fn partition_point(from: u64, end: u64, near: u64, is_below: impl Fn(u64) -> bool) -> u64 {
    // All places before `low` are below, none from `high` on.
    let (mut low, mut high) = (from, end);
    let mut at = near.clamp(from, end - 1);
    let mut step = 1;
    while low < high {
        if is_below(at) {
            low = at + 1;
            at = at.saturating_add(step);
        } else {
            high = at;
            at = at.saturating_sub(step);
        }
        step *= 2;
        if !(low..high).contains(&at) {
            at = low + (high - low) / 2;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_wherever_it_is_looked_for_first() {
        for place in 3..=40 {
            for near in 0..50 {
                let found = partition_point(3, 40, near, |at| at < place);
                assert_eq!(found, place, "near {near}");
            }
        }
    }
}
