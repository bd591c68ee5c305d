//! Runs the randomised tests for long: those whose name holds `soak_`, `crash`, `random` or
//! `model`. They read `RETOLD_TEST_SECONDS` (the share of time of each) or `RETOLD_ROUNDS`.

use std::thread;

use anyhow::{Context, bail};
use clap::Args;

use crate::workspace::Workspace;
use crate::{command, setup};

/// Which tests are run, as nextest's filter.
const FILTER: &str = "test(/soak_|crash|random|model/)";

/// How long to run them.
#[derive(Args)]
pub(crate) struct Extent {
    /// How long the whole run takes, shared among the tests
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    hours: f64,
    /// How many rounds each test plays, however long that takes
    #[arg(long, conflicts_with = "hours")]
    rounds: Option<u64>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hours) if hours.is_finite() && hours > 0.0 => Ok(hours),
        _ => Err("must be a number above 0".to_owned()),
    }
}

/// Runs them.
pub(crate) fn run(workspace: &Workspace, extent: &Extent) -> anyhow::Result<()> {
    setup::run(workspace)?;
    let common = "--workspace --all-features -E";
    let mut list = workspace.cargo(&format!("nextest list -T oneline {common}"))?;
    let tests = command::output(list.arg(FILTER))?;
    let tests: Vec<&str> = tests.lines().filter(|line| !line.is_empty()).collect();
    if tests.is_empty() {
        bail!("find a test for {FILTER}");
    }
    let mut soak = workspace.cargo(&format!("nextest run --profile soak {common}"))?;
    soak.arg(FILTER);
    match extent.rounds {
        Some(rounds) => {
            println!("{} tests, {rounds} rounds each", tests.len());
            soak.env("RETOLD_ROUNDS", rounds.to_string());
        }
        None => {
            let threads = thread::available_parallelism().context("count the processors")?;
            let seconds = seconds_of_each(extent.hours, threads.get(), tests.len());
            println!("{} tests, {seconds} s each", tests.len());
            soak.env("RETOLD_TEST_SECONDS", seconds.to_string());
        }
    }
    command::run(&mut soak)
}

/// The share of one test, when as many run at once as there are processors.
fn seconds_of_each(hours: f64, threads: usize, tests: usize) -> u64 {
    let batches = tests.div_ceil(threads);
    let seconds = hours * 3_600.0 / batches as f64;
    (seconds as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_run_takes_the_hours_asked_for() {
        assert_eq!(seconds_of_each(1.0, 2, 1), 3_600);
        assert_eq!(seconds_of_each(1.0, 2, 4), 1_800);
        assert_eq!(seconds_of_each(1.0, 2, 5), 1_200);
        assert_eq!(seconds_of_each(0.0001, 2, 5), 1);
    }
}
