//! Random appends, power cuts and failing calls from a seed, against what was acknowledged.
//! `RETOLD_SEED` replays one seed; `RETOLD_TEST_SECONDS` says how long to go on, or
//! `RETOLD_ROUNDS` for how many seeds.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use retold_core::{Append, Expected, NewEvent, RecordedEvent};

use super::{Engine, check_events, event, stream, verified};
use crate::disk::sim::SimDisk;

/// SplitMix64, as in the simulated disk.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[derive(Default)]
struct Counts {
    lives: u64,
    acknowledged: u64,
    failed_calls: u64,
}

/// Lives of one log, each ended by a power cut.
fn round(seed: u64, counts: &mut Counts) {
    let mut dice = Dice(seed);
    let disk = SimDisk::default();
    let (mut acknowledged, mut sent) = (Vec::<RecordedEvent>::new(), Vec::<NewEvent>::new());
    for _ in 0..4 {
        counts.lives += 1;
        if let Ok(mut engine) = Engine::open(&disk) {
            if engine.store.refusal().is_none() {
                check_events(&engine.events(), &acknowledged, &sent);
            }
            if dice.below(3) == 0 {
                counts.failed_calls += 1;
                disk.fail_call(disk.calls() + 1 + dice.below(60), io::ErrorKind::Other);
            }
            for _ in 0..dice.below(20) {
                let append = choose(&mut dice, &sent);
                let new = append.events().iter();
                sent.extend(
                    new.filter(|event| !sent.contains(event))
                        .cloned()
                        .collect::<Vec<_>>(),
                );
                if let Ok(appended) = engine.append(append) {
                    counts.acknowledged += 1;
                    acknowledged.extend(appended.events);
                }
                if dice.below(4) == 0 {
                    engine.mark();
                }
            }
            check_events(&engine.events(), &acknowledged, &sent);
        }
        // Before the next life the process dies while it opens the log, now and then.
        disk.cut_power(dice.below(u64::MAX));
        if dice.below(3) == 0 {
            disk.halt_at(disk.calls() + 1 + dice.below(12));
            let _ = Engine::open(&disk);
            disk.cut_power(dice.below(u64::MAX));
        }
    }
    let engine = Engine::open(&disk).unwrap();
    assert!(
        engine.store.refusal().is_none(),
        "{:?}",
        engine.store.refusal()
    );
    check_events(&engine.events(), &acknowledged, &sent);
    drop(engine);
    assert!(verified(&disk).is_whole());
}

/// New events, or some that were sent before.
fn choose(dice: &mut Dice, sent: &[NewEvent]) -> Append {
    if !sent.is_empty() && dice.below(4) == 0 {
        let again = &sent[dice.below(sent.len() as u64) as usize];
        return Append::new(vec![again.clone()]);
    }
    let events = (0..1 + dice.below(4)).map(|_| {
        let payload = "x".repeat(dice.below(400) as usize);
        event(&format!("{}", dice.below(4)), &payload)
    });
    let append = Append::new(events.collect());
    match dice.below(3) {
        0 => append.expect(stream("0"), Expected::Sequence(dice.below(6))),
        _ => append,
    }
}

#[test]
fn random_crashes_lose_nothing_acknowledged() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    let mut counts = Counts::default();
    if let Some(seed) = number("RETOLD_SEED") {
        return round(seed, &mut counts);
    }
    let share = Duration::from_secs(number("RETOLD_TEST_SECONDS").unwrap_or(5));
    let first: u64 = rand_seed();
    let started = Instant::now();
    let mut seed = first;
    let rounds: Option<u64> = number("RETOLD_ROUNDS");
    let goes_on = |done: u64| match rounds {
        Some(rounds) => done < rounds,
        None => started.elapsed() < share,
    };
    while goes_on(seed.wrapping_sub(first)) {
        let run =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(seed, &mut counts)));
        if let Err(panic) = run {
            eprintln!("replay this with RETOLD_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
        seed = seed.wrapping_add(1);
    }
    // Written to the stream itself, so that a passing test shows it too.
    let _ = writeln!(
        io::stderr(),
        "{} seeds from {first}: {} lives, {} appends acknowledged, {} lives with a failing call",
        seed.wrapping_sub(first),
        counts.lives,
        counts.acknowledged,
        counts.failed_calls,
    );
    assert!(counts.acknowledged > 0);
}

fn rand_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}
