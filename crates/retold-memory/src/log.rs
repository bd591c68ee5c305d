//! The log in memory: what it holds, how it grows, and the trait over it.
//! How a page is cut is in `read`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use retold_core::{
    Append, Appended, Capabilities, Clock, ClockWarning, Era, Error, EventId, EventStore, Identity,
    LogHead, LogId, LogPage, LogQuery, PersistedClock, Position, RecordedEvent, RestoreBatch,
    SequenceNumber, StreamHead, StreamId, StreamPage, StreamQuery, StreamsPage, StreamsQuery,
    SystemClock, Timestamp, limits,
};
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use uuid::Uuid;

/// A log in memory. It keeps the whole contract but durability.
///
/// ```
/// use retold_core::{Append, EventStore, NewEvent, StreamId};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), retold_core::Error> {
/// let store = retold_memory::MemoryStore::new();
/// let event = NewEvent::new(StreamId::new("Issue", "42")?, "issue.opened", &())?;
/// let appended = store.append(Append::new(vec![event])).await?;
/// assert_eq!(appended.events[0].position, 1);
/// # Ok(()) }
/// ```
pub struct MemoryStore {
    log_id: LogId,
    clock: Arc<dyn Clock>,
    log: Mutex<Log>,
    progress: watch::Sender<Progress>,
}

/// What a waiting reader watches.
#[derive(Clone, Copy)]
struct Progress {
    head: Position,
    is_closed: bool,
}

/// What the log holds.
pub(crate) struct Log {
    /// The event at position p is the one at index p - 1.
    pub(crate) events: Vec<RecordedEvent>,
    by_id: HashMap<EventId, Position>,
    /// The positions of each stream: that of sequence number n at index n - 1.
    pub(crate) streams: BTreeMap<StreamId, Vec<Position>>,
    dates: PersistedClock,
    /// The log that a restore comes from whose last batch is not in yet.
    restoring: Option<LogId>,
    is_closed: bool,
}

impl MemoryStore {
    /// An empty log with a new id, dated by the system's clock.
    pub fn new() -> MemoryStore {
        MemoryStore::with_clock(Arc::new(SystemClock::default()))
    }

