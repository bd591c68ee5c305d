//! Filters: which keys a run holds for certain not. Bloom filters (Bloom, 1970) of which each
//! page is one of its own. The page follows from the highest bits of the hash, so a filter is
//! written page by page from keys in their order.

use crate::index::keys::{SHORT_BITS, ShortHash};
use crate::planted::{self, Bug};

/// Bits for each key: with six probes about one look-up in a hundred is misled.
const BITS_PER_KEY: u64 = 10;

const PROBES: u64 = 6;

/// Pages of a filter.
pub(super) fn pages(keys: u64, payload_bytes: usize) -> u32 {
    let bits = payload_bytes as u64 * 8;
    u32::try_from((keys * BITS_PER_KEY).div_ceil(bits)).expect("a run holds fewer than 2^32 keys")
}

/// The page that a key belongs to, of so many.
pub(super) fn page_of(hash: ShortHash, pages: u32) -> u32 {
    ((u128::from(hash) * u128::from(pages)) >> SHORT_BITS) as u32
}

/// Notes a key.
pub(super) fn insert(payload: &mut [u8], hash: ShortHash) {
    if planted::is(Bug::FilterForgets) && hash.is_multiple_of(4) {
        return;
    }
    for bit in probes(hash, payload.len()) {
        payload[bit / 8] |= 1 << (bit % 8);
    }
}

/// Whether a key may have been noted.
pub(super) fn may_hold(payload: &[u8], hash: ShortHash) -> bool {
    probes(hash, payload.len()).all(|bit| payload[bit / 8] & (1 << (bit % 8)) != 0)
}

/// The bits of a key: double hashing (Kirsch and Mitzenmacher, 2006) of its mixed bits.
fn probes(hash: ShortHash, payload_bytes: usize) -> impl Iterator<Item = usize> {
    let bits = payload_bytes as u64 * 8;
    // The finalizer of SplitMix64: the highest bits are alike within a page.
    let mut mixed = hash;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let (first, step) = (mixed & 0xffff_ffff, mixed >> 32 | 1);
    (0..PROBES).map(move |nth| {
        let drawn = first.wrapping_add(nth.wrapping_mul(step)) & 0xffff_ffff;
        ((drawn * bits) >> 32) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_holds_what_was_noted_and_little_else() {
        let payload_bytes = 1020;
        let keys: Vec<ShortHash> = (0..10_000_u64)
            .map(|nth| nth.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16)
            .collect();
        let pages = pages(keys.len() as u64, payload_bytes);
        let mut filter = vec![vec![0; payload_bytes]; pages as usize];
        let page = |key: &ShortHash| page_of(*key, pages) as usize;
        keys.iter()
            .for_each(|key| insert(&mut filter[page(key)], *key));
        assert!(keys.iter().all(|key| may_hold(&filter[page(key)], *key)));
        let others: Vec<ShortHash> = keys.iter().map(|key| key ^ 0x5555).collect();
        let misled = others
            .iter()
            .filter(|key| may_hold(&filter[page(key)], **key));
        assert!(misled.count() < 250);
    }
}
