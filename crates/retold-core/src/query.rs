//! What a reader asks of a store, and the pages that it is answered with.

use crate::error::{Damage, Error};
use crate::event::{Lost, RecordedEvent};
use crate::store::StreamHead;
use crate::{Position, SequenceNumber, StreamId, Text, Timestamp};

/// Which way a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From the oldest event to the newest.
    #[default]
    Forward,
    /// From the newest event to the oldest.
    Backward,
}

/// Which events of one stream to read. Bounds are inclusive and do not turn with `direction`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamQuery {
    /// The stream.
    pub stream: StreamId,
    /// The lowest sequence number; 1 unless told otherwise.
    pub from_sequence: SequenceNumber,
    /// The highest sequence number.
    pub to_sequence: SequenceNumber,
    /// Events dated earlier are left out.
    pub from_timestamp: Option<Timestamp>,
    /// Events dated later are left out.
    pub to_timestamp: Option<Timestamp>,
    /// Events of other types are left out.
    pub event_type: Option<Text>,
    /// Events at or before this position are left out.
    pub after_position: Position,
    /// Events after this position are left out.
    pub through_position: Position,
    /// Which way to read.
    pub direction: Direction,
    /// How many entries a page holds at most; at least 1.
    pub limit: usize,
}

impl StreamQuery {
    /// How many entries a page holds at most unless told otherwise.
    pub const DEFAULT_LIMIT: usize = 100;

    /// All events of a stream, forward, in pages of [`StreamQuery::DEFAULT_LIMIT`].
    pub fn new(stream: StreamId) -> StreamQuery {
        StreamQuery {
            stream,
            from_sequence: 1,
            to_sequence: SequenceNumber::MAX,
            from_timestamp: None,
            to_timestamp: None,
            event_type: None,
            after_position: 0,
            through_position: Position::MAX,
            direction: Direction::Forward,
            limit: Self::DEFAULT_LIMIT,
        }
    }

    /// Whether an event of the stream is one of those asked for.
    pub fn admits(&self, event: &RecordedEvent) -> bool {
        let timestamp = event.metadata.timestamp;
        (self.from_sequence..=self.to_sequence).contains(&event.sequence_number)
            && event.position > self.after_position
            && event.position <= self.through_position
            && self.from_timestamp.is_none_or(|from| timestamp >= from)
            && self.to_timestamp.is_none_or(|to| timestamp <= to)
            && self
                .event_type
                .as_ref()
                .is_none_or(|wanted| *wanted == event.event_type)
    }

    /// The query for the page after one that ended with `next`.
    pub fn continued(&self, next: SequenceNumber) -> StreamQuery {
        let mut query = self.clone();
        match self.direction {
            Direction::Forward => query.from_sequence = next,
            Direction::Backward => query.to_sequence = next,
        }
        query
    }
}

/// Which events of the log to deliver. Within one list any may match; all the parts must.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Aggregate types; empty for all.
    pub aggregate_types: Vec<Text>,
    /// Event types; empty for all.
    pub event_types: Vec<Text>,
    /// Tags, of which an event must carry one; empty for all.
    pub tags: Vec<Text>,
    /// The correlation id.
    pub correlation_id: Option<Text>,
    /// The causation id.
    pub causation_id: Option<Text>,
    /// The actor.
    pub actor: Option<Text>,
    /// Events dated earlier are left out.
    pub from_timestamp: Option<Timestamp>,
    /// Events dated later are left out.
    pub to_timestamp: Option<Timestamp>,
    /// Whether events of Retold's own streams are delivered too.
    pub include_reserved: bool,
}

impl Filter {
    /// Whether `event` is one of those asked for.
    pub fn admits(&self, event: &RecordedEvent) -> bool {
        let metadata = &event.metadata;
        let any = |wanted: &[Text], actual: &Text| wanted.is_empty() || wanted.contains(actual);
        let same = |wanted: &Option<Text>, actual: Option<&Text>| {
            wanted.as_ref().is_none_or(|wanted| Some(wanted) == actual)
        };
        (self.include_reserved || !event.stream.is_reserved())
            && any(&self.aggregate_types, event.stream.aggregate_type())
            && any(&self.event_types, &event.event_type)
            && (self.tags.is_empty() || event.tags.iter().any(|tag| self.tags.contains(tag)))
            && same(&self.correlation_id, Some(&metadata.correlation_id))
            && same(&self.causation_id, metadata.causation_id.as_ref())
            && same(&self.actor, metadata.actor.as_ref())
            && self
                .from_timestamp
                .is_none_or(|from| metadata.timestamp >= from)
            && self.to_timestamp.is_none_or(|to| metadata.timestamp <= to)
    }
}

/// Which part of the log to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// Events at or before this position are left out; at most the head.
    pub after: Position,
    /// Events after this position are left out.
    pub through: Position,
    /// Which events.
    pub filter: Filter,
    /// How many entries a page holds at most; at least 1.
    pub limit: usize,
}

impl LogQuery {
    /// All events after a position, in pages of [`StreamQuery::DEFAULT_LIMIT`].
    pub fn after(after: Position) -> LogQuery {
        LogQuery {
            after,
            through: Position::MAX,
            filter: Filter::default(),
            limit: StreamQuery::DEFAULT_LIMIT,
        }
    }

