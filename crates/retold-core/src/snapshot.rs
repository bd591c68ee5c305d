//! What is derived from the log and carries the place that it was derived at.

use crate::{EventId, Json, LogId, Position, SequenceNumber, StreamId, Text, Timestamp};

/// A place of a log that can be recognised again: whoever holds one notices when the log was
/// restored from an older copy or replaced by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// The log.
    pub log_id: LogId,
    /// The place.
    pub position: Position,
    /// The id of the event there.
    pub event_id: EventId,
}

/// Names a reducer and the shape of what it makes. A snapshot made under another fingerprint
/// is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReducerId {
    /// The reducer's name, such as `machine`.
    pub name: Text,
    /// The declared version, the state's schema and the chain of upcasters. It finds declared
    /// changes, not every change of a function's body.
    pub fingerprint: Text,
}

/// What one snapshot is kept under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SnapshotKey {
    /// The stream.
    pub stream: StreamId,
    /// What made it.
    pub reducer: ReducerId,
    /// The sequence number of the last event folded in.
    pub sequence_number: SequenceNumber,
}

/// The state of a stream as of one of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamId,
    /// What made it.
    pub reducer: ReducerId,
    /// The sequence number of the last event folded in.
    pub sequence_number: SequenceNumber,
    /// The last event folded in.
    pub checkpoint: Checkpoint,
    /// The latest `timestamp` folded in; that of the last event may be earlier.
    pub latest_timestamp: Timestamp,
    /// The `persistedAt` of the last event folded in.
    pub last_persisted_at: Timestamp,
    /// The state.
    pub state: Json,
    /// What the maker wanted to note.
    pub metadata: Json,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Snapshot {
    /// What it is kept under.
    pub fn key(&self) -> SnapshotKey {
        SnapshotKey {
            stream: self.stream.clone(),
            reducer: self.reducer.clone(),
            sequence_number: self.sequence_number,
        }
    }
}
