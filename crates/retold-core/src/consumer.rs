//! How far a consumer has come, as a side store keeps it: a position, and the streams of which
//! more or less is finished than the position says.

use crate::{Checkpoint, EventId, Position, SequenceNumber, StreamId, Text, Timestamp};

/// How far a consumer has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsumerProgress {
    /// Everything at or before this place is finished, but for the streams below; none before
    /// the first event.
    pub checkpoint: Option<Checkpoint>,
    /// The streams of which more or less is finished, in their order.
    pub streams: Vec<StreamProgress>,
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
}
