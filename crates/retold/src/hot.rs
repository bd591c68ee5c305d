//! The states of the streams that were written last, so that a transition need not read its
//! stream. A state from here may only accept: the append checks it by its sequence number.

use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use retold_core::{RecordedEvent, StreamId};

use crate::fold::Folded;
use crate::state::{MachineReducer, MachineState};
use crate::upcasters::Chains;

/// How many states are kept unless told otherwise: some 300 bytes each, so a few megabytes.
pub const HOT_STATES_MAX: usize = 10_000;

pub(crate) struct HotStates {
    by_stream: Cache<StreamId, Folded<MachineState>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl HotStates {
    pub(crate) fn new(states_max: usize) -> HotStates {
        HotStates {
            by_stream: Cache::new(states_max),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// How often a transition found its state here, and how often not.
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.hits), read(&self.misses))
    }

    /// The state for a transition; whether there is one is counted.
    pub(crate) fn look_up(&self, stream: &StreamId) -> Option<Folded<MachineState>> {
        let found = self.get(stream);
        let count = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn get(&self, stream: &StreamId) -> Option<Folded<MachineState>> {
        self.by_stream.get(stream)
    }

    pub(crate) fn insert(&self, stream: &StreamId, state: Folded<MachineState>) {
        // A name may be a slice of a page that was read; the cache must not keep the page.
        self.by_stream.insert(stream.detached(), state);
    }

    pub(crate) fn remove(&self, stream: &StreamId) {
        self.by_stream.remove(stream);
    }

    /// Moves a state on by an event that was appended plainly, or forgets it when it does not
    /// lie right before the event.
    pub(crate) fn advance(&self, upcasters: &Chains, event: &RecordedEvent) {
        let Some(mut state) = self.get(&event.stream) else {
            return;
        };
        let follows = state.sequence_number() + 1 == event.sequence_number;
        if follows && state.apply(&MachineReducer, upcasters, event).is_ok() {
            self.insert(&event.stream, state);
        } else {
            self.remove(&event.stream);
        }
    }
}
