//! The simulator gets a fixed share of every test run, with the same seeds each time, so that a
//! test run fails for what has changed and for nothing else. `RETOLD_SEED` replays one seed;
//! `RETOLD_ROUNDS` runs so many, and `RETOLD_TEST_SECONDS` goes on for so long, with new ones.

use std::env;
use std::io::Write as _;
use std::time::{Duration, Instant};

use retold_engine::simulator::{OPERATIONS_MIN, POWER_CUTS_MIN, Report, Settings, run};

/// How long new seeds are begun unless told otherwise.
const DEFAULT_SECONDS: u64 = 5;

#[test]
fn random_worlds_lose_nothing_that_they_must_keep() {
    let seconds = number("RETOLD_TEST_SECONDS");
    let asks_for_more = seconds.is_some() || env::var_os("RETOLD_ROUNDS").is_some();
    let first = number("RETOLD_SEED").unwrap_or_else(|| match asks_for_more {
        true => uuid::Uuid::new_v4().as_u64_pair().0,
        false => 1,
    });
    let rounds = match env::var_os("RETOLD_SEED") {
        Some(_) => Some(1),
        None => number("RETOLD_ROUNDS"),
    };
    let share = Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS));
    let (started, mut report, mut seeds) = (Instant::now(), Report::default(), 0);
    loop {
        let seed = first.wrapping_add(seeds);
        match run(seed, Settings::default()) {
            Ok(one) => report.add(&one),
            Err(what) => panic!(
                "{what}\nreplay this with RETOLD_SEED={seed}, or see each operation with \
                 cargo xtask simulate --seeds 1 --from {seed} --trace"
            ),
        }
        seeds += 1;
        let is_over = match rounds {
            Some(rounds) => seeds >= rounds,
            None => started.elapsed() >= share,
        };
        if is_over {
            break;
        }
    }
    // Written to the stream itself, so that a passing test shows it too.
    let _ = writeln!(
        std::io::stderr(),
        "{seeds} seeds from {first}: {} operations, {} power cuts, {} openings, {} acknowledged",
        report.operations,
        report.fault(retold_engine::simulator::Fault::PowerCut),
        report.openings,
        report.acknowledged,
    );
    assert!(report.operations >= seeds * OPERATIONS_MIN);
    assert!(report.fault(retold_engine::simulator::Fault::PowerCut) >= seeds * POWER_CUTS_MIN);
}

/// A seed that does not do the same twice could not be replayed.
#[test]
fn a_seed_does_the_same_each_time() {
    for seed in [3, 7, 1_000_003] {
        let rows = || run(seed, Settings::default()).map(|report| report.rows());
        assert_eq!(rows(), rows(), "seed {seed}");
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(error) => panic!("{variable} must be a number, not {text:?}: {error}"),
    }
}
