//! One round: accounts are opened, then so many callers deposit for so long, one event each
//! time. A store brings nothing but the execution of a step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::Latencies;

/// Callers that open the accounts before the clock starts.
const OPENING_CALLERS: usize = 64;

/// A prime that divides no usual number of accounts: neighbours in time are not neighbours by
/// name.
const STRIDE: usize = 7_919;

/// What accompanies each deposit, so that a payload has about 200 bytes.
pub const NOTE: &str = "paid by card at the counter, receipt printed, no change given; \
    terminal berlin-mitte-0042, operator user-000123, currency EUR, \
    reference 5f0c9e1c-9d5c-4f7e-a7b4-53b8";

/// How a round is played.
#[derive(Args, Debug, Clone)]
pub struct Round {
    /// An empty folder for the store
    #[arg(long)]
    pub folder: PathBuf,
    /// How many call at once, each on accounts of its own
    #[arg(long)]
    pub callers: usize,
    /// How long they call
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// How many accounts there are
    #[arg(long, default_value_t = 10_000)]
    pub accounts: usize,
}

/// What is to be executed.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Open the account.
    Open,
    /// Deposit into it.
    Deposit {
        /// How much.
        amount: u64,
        /// What for.
        note: &'static str,
    },
}

/// What a round gave.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Figures {
    /// Durable events in a second.
    pub events_per_second: f64,
    /// The median latency of a call, in nanoseconds.
    pub p50_ns: u64,
    /// The latency that one call in a hundred exceeds, in nanoseconds.
    pub p99_ns: u64,
}

impl Round {
    /// Plays it; `execute` carries out one step on the account of an id.
    pub async fn play<E, F>(&self, execute: E) -> anyhow::Result<Figures>
    where
        E: Fn(String, Step) -> F + Clone + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        self.open(execute.clone()).await?;
        let started = Instant::now();
        let lasting = Duration::from_secs_f64(self.seconds);
        let mut callers = JoinSet::new();
        let round = Arc::new(self.clone());
        for caller in 0..self.callers {
            let (round, execute) = (Arc::clone(&round), execute.clone());
            callers.spawn(async move {
                let mut latencies = Latencies::default();
                let mut nth = 0;
                while started.elapsed() < lasting {
                    let id = account(round.account_of(caller, nth));
                    let step = Step::Deposit {
                        amount: 1 + nth as u64 % 1_000,
                        note: NOTE,
                    };
                    let asked = Instant::now();
                    execute(id, step).await?;
                    latencies.record(asked.elapsed())?;
                    nth += 1;
                }
                anyhow::Ok(latencies)
            });
        }
        let mut latencies = Latencies::default();
        while let Some(caller) = callers.join_next().await {
            latencies.add(&caller.context("wait for a caller")??)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let nanoseconds = |percent| latencies.percentile(percent).as_nanos() as u64;
        Ok(Figures {
            events_per_second: latencies.count() as f64 / seconds,
            p50_ns: nanoseconds(50.0),
            p99_ns: nanoseconds(99.0),
        })
    }

    /// Opens every account.
    async fn open<E, F>(&self, execute: E) -> anyhow::Result<()>
    where
        E: Fn(String, Step) -> F + Clone + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        let mut callers = JoinSet::new();
        for caller in 0..OPENING_CALLERS {
            let (execute, accounts) = (execute.clone(), self.accounts);
            callers.spawn(async move {
                for nth in (caller..accounts).step_by(OPENING_CALLERS) {
                    execute(account(nth), Step::Open).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller
                .context("wait for a caller")?
                .context("open accounts")?;
        }
        Ok(())
    }

    /// The account of a caller's nth call: each caller has accounts of its own, so that no call
    /// meets a conflict.
    fn account_of(&self, caller: usize, nth: usize) -> usize {
        let own = self.accounts / self.callers;
        caller + nth * STRIDE % own * self.callers
    }
}

fn account(nth: usize) -> String {
    format!("account-{nth:06}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_share_no_account_and_reach_all_of_theirs() {
        let round = Round {
            folder: PathBuf::new(),
            callers: 64,
            seconds: 0.0,
            accounts: 6_400,
        };
        let mut seen = std::collections::BTreeSet::new();
        for caller in 0..64 {
            for nth in 0..100 {
                assert!(seen.insert(round.account_of(caller, nth)));
            }
        }
        assert_eq!(seen.last(), Some(&6_399));
    }
}
