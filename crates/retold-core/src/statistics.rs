//! What a store counts of its own work, for whoever watches it run.

/// What a store has done since it was opened; the default stands for a store that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreStatistics {
    /// Events in each group that was written and synced together.
    pub group_events: Distribution,
    /// Microseconds that each of these writes took, sync included.
    pub write_micros: Distribution,
    /// The index, where the store keeps one of its own.
    pub index: IndexStatistics,
}

/// What the index of a store consists of, and what was done for it since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IndexStatistics {
    /// Sorted files that look-ups may have to ask.
    pub runs: u64,
    /// Their bytes.
    pub run_bytes: u64,
    /// Events whose entries lie in memory.
    pub memory_events: u64,
    /// Full tables that wait in memory to become runs: what is still to be written.
    pub waiting_tables: u64,
    /// Tables that became runs.
    pub flushes: u64,
    /// Times that several runs became one.
    pub merges: u64,
    /// Runs that were damaged and made again from the log.
    pub mended: u64,
    /// Pages of runs that were found in memory.
    pub cache_hits: u64,
    /// Pages that were not.
    pub cache_misses: u64,
}

impl StoreStatistics {
    /// What a store has counted.
    pub fn new(group_events: Distribution, write_micros: Distribution) -> StoreStatistics {
        StoreStatistics {
            group_events,
            write_micros,
            index: IndexStatistics::default(),
        }
    }
}

/// How often values of about a size occurred.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Distribution {
    /// Upper bounds, ascending, each with how many values were at or below it and above the one
    /// before.
    pub buckets: Vec<(u64, u64)>,
    /// How many values there were, those above the last bound included.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
}