    /// An empty log with a new id, dated by `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> MemoryStore {
        let start = Progress {
            head: 0,
            is_closed: false,
        };
        MemoryStore {
            log_id: Uuid::now_v7(),
            clock,
            log: Mutex::new(Log {
                events: Vec::new(),
                by_id: HashMap::new(),
                streams: BTreeMap::new(),
                dates: PersistedClock::after(Timestamp::MIN),
                restoring: None,
                is_closed: false,
            }),
            progress: watch::Sender::new(start),
        }
    }

    /// The same log under an id of the caller's choice.
    pub fn with_log_id(mut self, log_id: LogId) -> MemoryStore {
        self.log_id = log_id;
        self
    }

    /// No call leaves the log half changed when it panics, so a poisoned lock means nothing.
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the readers that wait; called while `log` is locked, so that they see the heads
    /// in order.
    fn tell_progress(&self, log: &Log) {
        self.progress.send_replace(Progress {
            head: log.head(),
            is_closed: log.is_closed,
        });
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl Log {
    pub(crate) fn head(&self) -> Position {
        self.events.len() as Position
    }

    pub(crate) fn at(&self, position: Position) -> &RecordedEvent {
        &self.events[place(position)]
    }

    pub(crate) fn stream_head(&self, stream: &StreamId) -> Option<StreamHead> {
        let positions = self.streams.get(stream)?;
        Some(StreamHead {
            sequence_number: positions.len() as SequenceNumber,
            position: *positions.last()?,
        })
    }

    /// The sequence number of a stream's newest event; 0 where there is no such stream.
    fn newest_sequence(&self, stream: &StreamId) -> SequenceNumber {
        self.stream_head(stream)
            .map_or(0, |head| head.sequence_number)
    }

    fn by_id(&self, event_id: EventId) -> Option<&RecordedEvent> {
        self.by_id.get(&event_id).map(|&position| self.at(position))
    }

    fn check_open(&self, event_ids: impl FnOnce() -> Vec<EventId>) -> Result<(), Error> {
        let reason = match (self.is_closed, self.restoring) {
            (true, _) => "the store is closed",
            (_, Some(_)) => "a restore into this store is not finished",
            (false, None) => return Ok(()),
        };
        Err(Error::Busy {
            reason: reason.into(),
            event_ids: event_ids(),
        })
    }

    fn append(&mut self, append: Append, clock: &dyn Clock) -> Result<Appended, Error> {
        self.check_open(|| append.event_ids())?;
        let known = |event: &retold_core::NewEvent| self.by_id(event.metadata.event_id).cloned();
        let recorded: Vec<_> = append.events().iter().map(known).collect();
        if append.identify(&recorded)? == Identity::Repeated {
            return Ok(Appended {
                is_new: false,
                events: recorded.into_iter().flatten().collect(),
            });
        }
        append.check_conditions(|stream| self.newest_sequence(stream))?;
        let (persisted_at, warning) = self.dates.date(clock);
        tell(warning);
        let mut events = Vec::with_capacity(append.events().len());
        for event in append.into_events() {
            let sequence_number = self.newest_sequence(&event.stream) + 1;
            let event = event.record(sequence_number, self.head() + 1, persisted_at);
            self.push(event.clone());
            events.push(event);
        }
        Ok(Appended {
            is_new: true,
            events,
        })
    }

    fn push(&mut self, event: RecordedEvent) {
        self.by_id.insert(event.metadata.event_id, event.position);
        let positions = self.streams.entry(event.stream.clone()).or_default();
        positions.push(event.position);
        self.events.push(event);
    }

    fn restore(&mut self, batch: RestoreBatch) -> Result<Position, Error> {
        if self.is_closed {
            return Err(Error::Busy {
                reason: "the store is closed".into(),
                event_ids: Vec::new(),
            });
        }
        let is_allowed = match self.restoring {
            Some(origin) => origin == batch.origin,
            None => self.events.is_empty(),
        };
        if !is_allowed {
            return Err(Error::NotEmpty { head: self.head() });
        }
        batch.check_follows(self.head())?;
        let kept = self.events.len();
        let refusal = batch.events.into_iter().find_map(|event| {
            let result = self.restore_event(event);
            result.err()
        });
        if let Some(error) = refusal {
            self.truncate(kept);
            return Err(error);
        }
        if let Some(newest) = self.events.last() {
            self.dates.observe(newest.persisted_at);
        }
        self.restoring = (!batch.is_last).then_some(batch.origin);
        Ok(self.head())
    }

    fn restore_event(&mut self, event: RecordedEvent) -> Result<(), Error> {
        if event.position <= self.head() {
            if self.at(event.position).digest() == event.digest() {
                return Ok(());
            }
            return Err(Error::invalid(
                "position",
                format!(
                    "must hold the event that was restored to {} before",
                    event.position
                ),
            ));
        }
        if self.by_id(event.metadata.event_id).is_some() {
            return Err(Error::invalid(
                "metadata.eventId",
                "must not be the same for two events",
            ));
        }
        let sequence_number = self.newest_sequence(&event.stream) + 1;
        if event.sequence_number != sequence_number {
            return Err(Error::invalid(
                "sequenceNumber",
                format!(
                    "must be {sequence_number} for the next event of {}, not {}",
                    event.stream, event.sequence_number
                ),
            ));
        }
        let newest = self.events.last();
        if newest.is_some_and(|newest| event.persisted_at < newest.persisted_at) {
            return Err(Error::invalid("persistedAt", "must not run backwards"));
        }
        self.push(event);
        Ok(())
    }

    /// Takes back what a refused batch has pushed.
    fn truncate(&mut self, kept: usize) {
        for event in self.events.drain(kept..) {
            self.by_id.remove(&event.metadata.event_id);
            if let Some(positions) = self.streams.get_mut(&event.stream) {
                positions.retain(|&position| position <= kept as Position);
            }
        }
        self.streams.retain(|_, positions| !positions.is_empty());
    }
}

/// The index of a position.
pub(crate) fn place(position: Position) -> usize {
    usize::try_from(position - 1).expect("what is in memory has an index")
}

fn tell(warning: Option<ClockWarning>) {
    match warning {
        Some(ClockWarning::Behind { micros }) => {
            tracing::warn!(
                micros,
                "the clock is behind the newest event, whose date is used"
            );
        }
        Some(ClockWarning::Leapt { micros }) => {
            tracing::warn!(
                micros,
                "the clock leapt ahead; followed once it has held a minute"
            );
        }
        None => {}
    }
}

// Nothing here waits for a disk: `consume_budget` is what lets other tasks go on beside one that
// appends or reads without end.
#[async_trait]
impl EventStore for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL.not_durable()
    }

    fn history(&self) -> Vec<Era> {
        vec![Era {
            log_id: self.log_id,
            from: 1,
        }]
    }

    async fn append(&self, append: Append) -> Result<Appended, Error> {
        append.check()?;
        consume_budget().await;
        let mut log = self.log();
        let appended = log.append(append, &*self.clock)?;
        self.tell_progress(&log);
        Ok(appended)
    }

    async fn restore(&self, batch: RestoreBatch) -> Result<Position, Error> {
        batch.check()?;
        consume_budget().await;
        let mut log = self.log();
        let head = log.restore(batch)?;
        self.tell_progress(&log);
        Ok(head)
    }

    async fn read_stream(&self, query: StreamQuery) -> Result<StreamPage, Error> {
        consume_budget().await;
        query.check()?;
        Ok(self.log().stream_page(&query, limits::READ_RECORDS_MAX))
    }

    async fn read_log(&self, query: LogQuery) -> Result<LogPage, Error> {
        consume_budget().await;
        let log = self.log();
        query.check(log.head())?;
        Ok(log.log_page(&query, limits::READ_RECORDS_MAX))
    }

    async fn read_event(&self, event_id: EventId) -> Result<Option<RecordedEvent>, Error> {
        consume_budget().await;
        Ok(self.log().by_id(event_id).cloned())
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, Error> {
        consume_budget().await;
        Ok(self.log().stream_head(stream))
    }

    async fn head(&self) -> Result<LogHead, Error> {
        consume_budget().await;
        let log = self.log();
        Ok(LogHead {
            position: log.head(),
            persisted_at: log
                .events
                .last()
                .map_or(Timestamp::MIN, |newest| newest.persisted_at),
        })
    }

    async fn streams(&self, query: StreamsQuery) -> Result<StreamsPage, Error> {
        consume_budget().await;
        query.check()?;
        Ok(self.log().streams_page(&query))
    }

    async fn wait_past(&self, position: Position) -> Result<Position, Error> {
        let mut progress = self.progress.subscribe();
        let reached = progress
            .wait_for(|now| now.is_closed || now.head > position)
            .await
            .map(|now| *now);
        match reached {
            Ok(now) if !now.is_closed => Ok(now.head),
            _ => Err(Error::Busy {
                reason: "the store is closed".into(),
                event_ids: Vec::new(),
            }),
        }
    }

    async fn check_writable(&self) -> Result<(), Error> {
        self.log().check_open(Vec::new)
    }

    async fn close(&self) -> Result<(), Error> {
        let mut log = self.log();
        log.is_closed = true;
        self.tell_progress(&log);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use retold_core::NewEvent;

    use super::*;

    #[tokio::test]
    async fn others_go_on_beside_one_who_appends_or_reads_without_end() {
        let store = MemoryStore::new();
        let stream = StreamId::new("Issue", "1").unwrap();
        for reads in [false, true] {
            let other = tokio::spawn(async {});
            for _ in 0..1_000 {
                if reads {
                    store.read_log(LogQuery::after(0)).await.unwrap();
                } else {
                    let event = NewEvent::new(stream.clone(), "opened", &()).unwrap();
                    store.append(Append::new(vec![event])).await.unwrap();
                }
            }
            assert!(other.is_finished());
        }
    }
}
