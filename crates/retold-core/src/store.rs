//! The trait that every log keeps. ARCHITECTURE.md says how each method was thought through
//! for the embedded engine, for PostgreSQL and for a replicated log.

use async_trait::async_trait;

use crate::append::{Append, Appended, RestoreBatch};
use crate::block::LogBlock;
use crate::query::{LogPage, LogQuery, StreamPage, StreamQuery, StreamsPage, StreamsQuery};
use crate::{
    Error, EventId, LogId, Position, RecordedEvent, SequenceNumber, StoreStatistics, StreamId,
    Timestamp,
};

/// How fresh a read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadConsistency {
    /// A read sees every event whose append was acknowledged before the read began.
    Strong,
    /// A read sees what was acknowledged to this handle, and what it was told to wait for.
    Session,
}

/// What a store can keep of the contract. What it cannot, it refuses; it never approximates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// An acknowledged event is on stable storage.
    pub durable: bool,
    /// How fresh reads are.
    pub reads: ReadConsistency,
    /// One append may write several streams.
    pub multi_stream: bool,
    /// An append may carry conditions on streams that it does not write.
    pub conditions: bool,
}

impl Capabilities {
    /// Everything the contract knows.
    pub const ALL: Capabilities = Capabilities {
        durable: true,
        reads: ReadConsistency::Strong,
        multi_stream: true,
        conditions: true,
    };

    /// The same without durability.
    pub const fn not_durable(mut self) -> Capabilities {
        self.durable = false;
        self
    }
}

/// The newest event of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// Its position; 0 for an empty log.
    pub position: Position,
    /// When it was recorded; [`Timestamp::MIN`] for an empty log.
    pub persisted_at: Timestamp,
}

/// The newest event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHead {
    /// Its sequence number.
    pub sequence_number: SequenceNumber,
    /// Its position.
    pub position: Position,
}

/// A part of a log's history: from a position on, the log has had this id. A log gets a new id
/// when an operator accepts that its tail was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Era {
    /// The id.
    pub log_id: LogId,
    /// The first position that belongs to it.
    pub from: Position,
}

/// An append-only log of events, in streams.
///
/// `retold-contract` holds what each method promises, as a suite that every store passes.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// What this store can keep of the contract.
    fn capabilities(&self) -> Capabilities;

    /// The eras of the log, oldest first; never empty.
    fn history(&self) -> Vec<Era>;

    /// The newest id of the log.
    fn log_id(&self) -> LogId {
        let newest = self.history().pop();
        newest.expect("a log has at least one era").log_id
    }

    /// Appends events: all of them or none, durable when it returns.
    ///
    /// Event ids are looked at before anything else: a repeated call returns the first result.
    /// Dropping the future does not undo the append.
    ///
    /// # Errors
    /// Every kind that [`Error`] has; their documentation says what each asks for.
    async fn append(&self, append: Append) -> Result<Appended, Error>;

    /// Writes recorded events as they are into a store that holds nothing else, and returns
    /// the head. See [`RestoreBatch`].
    ///
    /// # Errors
    /// [`Error::NotEmpty`] when the store holds other events.
    async fn restore(&self, batch: RestoreBatch) -> Result<Position, Error>;

    /// Reads a page of one stream.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when an event asked for cannot be read.
    async fn read_stream(&self, query: StreamQuery) -> Result<StreamPage, Error>;

    /// Reads a page of the log. Correlation ids and tags are indexed; the other filters scan.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `after` is past the head; [`Error::Corrupt`] when an event cannot
    /// be read.
    async fn read_log(&self, query: LogQuery) -> Result<LogPage, Error>;

    /// The next stretch of the log behind `after`, and not behind `through`, as it was read:
    /// reserved streams and all. A block without entries is the end.
    ///
    /// # Errors
    /// As [`EventStore::read_log`].
    async fn read_block(
        &self,
        after: Position,
        through: Position,
    ) -> Result<Box<dyn LogBlock>, Error> {
        let mut query = LogQuery {
            through,
            limit: 1_000,
            ..LogQuery::after(after)
        };
        query.filter.include_reserved = true;
        loop {
            let page = self.read_log(query.clone()).await?;
            match page.next {
                Some(next) if page.entries.is_empty() => query.after = next,
                _ => return Ok(Box::new(page)),
            }
        }
    }

    /// One event by its id; none where there is none.
    async fn read_event(&self, event_id: EventId) -> Result<Option<RecordedEvent>, Error>;

    /// The newest event of a stream; none where there is no such stream.
    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, Error>;

    /// The newest event of the log, reserved ones counted.
    async fn head(&self) -> Result<LogHead, Error>;

    /// Lists streams.
    async fn streams(&self, query: StreamsQuery) -> Result<StreamsPage, Error>;

    /// Waits until the head is past `position` and returns it.
    async fn wait_past(&self, position: Position) -> Result<Position, Error>;

    /// Whether an append could be taken now, as far as can be told without one.
    ///
    /// # Errors
    /// What an append would be refused with: [`Error::Busy`], [`Error::Poisoned`],
    /// [`Error::Corrupt`], or [`Error::Unsupported`] for a store that only reads.
    async fn check_writable(&self) -> Result<(), Error> {
        Ok(())
    }

    /// What the store has done since it was opened, where it counts.
    fn statistics(&self) -> StoreStatistics {
        StoreStatistics::default()
    }

    /// Finishes what was accepted and gives back what the store holds (files, locks,
    /// connections). Appends and waits fail afterwards.
    async fn close(&self) -> Result<(), Error>;
}
