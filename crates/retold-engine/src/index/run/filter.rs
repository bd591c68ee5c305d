//! Filters: which keys a run holds for certain not. Blocked Bloom filters (Putze, Sanders and
//! Singler, 2007): all bits of a key lie in one line of the processor's cache. The page that the
//! line lies in follows from the highest bits of the hash, so a filter is written page by page
//! from keys in their order.

use smallvec::SmallVec;

use crate::index::keys::{SHORT_BITS, ShortHash};
use crate::log::coding::array;
use crate::planted::{self, Bug};

/// Bytes of a line.
const LINE_BYTES: usize = 64;

/// Bits of a line that one probe tells apart.
const LINE_BITS: u32 = (LINE_BYTES * 8).ilog2();

/// The most probes that one hash has bits for.
const PROBES_MAX: u64 = 7;

/// How much room a filter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    bits_per_key: u64,
    /// Bits that are set for each key.
    pub(super) probes: u64,
}

/// The room for so many keys. The few large runs hold almost all keys: theirs take less room
/// each and mislead more look-ups, so that all filters together stay small enough to be kept
/// in memory (Dayan, Athanassoulis and Idreos, 2017).
pub(super) fn size(keys: u64) -> Size {
    let (bits_per_key, probes) = match keys {
        // About one look-up in three hundred is misled,
        0..4_000_000 => (14, 7),
        // one in forty,
        4_000_000..16_000_000 => (8, 5),
        // one in fifteen.
        _ => (6, 4),
    };
    Size {
        bits_per_key,
        probes,
    }
}

/// Pages of a filter.
pub(super) fn pages(keys: u64, payload_bytes: usize) -> u32 {
    let bits = (payload_bytes / LINE_BYTES * LINE_BYTES) as u64 * 8;
    let pages = (keys * size(keys).bits_per_key).div_ceil(bits);
    u32::try_from(pages).expect("a run holds fewer than 2^32 keys")
}

/// The page that a key belongs to, of so many.
pub(super) fn page_of(hash: ShortHash, pages: u32) -> u32 {
    ((u128::from(hash) * u128::from(pages)) >> SHORT_BITS) as u32
}

/// A hash, and what follows from it for filters of every size. In the order of the hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FilterKey {
    pub(crate) hash: ShortHash,
    /// Chooses the line of a page.
    line: u32,
    /// Chooses the bits of a line.
    bits: u64,
}

impl FilterKey {
    pub(crate) fn new(hash: ShortHash) -> FilterKey {
        // The highest bits are alike within a page.
        let mixed = mix(hash);
        FilterKey {
            hash,
            line: (mixed >> 32) as u32,
            bits: mix(mixed),
        }
    }

    /// The line of the key, of so many in its page.
    fn line(&self, lines: usize) -> usize {
        ((u64::from(self.line) * lines as u64) >> 32) as usize
    }

    /// The bits of the key in its line.
    fn bits(&self, probes: u64) -> impl Iterator<Item = usize> + use<> {
        let bits = self.bits;
        let nth = move |nth| (bits >> (nth * u64::from(LINE_BITS))) as usize % (LINE_BYTES * 8);
        // A forged header may say anything.
        (0..probes.min(PROBES_MAX)).map(nth)
    }
}

/// Notes a key.
pub(super) fn insert(payload: &mut [u8], hash: ShortHash, probes: u64) {
    if planted::is(Bug::FilterForgets) && hash.is_multiple_of(4) {
        return;
    }
    let key = FilterKey::new(hash);
    let line = key.line(payload.len() / LINE_BYTES) * LINE_BYTES;
    for bit in key.bits(probes) {
        payload[line + bit / 8] |= 1 << (bit % 8);
    }
}

/// Whether a key may have been noted in a page.
pub(super) fn may_hold(payload: &[u8], key: &FilterKey, probes: u64) -> bool {
    let line = key.line(payload.len() / LINE_BYTES) * LINE_BYTES;
    let line = &payload[line..line + LINE_BYTES];
    Line::read(line).may_hold(key, probes)
}

/// A line, where the processor takes it from memory in one piece.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line([u64; LINE_BYTES / 8]);

impl Line {
    fn read(bytes: &[u8]) -> Line {
        let mut words = bytes.chunks_exact(8).map(array).map(u64::from_le_bytes);
        Line(std::array::from_fn(|_| words.next().unwrap_or(0)))
    }

