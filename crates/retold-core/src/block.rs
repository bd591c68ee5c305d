//! The log as it was read: entries that still lie in the buffer they were read into. For whoever
//! goes through all of it, and for whom making an event of each costs too much.

use std::fmt;

use crate::stream_id::RESERVED;
use crate::{
    Entry, Error, EventId, Json, LogPage, Lost, Metadata, Position, RecordedEvent, SequenceNumber,
    StreamId, Text, Timestamp,
};

/// Entries that follow one another in the log.
///
/// ```
/// # use retold_core::{EntryRef, Error, LogBlock};
/// fn payload_bytes(block: &dyn LogBlock) -> Result<usize, Error> {
///     let mut bytes = 0;
///     for nth in 0..block.len() {
///         if let EntryRef::Event(event) = block.entry(nth)? {
///             bytes += event.payload.len();
///         }
///     }
///     Ok(bytes)
/// }
/// ```
#[expect(
    clippy::len_without_is_empty,
    reason = "a block without entries is the end"
)]
pub trait LogBlock: fmt::Debug + Send + Sync {
    /// How many entries there are. None at the end of what was asked for.
    fn len(&self) -> usize;

    /// An entry, by its place in the block.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a record that fits its checksum is malformed.
    ///
    /// # Panics
    /// When there are not so many.
    fn entry(&self, nth: usize) -> Result<EntryRef<'_>, Error>;

    /// Everything after the position that was asked for, and through this one, is in the block.
    fn complete_through(&self) -> Position;

    /// Bytes of memory that it takes, about.
    fn bytes(&self) -> usize;
}

/// What stands at a place of the log; see [`Entry`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every entry is an event")]
pub enum EntryRef<'a> {
    /// An event.
    Event(EventRef<'a>),
    /// An event that was lost to damage which an operator has accepted.
    Lost(&'a Lost),
}

/// An event that lies in a buffer; see [`RecordedEvent`] and [`Metadata`] for its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described where it is owned")]
pub struct EventRef<'a> {
    pub aggregate_type: &'a str,
    pub aggregate_id: IdRef<'a>,
    pub event_type: &'a str,
    /// JSON without white space outside strings.
    pub payload: &'a str,
    pub tags: Vec<&'a str>,
    pub event_id: EventId,
    pub version: &'a str,
    pub timestamp: Timestamp,
    pub correlation_id: IdRef<'a>,
    pub causation_id: Option<IdRef<'a>>,
    pub actor: Option<&'a str>,
    /// Further metadata: names, and values as JSON.
    pub extra: Vec<(&'a str, &'a str)>,
    pub sequence_number: SequenceNumber,
    pub position: Position,
    pub persisted_at: Timestamp,
}

/// An id that is kept as text, or as the UUID that it spells in the usual way: in lower case,
/// with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdRef<'a> {
    /// A UUID.
    Uuid(uuid::Uuid),
    /// Any other text.
    Text(&'a str),
}

impl IdRef<'_> {
    /// The id as text of its own.
    pub fn to_text(self) -> Text {
        match self {
            IdRef::Uuid(uuid) => {
                let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
                let spelled: &str = uuid.hyphenated().encode_lower(&mut buffer);
                Text::from(spelled)
            }
            IdRef::Text(text) => Text::from(text),
        }
    }
}

impl fmt::Display for IdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdRef::Uuid(uuid) => fmt::Display::fmt(&uuid.hyphenated(), f),
            IdRef::Text(text) => f.write_str(text),
        }
    }
}

impl EventRef<'_> {
    /// As [`StreamId::is_reserved`].
    pub fn is_reserved(&self) -> bool {
        self.aggregate_type.starts_with(RESERVED)
    }

    /// The event in memory of its own.
    pub fn to_event(&self) -> RecordedEvent {
        let text = |text: &str| Text::from(text);
        let extra = self.extra.iter();
        let extra = extra.map(|(name, value)| (text(name), Json::from_stored(text(value))));
        RecordedEvent {
            stream: StreamId::from_stored(text(self.aggregate_type), self.aggregate_id.to_text()),
            event_type: text(self.event_type),
            payload: Json::from_stored(text(self.payload)),
            tags: self.tags.iter().map(|tag| text(tag)).collect(),
            metadata: Metadata {
                event_id: self.event_id,
                version: text(self.version),
                timestamp: self.timestamp,
                correlation_id: self.correlation_id.to_text(),
                causation_id: self.causation_id.map(IdRef::to_text),
                actor: self.actor.map(text),
                extra: extra.collect(),
            },
            sequence_number: self.sequence_number,
            position: self.position,
            persisted_at: self.persisted_at,
        }
    }
}

impl<'a> From<&'a RecordedEvent> for EventRef<'a> {
    fn from(event: &'a RecordedEvent) -> Self {
        let metadata = &event.metadata;
        let extra = metadata.extra.iter();
        EventRef {
            aggregate_type: event.stream.aggregate_type(),
            aggregate_id: IdRef::Text(event.stream.aggregate_id()),
            event_type: &event.event_type,
            payload: event.payload.as_str(),
            tags: event.tags.iter().map(|tag| &**tag).collect(),
            event_id: metadata.event_id,
            version: &metadata.version,
            timestamp: metadata.timestamp,
            correlation_id: IdRef::Text(&metadata.correlation_id),
            causation_id: metadata.causation_id.as_deref().map(IdRef::Text),
            actor: metadata.actor.as_deref(),
            extra: extra
                .map(|(name, value)| (&**name, value.as_str()))
                .collect(),
            sequence_number: event.sequence_number,
            position: event.position,
            persisted_at: event.persisted_at,
        }
    }
}

impl LogBlock for LogPage {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, nth: usize) -> Result<EntryRef<'_>, Error> {
        Ok(match &self.entries[nth] {
            Entry::Event(event) => EntryRef::Event(event.into()),
            Entry::Lost(lost) => EntryRef::Lost(lost),
        })
    }

    fn complete_through(&self) -> Position {
        self.complete_through
    }

    fn bytes(&self) -> usize {
        let events = self.entries.iter().map(|entry| match entry {
            Entry::Event(event) => event.bytes(),
            Entry::Lost(_) => 0,
        });
        events.sum::<usize>() + self.entries.capacity() * size_of::<Entry>()
    }
}
