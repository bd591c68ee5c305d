//! Runs many seeds on several threads. Each thread takes the next seed that nobody has.

use std::cell::RefCell;
use std::panic;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use retold_engine::simulator::{Report, Settings, run};

/// Failures after which a run stops: they are rarely different ones.
const FAILURES_MAX: usize = 5;

/// How far to go.
#[derive(Clone, Copy)]
pub(crate) enum Extent {
    Seeds(u64),
    Time(Duration),
}

pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) what: String,
}

pub(crate) struct Outcome {
    pub(crate) report: Report,
    pub(crate) seeds: u64,
    pub(crate) failures: Vec<Failure>,
    pub(crate) took: Duration,
}

/// Runs seeds from the first on.
pub(crate) fn run_seeds(from: u64, extent: Extent, jobs: usize, settings: Settings) -> Outcome {
    let started = Instant::now();
    let next = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let outcome = Mutex::new(Outcome {
        report: Report::default(),
        seeds: 0,
        failures: Vec::new(),
        took: Duration::ZERO,
    });
    let goes_on = |nth: u64| match extent {
        Extent::Seeds(seeds) => nth < seeds,
        Extent::Time(time) => started.elapsed() < time,
    };
    let work = || {
        let (mut report, mut seeds) = (Report::default(), 0);
        while !is_over.load(Ordering::Relaxed) {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if !goes_on(nth) {
                break;
            }
            let seed = from.wrapping_add(nth);
            seeds += 1;
            match run(seed, settings) {
                Ok(one) => report.add(&one),
                Err(what) => {
                    let what = format!("{what} {}", place_of_panic());
                    let mut outcome = outcome.lock().expect("no thread panics");
                    outcome.failures.push(Failure { seed, what });
                    if outcome.failures.len() >= FAILURES_MAX {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        let mut outcome = outcome.lock().expect("no thread panics");
        outcome.report.add(&report);
        outcome.seeds += seeds;
    };
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    let mut outcome = outcome.into_inner().expect("no thread panics");
    outcome.failures.sort_by_key(|failure| failure.seed);
    outcome.took = started.elapsed();
    outcome
}

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps where a panic came from instead of printing it.
pub(crate) fn keep_panics_quiet() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!("({place})"));
        PLACE.with_borrow_mut(|kept| *kept = place.unwrap_or_default());
    }));
}

/// Where the last panic of this thread came from.
pub(crate) fn place_of_panic() -> String {
    PLACE.with_borrow(String::clone)
}
