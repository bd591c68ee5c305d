//! What readers see: the durable part of the log. Nothing gets in here before it is synced.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use retold_core::{
    Clock, Damage, Entry, Era, Error, EventId, LogHead, LogId, Lost, Position, RecordedEvent,
    limits,
};
use tokio::sync::watch;

use crate::disk::read_exact;
use crate::index::{Anchor, Fault, Index, KeyedEntry, Keys, Location, Reach, View};
use crate::log::control::Control;
use crate::log::record::{self, RecordFault};
use crate::log::segment::Segment;
use crate::state::{LogState, RECORD_ADVICE};

/// What the head is told to be once the store is closed.
pub(crate) const CLOSED: Position = Position::MAX;

/// Bytes between two records that are still read in one go.
const SKIP_BYTES: u64 = 16 * 1024;

/// A read that takes longer than this did not come from the page cache.
const COLD_READ: Duration = Duration::from_micros(40);

/// Records that are asked for ahead of a cold read: what a disk can have in flight.
const READ_AHEAD: usize = 128;

/// Bytes read in one go.
const READ_BYTES: u64 = 1024 * 1024;

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
        index.show(Some(end), &index.facts());
        if let Some(last) = entries.last() {
            self.head.send_replace(last.position);
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
        let lost = self.lost();
        let located: Vec<Located> = positions
            .iter()
            .zip(locations)
            .map(|(position, location)| Located {
                position: *position,
                // Positions of a segment are those from its name on.
                segment: segments.partition_point(|segment| segment.first_position <= *position),
                // What was accepted as lost stays lost, also where it can be read again.
                location: location.filter(|_| !lost.contains_key(position)),
            })
            .collect();
        drop(lost);
        let mut run = Run::default();
        let mut asked_ahead = 0;
        (0..located.len()).map(move |at| {
            if let Some(error) = &failure {
                return Err(error.clone());
            }
            let Located {
                position, location, ..
            } = located[at];
            let Some(location) = location else {
                return Err(self.unreadable(position));
            };
            if at >= run.end {
                let began = Instant::now();
                run = read_run(&segments, &located[at..], at, location);
                if began.elapsed() > COLD_READ && run.end >= asked_ahead {
                    asked_ahead = located.len().min(run.end + READ_AHEAD);
                    ask_ahead(&segments, &located[run.end..asked_ahead]);
                }
            }
            self.decode(&run, position, location)
        })
    }

    fn decode(
        &self,
        run: &Run,
        position: Position,
        location: Location,
    ) -> Result<RecordedEvent, Error> {
        let corrupt = |reason: &str| {
            let damage = Damage {
                position: Some(position),
                stream: None,
                place: Some(format!("log/{} at byte {}", run.segment, location.offset)),
                reason: reason.to_owned(),
            };
            Error::corrupt(damage, RECORD_ADVICE)
        };
        let bytes = match &run.bytes {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(corrupt("a segment is shorter than it was"));
            }
            Err(error) => return Err(corrupt(&format!("a record cannot be read ({error})"))),
        };
        let skip = (u64::from(location.offset) - run.from) as usize;
        let mut record = bytes.slice(skip..skip + location.bytes as usize);
        if run.is_sparse {
            // Else a small event would keep all of what was read with it.
            record = Bytes::copy_from_slice(&record);
        }
        let decoded = record::decode(&record, self.log_id, position)
            .and_then(|view| view.to_event(&record, position).ok_or(RecordFault::Unknown));
        decoded.map_err(|fault| corrupt(fault.reason()))
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

/// Where the record of a position lies.
struct Located {
    position: Position,
    /// The segment's place in the list of segments, from 1.
    segment: usize,
    location: Option<Location>,
}

/// Has the disk begin to read what is to be decoded next.
fn ask_ahead(segments: &[Arc<Segment>], located: &[Located]) {
    for next in located {
        let segment = next.segment.checked_sub(1).and_then(|at| segments.get(at));
        if let (Some(segment), Some(location)) = (segment, next.location) {
            let (offset, bytes) = (location.offset.into(), location.bytes.into());
            segment.file.will_read(offset, bytes);
        }
    }
}

fn read_run(segments: &[Arc<Segment>], located: &[Located], at: usize, first: Location) -> Run {
    let (mut count, mut from, mut end) = neighbours(located, first);
    let Some(segment) = located[0].segment.checked_sub(1) else {
        return Run {
            end: at + 1,
            bytes: Err(io::ErrorKind::UnexpectedEof.into()),
            ..Run::default()
        };
    };
    let segment = &segments[segment];
    let read = |from: u64, end: u64| {
        read_exact(&*segment.file, from, (end - from) as usize).map(Bytes::from)
    };
    let mut bytes = read(from, end);
    if bytes.is_err() && count > 1 {
        // One bad sector must not take its neighbours with it.
        count = 1;
        from = first.offset.into();
        end = from + u64::from(first.bytes);
        bytes = read(from, end);
    }
    let wanted = located[..count].iter().filter_map(|next| next.location);
    let wanted: u64 = wanted.map(|location| u64::from(location.bytes)).sum();
    Run {
        end: at + count,
        from,
        bytes,
        segment: segment.name(),
        is_sparse: wanted * 2 < end - from,
    }
}

/// A stretch of a segment that was read in one go.
struct Run {
    /// The place in the list of positions at which the next stretch begins.
    end: usize,
    segment: String,
    from: u64,
    bytes: io::Result<Bytes>,
    /// Less than half of the bytes were asked for.
    is_sparse: bool,
}

impl Default for Run {
    fn default() -> Self {
        Run {
            end: 0,
            segment: String::new(),
            from: 0,
            bytes: Ok(Bytes::new()),
            is_sparse: false,
        }
    }
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

/// How many of the records lie close enough to the first to be read with it, and the stretch
/// of the file that they lie in.
fn neighbours(located: &[Located], first: Location) -> (usize, u64, u64) {
    let mut from = u64::from(first.offset);
    let mut end = from + u64::from(first.bytes);
    let mut run = 1;
    for next in &located[1..] {
        let Some(location) = next.location else { break };
        let next_from = u64::from(location.offset);
        let next_end = next_from + u64::from(location.bytes);
        let (all_from, all_end) = (from.min(next_from), end.max(next_end));
        let gap = next_from
            .saturating_sub(end)
            .max(from.saturating_sub(next_end));
        let is_beside = next.segment == located[0].segment && gap <= SKIP_BYTES;
        if !is_beside || all_end - all_from > READ_BYTES {
            break;
        }
        (from, end) = (all_from, all_end);
        run += 1;
    }
    (run, from, end)
}

/// What one read may still cost.
pub(crate) struct Budget<'a> {
    clock: &'a dyn Clock,
    until: Duration,
    records: u64,
    bytes: usize,
}

impl Budget<'_> {
    pub(crate) fn new(clock: &dyn Clock) -> Budget<'_> {
        Budget {
            clock,
            until: clock.monotonic() + Duration::from_millis(limits::READ_TIME_MS_MAX),
            records: limits::READ_RECORDS_MAX,
            bytes: limits::PAGE_BYTES_MAX,
        }
    }

    /// Counts a record that was looked at.
    pub(crate) fn look(&mut self) {
        self.records = self.records.saturating_sub(1);
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
        self.records == 0 || self.bytes == 0 || self.clock.monotonic() >= self.until
    }
}
