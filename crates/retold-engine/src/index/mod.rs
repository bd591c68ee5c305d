//! Where everything is: event ids, streams, correlation ids, tags, times. Derived from the
//! log: the newest events lie in a table in memory, all others in *runs*, sorted files that
//! never change and are merged in the background. Any of those files may be deleted or damaged
//! at any moment; what they held is read from the log again.

mod anchor;
mod cache;
mod directory;
mod keys;
mod load;
mod merger;
mod newest;
mod part;
mod run;
mod set;
mod statistics;
mod table;
mod view;

use retold_core::{EventId, Position, SequenceNumber, StreamHead, StreamId, Text, Timestamp};

pub(crate) use anchor::Anchor;
pub(crate) use keys::{EventKeys, Keys, StreamKey, Term};
pub(crate) use load::{Known, is_of_index, load, newest_named, remove_all, sync};
pub(crate) use merger::Merger;
pub(crate) use part::{Fault, Part, Reach, RunNumber};
pub(crate) use run::Run;
pub(crate) use set::Index;
pub(crate) use table::Table;
pub(crate) use view::{Losses, Scope, View};

/// Where a record lies in its segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

/// What the log says of an event that the index is made of.
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

/// The same as the index keeps it: keys instead of names.
#[derive(Debug, Clone)]
pub(crate) struct KeyedEntry {
    pub(crate) position: Position,
    pub(crate) location: Location,
    pub(crate) event_id: EventId,
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) keys: EventKeys,
    pub(crate) timestamp: Timestamp,
    pub(crate) persisted_at: Timestamp,
    /// The stream's name, where it begins with this event.
    pub(crate) begins: Option<StreamId>,
}

impl KeyedEntry {
    pub(crate) fn new(entry: &IndexEntry, keys: &Keys) -> KeyedEntry {
        let stream = keys.stream(&entry.stream);
        KeyedEntry {
            position: entry.position,
            location: entry.location,
            event_id: entry.event_id,
            sequence_number: entry.sequence_number,
            keys: keys.of(&entry.event_id, stream, &entry.correlation_id, &entry.tags),
            timestamp: entry.timestamp,
            persisted_at: entry.persisted_at,
            begins: (entry.sequence_number == 1).then(|| entry.stream.clone()),
        }
    }
}

/// What the index knows of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamInfo {
    pub(crate) head: StreamHead,
    /// The first sequence number whose event is missing, if one is.
    pub(crate) hole: Option<SequenceNumber>,
}
