//! Runs seeds of the simulator and prints what they met: `cargo xtask simulate` calls it.

#[cfg(feature = "planted-bugs")]
mod planted;
mod run;
mod table;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Parser;
use retold_engine::simulator::{Settings, run};

use self::run::{Extent, run_seeds};

/// Seeds from which on everything that is counted must have happened.
const SEEDS_FOR_ALL: u64 = 5_000;

#[derive(Parser)]
#[command(
    name = "cargo xtask simulate",
    about = "Drives the whole engine on a simulated disk, from seeds"
)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Goes on for so long instead of for a number of seeds
    #[arg(long, conflicts_with = "seeds")]
    seconds: Option<u64>,
    /// Threads; as many as there are processors unless told otherwise
    #[arg(long)]
    jobs: Option<usize>,
    /// Prints each operation; for one seed
    #[arg(long)]
    trace: bool,
    /// Plants one bug after the other and says how many seeds it takes to find it; with the
    /// beginning of a bug's name, only those
    #[cfg(feature = "planted-bugs")]
    #[arg(long, num_args = 0..=1, default_missing_value = "")]
    planted: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run::keep_panics_quiet();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.unwrap_or(processors).max(1);
    #[cfg(feature = "planted-bugs")]
    if let Some(name) = &arguments.planted {
        return planted::run_all(arguments.from, jobs, name);
    }
    if arguments.trace {
        return trace(arguments.from, arguments.seeds);
    }
    let extent = match arguments.seconds {
        Some(seconds) => Extent::Time(Duration::from_secs(seconds)),
        None => Extent::Seeds(arguments.seeds),
    };
    let outcome = run_seeds(arguments.from, extent, jobs, Settings::default());
    let is_complete = table::print(&outcome.report, outcome.seeds >= SEEDS_FOR_ALL);
    println!(
        "\n{} seeds from {} in {:.1} s ({:.0} a second): {} failed",
        outcome.seeds,
        arguments.from,
        outcome.took.as_secs_f64(),
        outcome.seeds as f64 / outcome.took.as_secs_f64(),
        outcome.failures.len()
    );
    for failure in &outcome.failures {
        println!(
            "\nseed {}: {}\n  replay with: cargo xtask simulate --seeds 1 --from {} --trace",
            failure.seed, failure.what, failure.seed
        );
    }
    match outcome.failures.is_empty() && is_complete {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Runs seeds one after the other and prints each operation.
fn trace(from: u64, seeds: u64) -> ExitCode {
    let settings = Settings {
        trace: true,
        ..Settings::default()
    };
    for seed in from..from + seeds {
        println!("seed {seed}");
        if let Err(what) = run(seed, settings) {
            println!("failed: {what} {}", run::place_of_panic());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
