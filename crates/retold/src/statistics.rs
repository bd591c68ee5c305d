//! What a handle counts of its own work, for whoever watches it run.

use retold_core::StoreStatistics;

use crate::{BusStatistics, Retold};

/// What was done through a handle and its clones since it was opened: [`Retold::statistics`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// Transitions and commands that found their state in memory; a command counts once for each
    /// of its aggregates.
    pub hot_state_hits: u64,
    /// Those that had to derive it.
    pub hot_state_misses: u64,
    /// Snapshots that are being made, or wait for their turn.
    pub snapshots_in_progress: u64,
    /// Snapshots that were kept.
    pub snapshots_made: u64,
    /// The subscriptions of the bus, taken together.
    pub bus: BusStatistics,
    /// What the store counts.
    pub store: StoreStatistics,
}

impl Retold {
    /// What was done through this handle and its clones since it was opened.
    pub fn statistics(&self) -> Statistics {
        let inner = self.inner();
        let (hot_state_hits, hot_state_misses) = inner.hot_counts.hits_and_misses();
        Statistics {
            hot_state_hits,
            hot_state_misses,
            snapshots_in_progress: inner.making.in_progress(),
            snapshots_made: inner.making.made(),
            bus: inner.bus.statistics(),
            store: inner.store.statistics(),
        }
    }
}
