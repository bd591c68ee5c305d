//! Which aggregates are appended to, and the sequence of each.

use std::collections::VecDeque;

use crate::event::{BATCH, Event};

/// Aggregates that events are spread over.
const AGGREGATES: usize = 100_000;

/// The aggregate whose events lie side by side.
pub const CONTIGUOUS: usize = AGGREGATES;

/// The aggregate to which every hundredth event belongs that is loaded.
pub const SCATTERED: usize = AGGREGATES + 1;

/// One aggregate more than there are.
pub const AGGREGATES_BOUND: usize = AGGREGATES + 2;

/// Events of the stream that lies side by side.
const CONTIGUOUS_EVENTS: usize = 10_000;

/// Of the events that are loaded, how many there are for one of the scattered stream.
const SCATTERED_EVERY: usize = 100;

/// A prime that divides no usual number of aggregates: neighbours in time are not neighbours by
/// name.
const STRIDE: usize = 7_919;

/// The heads of all aggregates.
pub(crate) struct Workload {
    heads: Vec<u64>,
    made: usize,
}

impl Default for Workload {
    fn default() -> Self {
        Workload {
            heads: vec![0; AGGREGATES_BOUND],
            made: 0,
        }
    }
}

impl Workload {
    /// The calls of each of so many appenders. Each has aggregates of its own, so that no
    /// expectation fails; the events of one call are of one aggregate.
    pub(crate) fn calls(
        &mut self,
        appenders: usize,
        calls_each: usize,
        events_a_call: usize,
    ) -> Vec<VecDeque<Vec<Event>>> {
        let own = AGGREGATES / appenders;
        let mut calls = vec![VecDeque::with_capacity(calls_each); appenders];
        for _ in 0..calls_each {
            for (appender, calls) in calls.iter_mut().enumerate() {
                let aggregate = appender + (self.made * STRIDE % own) * appenders;
                calls.push_back((0..events_a_call).map(|_| self.next(aggregate)).collect());
            }
            self.made += 1;
        }
        calls
    }

    /// A call of one event.
    pub(crate) fn one(&mut self) -> Vec<Event> {
        self.made += 1;
        vec![self.next(self.made * STRIDE % AGGREGATES)]
    }

    /// A large append that loads the stream that lies side by side; none once it is loaded.
    pub(crate) fn contiguous(&mut self) -> Option<Vec<Event>> {
        let is_loaded = self.head(CONTIGUOUS) >= CONTIGUOUS_EVENTS as u64;
        (!is_loaded).then(|| (0..BATCH).map(|_| self.next(CONTIGUOUS)).collect())
    }

    /// A large append that loads: every hundredth event is of the scattered stream, each other
    /// one of another aggregate.
    pub(crate) fn spread(&mut self) -> Vec<Event> {
        let spread = |nth| {
            if nth % SCATTERED_EVERY == 0 {
                return self.next(SCATTERED);
            }
            self.made += 1;
            self.next(self.made * STRIDE % AGGREGATES)
        };
        (0..BATCH).map(spread).collect()
    }

    /// The newest sequence of an aggregate.
    pub(crate) fn head(&self, aggregate: usize) -> u64 {
        self.heads[aggregate]
    }

    /// Events that were made.
    pub(crate) fn events(&self) -> u64 {
        self.heads.iter().sum()
    }

    fn next(&mut self, aggregate: usize) -> Event {
        self.heads[aggregate] += 1;
        Event::new(aggregate, self.heads[aggregate])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appenders_share_no_aggregate_and_sequences_have_no_holes() {
        let mut workload = Workload::default();
        let mut heads = std::collections::HashMap::new();
        let mut owners = std::collections::HashMap::new();
        for (appender, calls) in workload.calls(16, 50, 2).into_iter().enumerate() {
            for event in calls.into_iter().flatten() {
                let head = heads.entry(event.aggregate).or_insert(0);
                *head += 1;
                assert_eq!(event.sequence, *head);
                assert_eq!(*owners.entry(event.aggregate).or_insert(appender), appender);
            }
        }
    }

    #[test]
    fn every_hundredth_loaded_event_is_of_the_scattered_stream() {
        let mut workload = Workload::default();
        let loaded = workload.spread();
        let scattered = loaded.iter().filter(|event| event.aggregate == SCATTERED);
        assert_eq!(scattered.count(), BATCH / SCATTERED_EVERY);
        assert_eq!(workload.events(), BATCH as u64);
    }
}