    /// The same with a filter.
    pub fn filter(mut self, filter: Filter) -> LogQuery {
        self.filter = filter;
        self
    }

    /// The same with pages of another size.
    pub fn limit(mut self, limit: usize) -> LogQuery {
        self.limit = limit;
        self
    }
}

/// What stands at a place of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every entry is an event")]
pub enum Entry {
    /// An event.
    Event(RecordedEvent),
    /// An event that was lost to damage which an operator has accepted.
    Lost(Lost),
}

impl Entry {
    /// The event.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it was lost.
    pub fn into_event(self) -> Result<RecordedEvent, Error> {
        match self {
            Entry::Event(event) => Ok(event),
            Entry::Lost(lost) => Err(Error::corrupt(
                Damage {
                    position: Some(lost.position),
                    stream: lost.stream,
                    place: None,
                    reason: "an event was lost to damage that was accepted".into(),
                },
                "a backup may hold the event",
            )),
        }
    }

    /// The place in the log.
    pub fn position(&self) -> Position {
        match self {
            Entry::Event(event) => event.position,
            Entry::Lost(lost) => lost.position,
        }
    }
}

/// A page of a stream. It may be empty and still have a `next`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPage {
    /// The entries, in the direction asked for.
    pub entries: Vec<Entry>,
    /// Where the next page begins, for [`StreamQuery::continued`]; none at the end.
    pub next: Option<SequenceNumber>,
    /// No event asked for lies at or before this position beyond those of this page and the
    /// pages before it. Reading backward, it is the head of the log that the page was read at.
    pub complete_through: Position,
    /// The newest event of the stream, whatever was asked for; none where there is no stream.
    pub head: Option<StreamHead>,
}

impl StreamPage {
    /// The events.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where one was lost.
    pub fn into_events(self) -> Result<Vec<RecordedEvent>, Error> {
        self.entries.into_iter().map(Entry::into_event).collect()
    }
}

/// A page of the log. It may be empty and still have a `next`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The entries, by position.
    pub entries: Vec<Entry>,
    /// The `after` of the next page; none at the end.
    pub next: Option<Position>,
    /// No event asked for lies at or before this position beyond those of this page and the
    /// pages before it.
    pub complete_through: Position,
}

impl LogPage {
    /// The events, when none of them was lost.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for the first that was.
    pub fn into_events(self) -> Result<Vec<RecordedEvent>, Error> {
        self.entries.into_iter().map(Entry::into_event).collect()
    }
}

/// Which streams to list, by type and then by the UTF-8 bytes of their id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsQuery {
    /// Only streams of this type.
    pub aggregate_type: Option<Text>,
    /// Only streams whose id begins with this.
    pub prefix: Text,
    /// Only streams behind this one.
    pub after: Option<StreamId>,
    /// Whether Retold's own streams are listed too; asking for a reserved type by name lists it.
    pub include_reserved: bool,
    /// How many streams a page holds at most; at least 1.
    pub limit: usize,
}

impl Default for StreamsQuery {
    fn default() -> Self {
        StreamsQuery {
            aggregate_type: None,
            prefix: Text::new(),
            after: None,
            include_reserved: false,
            limit: StreamQuery::DEFAULT_LIMIT,
        }
    }
}

impl StreamsQuery {
    /// Whether `stream` is one of those asked for.
    pub fn admits(&self, stream: &StreamId) -> bool {
        let type_fits = match &self.aggregate_type {
            Some(aggregate_type) => aggregate_type == stream.aggregate_type(),
            None => self.include_reserved || !stream.is_reserved(),
        };
        type_fits
            && stream.aggregate_id().starts_with(&*self.prefix)
            && self.after.as_ref().is_none_or(|after| stream > after)
    }
}

/// A stream and its newest event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSummary {
    /// The stream.
    pub stream: StreamId,
    /// Its newest event.
    pub head: StreamHead,
}

/// A page of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamsPage {
    /// The streams, in order.
    pub streams: Vec<StreamSummary>,
    /// The `after` of the next page; none at the end.
    pub next: Option<StreamId>,
}

/// Checks the part of a query that every store checks alike.
pub(crate) fn check_limit(limit: usize) -> Result<(), Error> {
    if limit == 0 {
        return Err(Error::invalid("limit", "must be at least 1"));
    }
    Ok(())
}

impl StreamQuery {
    /// Checks the form of the query. Every store calls it first.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        check_limit(self.limit)
    }
}

impl LogQuery {
    /// Checks the form of the query against the head of the log.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field that is wrong.
    pub fn check(&self, head: Position) -> Result<(), Error> {
        if self.after > head {
            return Err(Error::invalid(
                "after",
                format!(
                    "must not be past the head of the log, {head}, but is {}",
                    self.after
                ),
            ));
        }
        check_limit(self.limit)
    }
}

impl StreamsQuery {
    /// Checks the form of the query. Every store calls it first.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(aggregate_type) = &self.aggregate_type {
            crate::stream_id::check_aggregate_type(aggregate_type)?;
        }
        check_limit(self.limit)
    }
}
