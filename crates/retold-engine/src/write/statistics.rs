//! What is counted of each group that was written: plain counters that the one writing thread
//! moves and anybody reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use retold_core::{Distribution, StoreStatistics};

/// Powers of two that bound the events of a group: from one event to what small events fill a
/// group with.
const GROUP_EVENTS: std::ops::Range<u32> = 0..12;

/// Powers of two that bound the microseconds of a write: from a fast drive's sync to a second.
const WRITE_MICROS: std::ops::Range<u32> = 6..21;

/// What the syncer counts.
pub(crate) struct WriteStatistics {
    group_events: Counters,
    write_micros: Counters,
}

impl Default for WriteStatistics {
    fn default() -> Self {
        WriteStatistics {
            group_events: Counters::new(GROUP_EVENTS),
            write_micros: Counters::new(WRITE_MICROS),
        }
    }
}

impl WriteStatistics {
    pub(crate) fn record(&self, events: usize, took: Duration) {
        self.group_events.add(events as u64);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.write_micros.add(micros);
    }

    pub(crate) fn read(&self) -> StoreStatistics {
        StoreStatistics::new(self.group_events.read(), self.write_micros.read())
    }
}

struct Counters {
    buckets: Vec<(u64, AtomicU64)>,
    over: AtomicU64,
    sum: AtomicU64,
}

impl Counters {
    fn new(powers: std::ops::Range<u32>) -> Counters {
        Counters {
            buckets: powers
                .map(|power| (1 << power, AtomicU64::new(0)))
                .collect(),
            over: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    fn add(&self, value: u64) {
        let at = self.buckets.partition_point(|(bound, _)| *bound < value);
        let bucket = self.buckets.get(at).map_or(&self.over, |(_, count)| count);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn read(&self) -> Distribution {
        let counts = self.buckets.iter();
        let buckets: Vec<(u64, u64)> = counts
            .map(|(bound, count)| (*bound, count.load(Ordering::Relaxed)))
            .collect();
        let within: u64 = buckets.iter().map(|(_, count)| count).sum();
        Distribution {
            buckets,
            count: within + self.over.load(Ordering::Relaxed),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_at_and_below_their_bound() {
        let counters = Counters::new(0..3);
        for value in [1, 2, 3, 4, 5, 1_000] {
            counters.add(value);
        }
        let read = counters.read();
        assert_eq!(read.buckets, [(1, 1), (2, 1), (4, 2)]);
        assert_eq!((read.count, read.sum), (6, 1_015));
    }
}
