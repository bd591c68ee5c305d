//! Where everything is: event ids, streams, correlation ids, tags, times. Derived from the
//! log. This first form lies in memory and is rebuilt by a scan when the log is opened; run
//! files will take over behind the same methods.

mod memory;

use retold_core::{EventId, Position, SequenceNumber, StreamHead, StreamId, Text, Timestamp};

pub(crate) use memory::Index;

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    /// The segment's place in the list of segments.
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

/// What the index keeps of an event.
#[derive(Debug, Clone)]
pub(crate) struct IndexEntry {
    pub(crate) position: Position,
    pub(crate) location: Location,
    pub(crate) event_id: EventId,
    pub(crate) stream: StreamId,
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) correlation_id: Text,
    pub(crate) tags: Vec<Text>,
    pub(crate) timestamp: Timestamp,
    pub(crate) persisted_at: Timestamp,
}

/// What the index knows of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamInfo {
    pub(crate) head: StreamHead,
    /// The first sequence number whose event is missing, if one is.
    pub(crate) hole: Option<SequenceNumber>,
}

/// What can be looked up besides event ids and streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Term<'a> {
    Correlation(&'a str),
    Tag(&'a str),
}
