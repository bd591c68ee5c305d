//! Latencies, counted in nanoseconds to three digits.

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;

/// How long each of many calls took.
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Latencies(Histogram::new(3).expect("three digits are among those offered"))
    }
}

impl Latencies {
    /// Counts a call.
    pub fn record(&mut self, latency: Duration) -> anyhow::Result<()> {
        let nanoseconds = u64::try_from(latency.as_nanos()).context("count a latency")?;
        self.0.record(nanoseconds).context("count a latency")
    }

    /// Counts the calls of another task too.
    pub fn add(&mut self, others: &Latencies) -> anyhow::Result<()> {
        self.0.add(&others.0).context("add latencies up")
    }

    /// How many calls were counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What so many per cent of the calls took at most.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }
}
