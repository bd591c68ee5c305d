//! Pseudo-random numbers from a seed that is printed, and how many rounds are played:
//! `RETOLD_SEED` replays the one round of a seed, `RETOLD_ROUNDS` plays so many.

use std::env;

use uuid::Uuid;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The seeds of the rounds to play, each printed before it is played.
pub(crate) fn seeds(rounds: u64) -> impl Iterator<Item = u64> {
    let given = number_of("RETOLD_SEED");
    let rounds = match given {
        Some(_) => 1,
        None => number_of("RETOLD_ROUNDS").unwrap_or(rounds),
    };
    let mut seed = given.unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    (0..rounds).map(move |_| {
        println!("replay this round with RETOLD_SEED={seed}");
        let this = seed;
        seed = Random(seed).next();
        this
    })
}

pub(crate) fn number_of(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}
