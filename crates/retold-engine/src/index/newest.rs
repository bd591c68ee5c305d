//! The heads of streams that were written to lately, for the look-ups of appends: most are of
//! such streams, and runs would have to be asked one by one. Bounded; forgets what was written
//! longest ago of those that share a bucket.

use std::sync::{Mutex, OnceLock, PoisonError};

use retold_core::SequenceNumber;

use super::keys::StreamKey;
use crate::planted::{self, Bug};

/// Heads in a bucket.
const WAYS: usize = 4;

/// Buckets: a quarter of a million heads, in some nine megabytes.
const BUCKETS: usize = 1 << 16;

/// A stream and its newest sequence number; zero where there is none.
type Slot = (StreamKey, SequenceNumber);

/// Heads by the keys of their streams, which are spread evenly.
#[derive(Default)]
pub(crate) struct Newest {
    /// Made when the first event is taken in: whoever only reads needs none.
    buckets: OnceLock<Box<[Mutex<[Slot; WAYS]>]>>,
}

impl Newest {
    /// Notes the head of a stream. All events of a stream are noted, or none: a head that is
    /// not the newest would be believed.
    pub(crate) fn note(&self, stream: StreamKey, head: SequenceNumber) {
        let made = || (0..BUCKETS).map(|_| Mutex::new([(0, 0); WAYS])).collect();
        let bucket = &self.buckets.get_or_init(made)[number(stream)];
        let mut slots = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let known = slots.iter().position(|(key, _)| *key == stream);
        if known.is_some() && planted::is(Bug::HeadKeptBack) {
            return;
        }
        // The first slot is that of the newest head.
        slots[..=known.unwrap_or(WAYS - 1)].rotate_right(1);
        slots[0] = (stream, head);
    }

    /// The sequence number of the head, if it is known.
    pub(crate) fn head(&self, stream: StreamKey) -> Option<SequenceNumber> {
        let bucket = &self.buckets.get()?[number(stream)];
        let slots = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let found = slots.iter().find(|(key, _)| *key == stream);
        found.map(|(_, head)| *head)
    }
}

fn number(stream: StreamKey) -> usize {
    stream as usize % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_the_heads_that_were_noted_last() {
        let newest = Newest::default();
        let stream = |nth: u128| (nth << 64) + 7;
        let note = |nth: u128, head| newest.note(stream(nth), head);
        (0..4).for_each(|nth| note(nth, 1));
        note(0, 2);
        note(4, 1);
        let heads = (0..5).map(|nth| newest.head(stream(nth)));
        let expected = [Some(2), None, Some(1), Some(1), Some(1)];
        assert_eq!(heads.collect::<Vec<_>>(), expected);
    }
}
