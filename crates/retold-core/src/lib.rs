//! The language of Retold: events and their identity, queries, errors, limits,
//! and the two traits that every store keeps. No runtime, no disk, no SQL, no HTTP.

mod append;
mod block;
mod clock;
mod consumer;
mod digest;
mod error;
mod event;
mod json;
pub mod limits;
mod point_in_time;
mod query;
mod side_store;
mod snapshot;
mod statistics;
mod store;
mod stream_id;
mod subscription;
mod timestamp;
mod view;
mod wire;

pub use append::{Append, Appended, Condition, Expected, Identity, RestoreBatch};
pub use block::{EntryRef, EventRef, IdRef, LogBlock};
pub use clock::{Clock, ClockWarning, PersistedClock, SystemClock};
pub use consumer::{
    Blocked, ConsumerProgress, ProgressChange, ProgressWork, StreamProgress, Tally, Transacted,
};
pub use digest::EventDigest;
pub use error::{Damage, Error, StreamConflict};
pub use event::{Lost, Metadata, NewEvent, RecordedEvent};
pub use json::{Json, JsonError};
pub use point_in_time::PointInTime;
pub use query::{
    Direction, Entry, Filter, LogPage, LogQuery, StreamPage, StreamQuery, StreamSummary,
    StreamsPage, StreamsQuery,
};
pub use side_store::{SideStore, SnapshotPage, SnapshotQuery, SnapshotScan, SnapshotScanQuery};
pub use snapshot::{Checkpoint, ReducerId, Snapshot, SnapshotKey};
pub use statistics::{Distribution, IndexStatistics, StoreStatistics};
pub use store::{Capabilities, Era, EventStore, LogHead, ReadConsistency, StreamHead};
pub use stream_id::StreamId;
pub use subscription::{Batch, Subscription};
pub use timestamp::{Timestamp, TimestampError};
pub use view::{
    Column, ColumnType, RowChange, RowPage, RowQuery, Table, Value, ViewId, ViewProgress,
    ViewReader, ViewStore, ViewWriter, check_view_name,
};

/// A piece of UTF-8 text that is cheap to clone and may be a slice of a larger buffer.
pub type Text = bytestring::ByteString;

/// Identifies an event over the whole store, for ever.
pub type EventId = uuid::Uuid;

/// Identifies a log: made with it, and again when a fork of its history is accepted.
pub type LogId = uuid::Uuid;

/// The place of an event in its stream, counted from 1; 0 stands for "before the first".
pub type SequenceNumber = u64;

/// The place of an event in the whole log, counted from 1; 0 stands for "before the first".
pub type Position = u64;
