//! Which seeds a randomised promise plays, and for how long: `RETOLD_SEED` replays the one
//! round of a seed, `RETOLD_ROUNDS` plays so many, `RETOLD_TEST_SECONDS` begins new ones for
//! so long.

use std::env;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::fixture::tell;
use crate::random::Random;

/// How long new rounds are begun unless told otherwise: a share of a test run that people
/// are still willing to wait for.
const DEFAULT_SECONDS: u64 = 5;

/// The seed that `RETOLD_SEED` names, or a new one.
pub(crate) fn seed() -> u64 {
    number_of("RETOLD_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0)
}

/// How much longer than others a randomised promise may take; none where only the number of
/// rounds is known.
pub(crate) fn time_asked_for() -> Option<Duration> {
    match number_of("RETOLD_ROUNDS") {
        Some(_) => None,
        None => Some(Duration::from_secs(seconds())),
    }
}

/// Plays rounds, each from a seed of its own, and says how many there were.
pub(crate) async fn play<Round: Future<Output = ()>>(name: &str, round: impl Fn(u64) -> Round) {
    let (started, first_seed) = (Instant::now(), seed());
    let rounds_max = match env::var_os("RETOLD_SEED") {
        Some(_) => Some(1),
        None => number_of("RETOLD_ROUNDS"),
    };
    let mut seeds = Random::new(first_seed);
    let mut seed = first_seed;
    let mut rounds = 0;
    loop {
        let replay = Replay { name, seed };
        round(seed).await;
        drop(replay);
        rounds += 1;
        let is_over = match rounds_max {
            Some(rounds_max) => rounds >= rounds_max,
            None => started.elapsed() >= Duration::from_secs(seconds()),
        };
        if is_over {
            break;
        }
        seed = seeds.next();
    }
    tell(&format!("{name}: {rounds} rounds, first seed {first_seed}"));
}

fn seconds() -> u64 {
    number_of("RETOLD_TEST_SECONDS").unwrap_or(DEFAULT_SECONDS)
}

fn number_of(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(error) => panic!("{variable} must be a number, not {text:?}: {error}"),
    }
}

/// Says how to replay a round that panics.
struct Replay<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Replay { name, seed } = self;
            tell(&format!(
                "{name}: replay this round with RETOLD_SEED={seed}"
            ));
        }
    }
}
