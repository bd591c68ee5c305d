//! What readers see: the durable part of the log. Nothing gets in here before it is synced.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use retold_core::{
    Clock, Damage, Entry, Era, Error, EventId, LogHead, LogId, Lost, Position, RecordedEvent,
    limits,
};
use tokio::sync::watch;

use crate::block::Buffers;
use crate::fetch::{Batch, Located, Missing};
use crate::index::{Anchor, Fault, Index, IndexEntry, KeyedEntry, Keys, Location, Reach, View};
use crate::log::control::Control;
use crate::log::record::Names;
use crate::log::segment::Segment;
use crate::state::{LogState, RECORD_ADVICE};

/// What the head is told to be once the store is closed.
pub(crate) const CLOSED: Position = Position::MAX;

/// The durable part of the log, for reading.
pub(crate) struct Visible {
    log_id: LogId,
    index: ArcSwap<Index>,
    segments: RwLock<Vec<Arc<Segment>>>,
    /// Lost events that an operator has accepted.
    lost: RwLock<BTreeMap<Position, Lost>>,
    /// The positions of those whose id is known.
    lost_ids: RwLock<HashMap<EventId, Position>>,
    eras: RwLock<Vec<Era>>,
    /// Runs of positions that cannot be read, in order.
    missing: RwLock<Vec<(Position, Position)>>,
    /// Why the index cannot be made whole again.
    broken: RwLock<Option<Error>>,
    buffers: Arc<Buffers>,
    /// Held while a run is mended.
    pub(crate) mending: Mutex<()>,
    head: watch::Sender<Position>,
    clock: Arc<dyn Clock>,
}

impl Visible {
    /// Shows what an index and the state that it was made with say.
    pub(crate) fn new(
        log_id: LogId,
        index: Arc<Index>,
        state: &LogState,
        segments: Vec<Arc<Segment>>,
        clock: Arc<dyn Clock>,
    ) -> Visible {
        let visible = Visible {
            log_id,
            index: ArcSwap::new(Arc::clone(&index)),
            segments: RwLock::default(),
            lost: RwLock::default(),
            lost_ids: RwLock::default(),
            eras: RwLock::default(),
            missing: RwLock::default(),
            broken: RwLock::default(),
            buffers: Arc::default(),
            mending: Mutex::default(),
            head: watch::Sender::new(0),
            clock,
        };
        visible.replace(index, state, segments);
        visible
    }

    /// Takes over everything from a log that was read anew.
    pub(crate) fn replace(&self, index: Arc<Index>, state: &LogState, segments: Vec<Arc<Segment>>) {
        let facts = &state.facts;
        let damaged = state.damage.iter().flat_map(|damage| damage.lost.clone());
        let accepted = facts.lost.keys().map(|position| (*position, *position));
        *write(&self.missing) = joined(damaged.chain(accepted).collect());
        let ids = |(position, lost): (&Position, &Lost)| Some((lost.event_id?, *position));
        *write(&self.lost_ids) = facts.lost.iter().filter_map(ids).collect();
        write(&self.lost).clone_from(&facts.lost);
        write(&self.eras).clone_from(&facts.eras);
        *write(&self.segments) = segments;
        *write(&self.broken) = None;
        self.index.store(index);
        let head = self.head().position;
        self.head.send_replace(head);
    }

    /// Wakes those who wait for the head: it will not move any more.
    pub(crate) fn close(&self) {
        self.head.send_replace(CLOSED);
    }

    pub(crate) fn head(&self) -> LogHead {
        self.index.load().head()
    }

    /// The head, to be waited on.
    pub(crate) fn watch(&self) -> watch::Receiver<Position> {
        self.head.subscribe()
    }

    pub(crate) fn index(&self) -> Arc<Index> {
        self.index.load_full()
    }

    /// The id under which records are checked.
    pub(crate) fn log_id(&self) -> LogId {
        self.log_id
    }

    /// What makes the keys of the index.
    pub(crate) fn keys(&self) -> Keys {
        self.index.load().keys()
    }

    /// Asks the index. A run that cannot answer is mended first.
    pub(crate) fn ask<T>(
        &self,
        mut question: impl FnMut(&View) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        /// Far more than there are runs: each is asked again once it was mended.
        const TRIES: usize = 1_000;
        for _ in 0..TRIES {
            let view = self.index.load().view(Reach::Disk);
            match question(&view) {
                Ok(answer) => return Ok(answer),
                Err(Fault::Bad(run)) => self.mend(run)?,
                Err(Fault::Cold) => unreachable!("the disk is within reach"),
            }
        }
        let error = io::Error::other("its files change under it again and again");
        Err(Error::io("read the index", error))
    }

