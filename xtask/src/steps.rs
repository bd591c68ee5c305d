//! Named steps: each is announced, timed and followed by the next, whether it failed or not.

use std::time::{Duration, Instant};

/// The steps that were run.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    failure: Option<String>,
}

impl Steps {
    /// Runs a step.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> bool {
        println!("==> {name}");
        let started = Instant::now();
        let failure = work().err().map(|error| format!("{error:#}"));
        let took = started.elapsed();
        match &failure {
            None => println!("    ok in {:.1} s", took.as_secs_f64()),
            Some(failure) => {
                println!(
                    "    FAILED in {:.1} s: failed to {failure}",
                    took.as_secs_f64()
                );
            }
        }
        let is_well = failure.is_none();
        self.done.push(Step {
            name,
            took,
            failure,
        });
        is_well
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> usize {
        self.done
            .iter()
            .filter(|step| step.failure.is_some())
            .count()
    }

    /// Prints each step with its time, and what failed.
    pub(crate) fn summarise(&self) {
        println!("\nSteps:");
        for step in &self.done {
            let mark = if step.failure.is_some() {
                "FAILED"
            } else {
                "ok"
            };
            println!(
                "  {mark:<6} {:>7.1} s  {}",
                step.took.as_secs_f64(),
                step.name
            );
        }
        if self.failed() > 0 {
            println!("\nFailures:");
        }
        for step in &self.done {
            if let Some(failure) = &step.failure {
                println!("  {}: failed to {failure}", step.name);
            }
        }
    }
}
