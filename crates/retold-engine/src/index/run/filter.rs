//! Filters: which keys a run holds for certain not. Blocked Bloom filters (Putze, Sanders and
//! Singler, 2007): all bits of a key lie in one line of the processor's cache. The page that the
//! line lies in follows from the highest bits of the hash, so a filter is written page by page
//! from keys in their order.

use crate::index::keys::{SHORT_BITS, ShortHash};
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
        // About one look-up in a hundred is misled,
        0..4_000_000 => (10, 6),
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

/// Notes a key.
pub(super) fn insert(payload: &mut [u8], hash: ShortHash, probes: u64) {
    if planted::is(Bug::FilterForgets) && hash.is_multiple_of(4) {
        return;
    }
    let (line, bits) = place(payload.len(), hash, probes);
    for bit in bits {
        payload[line + bit / 8] |= 1 << (bit % 8);
    }
}

/// Whether a key may have been noted.
pub(super) fn may_hold(payload: &[u8], hash: ShortHash, probes: u64) -> bool {
    let (line, bits) = place(payload.len(), hash, probes);
    let line = &payload[line..line + LINE_BYTES];
    // All are looked at: where to stop early could not be foretold, and what comes next would wait.
    bits.fold(true, |may_hold, bit| {
        may_hold & (line[bit / 8] & (1 << (bit % 8)) != 0)
    })
}

/// Where the line of a key begins, and the bits of the key in it.
fn place(
    payload_bytes: usize,
    hash: ShortHash,
    probes: u64,
) -> (usize, impl Iterator<Item = usize>) {
    let lines = (payload_bytes / LINE_BYTES) as u64;
    // The highest bits are alike within a page.
    let mixed = mix(hash);
    let line = (((mixed >> 32) * lines) >> 32) as usize * LINE_BYTES;
    let bits = mix(mixed);
    let nth = move |nth| (bits >> (nth * u64::from(LINE_BITS))) as usize % (LINE_BYTES * 8);
    // A forged header may say anything.
    (line, (0..probes.min(PROBES_MAX)).map(nth))
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

    #[test]
    fn a_filter_holds_what_was_noted_and_little_else() {
        // As many bits as the largest runs have, and as the smallest.
        for (of, misled_max) in [(u64::MAX, 0.075), (5_000_000, 0.035), (1, 0.016)] {
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
            let may_hold = |key: &ShortHash| may_hold(&filter[page(key)], *key, size.probes);
            assert!(keys.iter().all(may_hold));
            let others = (0..50_000_u64).map(|nth| mix(!nth) >> 16);
            let misled = others.filter(may_hold).count() as f64 / 50_000.0;
            assert!(
                misled < misled_max,
                "{misled} of all look-ups are misled: {size:?}"
            );
        }
    }
}
