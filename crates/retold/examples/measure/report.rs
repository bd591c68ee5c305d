//! Latencies, and the table that is printed at the end.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::Outcome;

/// Latencies in nanoseconds, to three digits.
pub(crate) struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Latencies(Histogram::new(3).expect("three digits are among those offered"))
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, latency: Duration) -> Outcome<()> {
        Ok(self.0.record(u64::try_from(latency.as_nanos())?)?)
    }

    pub(crate) fn add(&mut self, others: &Latencies) -> Outcome<()> {
        Ok(self.0.add(&others.0)?)
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }
}

/// What was measured, each with its ratio to something measured in the same run.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 3]>);

impl Table {
    pub(crate) fn row(&mut self, what: &str, figure: &str, ratio: &str) {
        eprintln!("{what}: {figure}");
        self.0.push([what, figure, ratio].map(str::to_owned));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | measured | ratio |\n|---|---|---|")?;
        self.0
            .iter()
            .try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// A number with its thousands set apart.
pub(crate) fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
