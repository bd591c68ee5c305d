//! What a store counts of its own work, for whoever watches it run.

/// What a store has done since it was opened; the default stands for a store that does not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StoreStatistics {
    /// Events in each group that was written and synced together.
    pub group_events: Distribution,
    /// Microseconds that each of these writes took, sync included.
    pub write_micros: Distribution,
}

impl StoreStatistics {
    /// What a store has counted.
    pub fn new(group_events: Distribution, write_micros: Distribution) -> StoreStatistics {
        StoreStatistics {
            group_events,
            write_micros,
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