    fn may_hold(&self, key: &FilterKey, probes: u64) -> bool {
        // All are looked at: where to stop early could not be foretold, and what comes next
        // would wait.
        key.bits(probes).fold(true, |may_hold, bit| {
            may_hold & ((self.0[bit / 64] >> (bit % 64)) & 1 != 0)
        })
    }
}

/// A filter in memory.
pub(super) struct Lines {
    pages: u32,
    /// Lines of a page.
    in_page: usize,
    lines: Vec<Line>,
}

/// Keys that are looked up at once.
pub(super) const AT_ONCE: usize = 64;

impl Lines {
    pub(super) fn new(pages: u32, payload_bytes: usize) -> Lines {
        let in_page = payload_bytes / LINE_BYTES;
        Lines {
            pages,
            in_page,
            lines: Vec::with_capacity(pages as usize * in_page),
        }
    }

    /// Adds what the next page holds.
    pub(super) fn push(&mut self, payload: &[u8]) {
        let lines = payload.chunks_exact(LINE_BYTES).map(Line::read);
        self.lines.extend(lines);
    }

    /// The line of a key; none where there is no line. It is on its way from memory from here on.
    pub(super) fn touch(&self, key: &FilterKey) -> Option<&Line> {
        let page = page_of(key.hash, self.pages) as usize;
        let line = self
            .lines
            .get(page * self.in_page + key.line(self.in_page))?;
        std::hint::black_box(line.0[0]);
        Some(line)
    }

    /// Which of some keys, at most [`AT_ONCE`], may have been noted: a bit for each.
    pub(super) fn may_hold<'a>(
        &self,
        keys: impl Iterator<Item = &'a FilterKey> + Clone,
        probes: u64,
    ) -> u64 {
        // All lines are on their way from memory before one is waited for.
        let lines: SmallVec<[Option<&Line>; AT_ONCE]> =
            keys.clone().map(|key| self.touch(key)).collect();
        let mut held = 0;
        for ((nth, key), line) in keys.enumerate().zip(lines) {
            let may_hold = line.is_some_and(|line| line.may_hold(key, probes));
            held |= u64::from(may_hold) << nth;
        }
        held
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut mixed: u64) -> u64 {
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

const _: () = assert!(PROBES_MAX * LINE_BITS as u64 <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    /// A forged header may claim ids and no page of their filter.
    #[test]
    fn a_filter_without_a_page_holds_nothing() {
        let none = Lines::new(0, 4092);
        let key = FilterKey::new(mix(1) >> 16);
        assert!(none.touch(&key).is_none());
        assert_eq!(none.may_hold([key].iter(), 7), 0);
    }

    #[test]
    fn a_filter_holds_what_was_noted_and_little_else() {
        // As many bits as the largest runs have, and as the smallest.
        let sizes = [(u64::MAX, 0.075), (5_000_000, 0.035), (1, 0.005)];
        for (of, misled_max) in sizes {
            let size = size(of);
            let payload_bytes = 4092;
            let keys: Vec<ShortHash> = (0..50_000_u64).map(|nth| mix(nth) >> 16).collect();
            let bits = keys.len() as u64 * size.bits_per_key;
            let pages = (bits / (63 * 512)).max(1) as u32;
            let mut filter = vec![vec![0; payload_bytes]; pages as usize];
            let page = |key: &ShortHash| page_of(*key, pages) as usize;
            for key in &keys {
                insert(&mut filter[page(key)], *key, size.probes);
            }
            let mut kept = Lines::new(pages, payload_bytes);
            filter.iter().for_each(|page| kept.push(page));
            let may_hold = |hash: &ShortHash| {
                let key = FilterKey::new(*hash);
                let may_hold = may_hold(&filter[page(hash)], &key, size.probes);
                assert_eq!(kept.may_hold([key].iter(), size.probes) == 1, may_hold);
                may_hold
            };
            assert!(keys.iter().all(may_hold));
            for keys in keys.chunks(AT_ONCE) {
                let keys: Vec<_> = keys.iter().map(|hash| FilterKey::new(*hash)).collect();
                let held = kept.may_hold(keys.iter(), size.probes);
                assert_eq!(held.count_ones() as usize, keys.len());
            }
            let others = (0..50_000_u64).map(|nth| mix(!nth) >> 16);
            let misled = others.filter(may_hold).count() as f64 / 50_000.0;
            assert!(
                misled < misled_max,
                "{misled} of all look-ups are misled: {size:?}"
            );
        }
    }
}