    /// Asks what of the index lies in memory; none where that is not enough.
    pub(crate) fn ask_memory<T>(
        &self,
        question: impl FnOnce(&View) -> Result<T, Fault>,
    ) -> Option<T> {
        let view = self.index.load().view(Reach::Memory);
        question(&view).ok()
    }

    /// Why the index cannot be made whole again, and no append be checked against it.
    pub(crate) fn broken(&self) -> Option<Error> {
        read(&self.broken).clone()
    }

    pub(crate) fn break_off(&self, error: Error) {
        tracing::error!(%error, "the index cannot be made whole again; appends are refused");
        *write(&self.broken) = Some(error);
    }

    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        read(&self.segments).clone()
    }

    pub(crate) fn lost(&self) -> RwLockReadGuard<'_, BTreeMap<Position, Lost>> {
        read(&self.lost)
    }

    /// The position of a lost event whose id is still known.
    pub(crate) fn lost_position(&self, event_id: &EventId) -> Option<Position> {
        read(&self.lost_ids).get(event_id).copied()
    }

    /// The eras of the log.
    pub(crate) fn eras(&self) -> Vec<Era> {
        read(&self.eras).clone()
    }

    pub(crate) fn missing(&self) -> RwLockReadGuard<'_, Vec<(Position, Position)>> {
        read(&self.missing)
    }

    /// What blocks are read into.
    pub(crate) fn buffers(&self) -> Arc<Buffers> {
        Arc::clone(&self.buffers)
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Takes in segments that were begun. They come before the events that lie in them.
    pub(crate) fn extend(&self, begun: Vec<Arc<Segment>>) {
        if !begun.is_empty() {
            write(&self.segments).extend(begun);
        }
    }

    /// Takes in a decision about the log that is durable now.
    pub(crate) fn decide(&self, control: &Control) {
        if !matches!(control, Control::Silent) {
            let index = self.index();
            let mut facts = index.facts();
            Arc::make_mut(&mut facts).accept(control, index.head().position);
            index.set_facts(facts);
        }
    }

    /// Shows events that are durable now, through a place of the log.
    pub(crate) fn publish(&self, entries: &[KeyedEntry], end: &Anchor) {
        let index = self.index();
        index.insert_judged(entries);
        self.show(&index, entries.last().map(|last| last.position), end);
    }

    /// Shows events that another process has made durable.
    pub(crate) fn follow(&self, entries: &[IndexEntry], end: &Anchor) {
        let index = self.index();
        index.insert(entries);
        self.show(&index, entries.last().map(|last| last.position), end);
    }

    fn show(&self, index: &Index, last: Option<Position>, end: &Anchor) {
        index.show(Some(end), &index.facts());
        if let Some(last) = last {
            self.head.send_replace(last);
        }
    }

    /// The id of the event at a position; none where it is lost or past the head.
    pub(crate) fn event_id_at(&self, position: Position) -> Result<Option<EventId>, Error> {
        if self.ask(|view| view.location(position))?.is_none() {
            return Ok(None);
        }
        self.event(position)
            .map(|event| Some(event.metadata.event_id))
    }

    /// The event with an id. Keys may collide, so each candidate's record is asked.
    pub(crate) fn event_of(
        &self,
        event_id: EventId,
        candidates: &[Position],
    ) -> Result<Option<RecordedEvent>, Error> {
        for position in candidates {
            let event = self.event(*position)?;
            if event.metadata.event_id == event_id {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The event at a position.
    pub(crate) fn event(&self, position: Position) -> Result<RecordedEvent, Error> {
        let mut events = self.events(&[position]);
        events
            .next()
            .unwrap_or_else(|| Err(self.unreadable(position)))
    }

    /// The events at some positions, in ascending or descending order. Neighbours in a file
    /// are read together, when their turn comes.
    pub(crate) fn events<'a>(
        &'a self,
        positions: &[Position],
    ) -> impl Iterator<Item = Result<RecordedEvent, Error>> + use<'a> {
        let locations = self.ask(|view| view.locations(positions));
        let (locations, failure) = match locations {
            Ok(locations) => (locations, None),
            Err(error) => (vec![None; positions.len()], Some(error)),
        };
        let segments = self.segments();
        let located = self.located(&segments, positions, locations);
        let mut batch = Batch::default();
        let mut names = Names::default();
        (0..located.len()).map(move |nth| {
            if let Some(error) = &failure {
                return Err(error.clone());
            }
            let found = &located[nth];
            let Some(location) = found.location else {
                return Err(self.unreadable(found.position));
            };
            if nth >= batch.end {
                batch = Batch::fetch(&segments, &located, nth);
            }
            let event = batch.event(nth, found, location, self.log_id, &mut names);
            event.map_err(|missing| corrupt(&segments, found, location, &missing))
        })
    }

    /// Where the records of some positions lie, of which those were found.
    pub(crate) fn located(
        &self,
        segments: &[Arc<Segment>],
        positions: &[Position],
        locations: Vec<Option<Location>>,
    ) -> Vec<Located> {
        let lost = self.lost();
        let places = positions.iter().zip(locations);
        let located = places.map(|(position, location)| Located {
            position: *position,
            // Positions of a segment are those from its name on.
            segment: segments.partition_point(|segment| segment.first_position <= *position),
            // What was accepted as lost stays lost, also where it can be read again.
            location: location.filter(|_| !lost.contains_key(position)),
        });
        located.collect()
    }

    /// The error for a position without a record.
    pub(crate) fn unreadable(&self, position: Position) -> Error {
        let lost = self.lost().get(&position).cloned();
        let damage = Damage {
            position: Some(position),
            stream: lost.as_ref().and_then(|lost| lost.stream.clone()),
            place: None,
            reason: match lost {
                Some(_) => "an event was lost to damage that was accepted".into(),
                None => "an event is lost to damage".into(),
            },
        };
        Error::corrupt(damage, RECORD_ADVICE)
    }
}

/// The error for a record that cannot be read.
pub(crate) fn corrupt(
    segments: &[Arc<Segment>],
    located: &Located,
    location: Location,
    missing: &Missing,
) -> Error {
    let segment = located.segment.checked_sub(1).map(|at| segments[at].name());
    let reason = match missing {
        Missing::Unread(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "a segment is shorter than it was".to_owned()
        }
        Missing::Unread(error) => format!("a record cannot be read ({error})"),
        Missing::Faulty(fault) => fault.reason().to_owned(),
    };
    let damage = Damage {
        position: Some(located.position),
        stream: None,
        place: Some(format!(
            "log/{} at byte {}",
            segment.unwrap_or_default(),
            location.offset
        )),
        reason,
    };
    Error::corrupt(damage, RECORD_ADVICE)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Runs of positions in order, neighbours as one.
fn joined(mut runs: Vec<(Position, Position)>) -> Vec<(Position, Position)> {
    runs.sort_unstable();
    let mut joined: Vec<(Position, Position)> = Vec::new();
    for (first, last) in runs {
        match joined.last_mut() {
            Some(before) if first <= before.1 + 1 => before.1 = last.max(before.1),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// What one read may still cost.
pub(crate) struct Budget<'a> {
    clock: &'a dyn Clock,
    until: Duration,
    records: u64,
    bytes: usize,
    /// The clock has said so.
    is_over: bool,
}

/// Records between two looks at the clock.
const CLOCK_RECORDS: u64 = 64;

impl Budget<'_> {
    pub(crate) fn new(clock: &dyn Clock) -> Budget<'_> {
        Budget {
            clock,
            until: clock.monotonic() + Duration::from_millis(limits::READ_TIME_MS_MAX),
            records: limits::READ_RECORDS_MAX,
            bytes: limits::PAGE_BYTES_MAX,
            is_over: false,
        }
    }

    /// Counts a record that was looked at.
    pub(crate) fn look(&mut self) {
        self.records = self.records.saturating_sub(1);
        if self.records.is_multiple_of(CLOCK_RECORDS) {
            self.look_at_clock();
        }
    }

    /// Notes whether the time is over.
    pub(crate) fn look_at_clock(&mut self) {
        self.is_over |= self.clock.monotonic() >= self.until;
    }

    /// Counts an event that goes into the page; false when it does not fit any more. The
    /// first event always fits.
    pub(crate) fn keep(&mut self, entry: &Entry) -> bool {
        let Entry::Event(event) = entry else {
            return true;
        };
        let bytes = event.bytes();
        let is_first = self.bytes == limits::PAGE_BYTES_MAX;
        let fits = bytes <= self.bytes || is_first;
        self.bytes = self.bytes.saturating_sub(bytes);
        fits
    }

    /// Whether the page is as long as it may be.
    pub(crate) fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0 || self.is_over
    }
}
