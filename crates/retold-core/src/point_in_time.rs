//! Which prefix of a stream counts, for a state as it was.

use crate::{Position, RecordedEvent, SequenceNumber, Snapshot, Timestamp};

/// A moment in the life of a stream. Each one selects a prefix of the stream, so that a
/// reducer never meets a gap and the state is one that really was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PointInTime {
    /// Now: all events.
    #[default]
    Head,
    /// After the event with this sequence number.
    Sequence(SequenceNumber),
    /// When the log had reached this position.
    Position(Position),
    /// What was recorded at this time: "what did we know then".
    PersistedAt(Timestamp),
    /// Before the first event that is dated later.
    Timestamp(Timestamp),
}

impl PointInTime {
    /// Whether the prefix goes on with `event`. The first event that it does not go on with
    /// ends it, whatever follows.
    pub fn includes(&self, event: &RecordedEvent) -> bool {
        match *self {
            PointInTime::Head => true,
            PointInTime::Sequence(sequence) => event.sequence_number <= sequence,
            PointInTime::Position(position) => event.position <= position,
            PointInTime::PersistedAt(instant) => event.persisted_at <= instant,
            PointInTime::Timestamp(instant) => event.metadata.timestamp <= instant,
        }
    }

    /// Whether a snapshot holds only events of the prefix.
    pub fn includes_snapshot(&self, snapshot: &Snapshot) -> bool {
        match *self {
            PointInTime::Head => true,
            PointInTime::Sequence(sequence) => snapshot.sequence_number <= sequence,
            PointInTime::Position(position) => snapshot.checkpoint.position <= position,
            PointInTime::PersistedAt(instant) => snapshot.last_persisted_at <= instant,
            PointInTime::Timestamp(instant) => snapshot.latest_timestamp <= instant,
        }
    }
}
