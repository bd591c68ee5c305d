//! How far a consumer has come, as a side store keeps it: a position, and the streams of which
//! more or less is finished than the position says.

use std::any::Any;

use crate::{Checkpoint, EventId, Position, SequenceNumber, StreamId, Text, Timestamp};

/// How far a consumer has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerProgress {
    /// Everything at or before this place is finished, but for the streams below; none before
    /// the first event.
    pub checkpoint: Option<Checkpoint>,
    /// The streams of which more or less is finished, in their order.
    pub streams: Vec<StreamProgress>,
    /// All that was ever finished.
    pub tally: Tally,
}

/// A count of events and a sum over their positions, by which two sets of events are compared
/// without a list of either. It finds mistakes, not a forger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many events.
    pub events: u64,
    /// The sum of their positions, each mixed first (SplitMix64's finalizer), modulo 2^64.
    pub sum: u64,
}

impl Tally {
    /// Counts the event at a position.
    pub fn add(&mut self, position: Position) {
        self.events += 1;
        let mut mixed = position.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.sum = self.sum.wrapping_add(mixed ^ (mixed >> 31));
    }
}

/// A stream of which more or less is finished than the position of a consumer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamProgress {
    /// The stream.
    pub stream: StreamId,
    /// The first sequence number that is not finished.
    pub next: SequenceNumber,
    /// The position of the last event of the stream that was finished; it says nothing new once
    /// the consumer is past it.
    pub through: Position,
    /// Why the event at `next` and all behind it wait; none where more is finished.
    pub blocked: Option<Blocked>,
}

/// An event that could not be delivered, for which the rest of its stream waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Where it is in the log.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// How often it was tried; 0 while the stream catches up behind an event that was finished.
    pub attempts: u32,
    /// Whether it is not tried any more until somebody says so.
    pub is_parked: bool,
    /// What the last attempt came to.
    pub error: Text,
    /// When that was.
    pub failed_at: Timestamp,
}

/// What has changed in how far a consumer has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressChange {
    /// The consumer's name.
    pub consumer: Text,
    /// The epoch under which the consumer was claimed.
    pub epoch: u32,
    /// How far it has come.
    pub checkpoint: Option<Checkpoint>,
    /// Streams that are kept, in place of what is kept of them.
    pub kept: Vec<StreamProgress>,
    /// Streams that nothing needs to be kept of.
    pub removed: Vec<StreamId>,
    /// All that was ever finished.
    pub tally: Tally,
}

/// What is written in the transaction that keeps progress, and what progress that is; none where
/// nothing is to be kept.
pub type ProgressWork = Box<dyn FnOnce(&dyn Any) -> Option<ProgressChange> + Send>;

/// What came of such a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transacted {
    /// Both are kept.
    Kept,
    /// Neither is: there was nothing to be kept.
    Undone,
    /// Neither is: the consumer was taken over under a higher epoch.
    TakenOver,
}
