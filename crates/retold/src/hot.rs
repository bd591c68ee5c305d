//! The states that were used last, so that the next decision need not read its stream. A state
//! from here may only accept: the append checks it by its sequence number.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use retold_core::{RecordedEvent, StreamId};

use crate::fold::{Folded, Reducer};
use crate::upcasters::Chains;

/// How many states are kept unless told otherwise, of machines and of each kind of aggregate:
/// some 300 bytes each for a machine, so a few megabytes.
pub const HOT_STATES_MAX: usize = 10_000;

pub(crate) struct HotStates<S> {
    by_stream: Cache<StreamId, Folded<S>>,
    counts: Arc<HotCounts>,
}

/// How often a decision found its state in memory, and how often not.
#[derive(Default)]
pub(crate) struct HotCounts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl HotCounts {
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.hits), read(&self.misses))
    }
}

impl<S: Clone> HotStates<S> {
    pub(crate) fn new(states_max: usize, counts: Arc<HotCounts>) -> HotStates<S> {
        HotStates {
            by_stream: Cache::new(states_max),
            counts,
        }
    }

    /// The state for a decision; whether there is one is counted.
    pub(crate) fn look_up(&self, stream: &StreamId) -> Option<Folded<S>> {
        let found = self.get(stream);
        let count = if found.is_some() {
            &self.counts.hits
        } else {
            &self.counts.misses
        };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn get(&self, stream: &StreamId) -> Option<Folded<S>> {
        self.by_stream.get(stream)
    }

    pub(crate) fn insert(&self, stream: &StreamId, state: Folded<S>) {
        // A name may be a slice of a page that was read; the cache must not keep the page.
        self.by_stream.insert(stream.detached(), state);
    }

    pub(crate) fn remove(&self, stream: &StreamId) {
        self.by_stream.remove(stream);
    }

    /// Moves a state on by an event that was appended plainly, or forgets it when it does not
    /// lie right before the event.
    pub(crate) fn advance(
        &self,
        reducer: &impl Reducer<State = S>,
        upcasters: &Chains,
        event: &RecordedEvent,
    ) {
        let Some(mut state) = self.get(&event.stream) else {
            return;
        };
        let follows = state.sequence_number() + 1 == event.sequence_number;
        if follows && state.apply(reducer, upcasters, event).is_ok() {
            self.insert(&event.stream, state);
        } else {
            self.remove(&event.stream);
        }
    }
}
