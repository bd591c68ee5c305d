//! The parts of the index, in the order of the positions they cover, and how they change:
//! events are added to the last one, a full table becomes a run, runs become one.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use retold_core::{IndexStatistics, LogHead, LogId, Position, StreamId, Timestamp};

use super::cache::PageCache;
use super::keys::{Keys, SECRET_BYTES};
use super::newest::Newest;
use super::part::{Part, Reach, RunNumber, read, write};
use super::run::{BuildError, Building, Header, PAGE_BYTES_MAX, PAGE_BYTES_MIN, Run, Sorted};
use super::statistics::{add, get};
use super::table::Table;
use super::view::{Losses, View};
use super::{Anchor, IndexEntry, KeyedEntry};
use crate::disk::{Access, Disk, File};
use crate::options::IndexOptions;
use crate::probe::{self, Probe};
use crate::state::Facts;

/// The folder of the runs.
pub(crate) fn index_folder(folder: &Path) -> PathBuf {
    folder.join("index")
}

/// Tables that may wait to become runs before appends are slowed.
const WAITING_TABLES: usize = 1;

/// Runs that look-ups may have to ask before appends are slowed.
const RUNS: usize = 48;

/// By how much an append group is slowed for each table or run above that.
const SLOWED_BY: Duration = Duration::from_micros(500);

/// The most that a group is slowed by, far below what anybody would notice.
const SLOWED_BY_MAX: Duration = Duration::from_millis(20);

/// The index.
pub(crate) struct Index {
    pub(crate) log_id: LogId,
    settings: IndexOptions,
    cache: Arc<PageCache>,
    current: ArcSwap<Current>,
    /// Held while `current` is changed.
    changing: Mutex<()>,
    /// Where runs are written; none where they are only read.
    place: Option<Place>,
    numbers: AtomicU64,
    /// Told when a table is full, or nothing comes any more.
    changed: Condvar,
    is_closed: Mutex<bool>,
}

/// The index at one moment.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) keys: Keys,
    /// The last one is the table that events are added to.
    pub(super) parts: Arc<Vec<Part>>,
    pub(super) head: LogHead,
    /// The last position before the table that events are added to.
    pub(super) sealed: Position,
    pub(super) losses: Arc<Losses>,
    pub(super) newest: Arc<Newest>,
    facts: Arc<Facts>,
}

struct Place {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    is_there: AtomicBool,
}

impl Place {
    fn make_folder(&self) -> std::io::Result<()> {
        self.disk.create_folder(&self.folder)?;
        self.is_there.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Index {
    /// An empty index that begins at a place of the log.
    pub(crate) fn new(
        log_id: LogId,
        secret: [u8; SECRET_BYTES],
        settings: IndexOptions,
        begin: Anchor,
        writes_to: Option<(Arc<dyn Disk>, &Path)>,
    ) -> Index {
        let page_bytes = settings.page_bytes.clamp(PAGE_BYTES_MIN, PAGE_BYTES_MAX);
        let settings = IndexOptions {
            page_bytes,
            memory_events: settings.memory_events.max(1),
            ..settings
        };
        let table = Part::Table(Arc::new(RwLock::new(Table::new(begin))));
        Index {
            log_id,
            cache: Arc::new(PageCache::new(settings.cache_bytes, page_bytes)),
            settings,
            current: ArcSwap::from_pointee(Current {
                keys: Keys::new(secret),
                parts: Arc::new(vec![table]),
                head: LogHead {
                    position: begin.next_position - 1,
                    persisted_at: Timestamp::MIN,
                },
                sealed: begin.next_position - 1,
                losses: Arc::default(),
                newest: Arc::default(),
                facts: Arc::new(Facts::new(log_id)),
            }),
            changing: Mutex::new(()),
            place: writes_to.map(|(disk, folder)| Place {
                disk,
                folder: index_folder(folder),
                is_there: AtomicBool::new(false),
            }),
            numbers: AtomicU64::new(0),
            changed: Condvar::new(),
            is_closed: Mutex::new(false),
        }
    }

    /// The index as it stands now.
    pub(crate) fn view(&self, reach: Reach) -> View {
        let current = self.current();
        View {
            head: current.head,
            current,
            reach,
        }
    }

    /// The same, with what was taken in and is not shown yet.
    pub(crate) fn view_of_all(&self) -> View {
        let mut view = self.view(Reach::Disk);
        view.head.position = Position::MAX;
        view
    }

    pub(crate) fn head(&self) -> LogHead {
        self.current().head
    }

    /// The last position before the table that events are added to.
    pub(crate) fn sealed(&self) -> Position {
        self.current().sealed
    }

    /// What the log said when events were last shown.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.current().facts)
    }

    pub(crate) fn keys(&self) -> Keys {
        self.current().keys
    }

    pub(crate) fn cache(&self) -> &Arc<PageCache> {
        &self.cache
    }

    /// The table that events are added to.
    pub(crate) fn live(&self) -> Arc<RwLock<Table>> {
        let current = self.current();
        let last = current.parts.last();
        let table = last.and_then(|part| match part {
            Part::Table(table) => Some(Arc::clone(table)),
            Part::Run(..) => None,
        });
        table.expect("the last part is a table")
    }

    /// Takes in events behind the head; nobody sees them before they are shown. Returns the
    /// streams of which an event is missing, with its sequence number, as far as this table
    /// shows it.
    pub(crate) fn insert(&self, entries: &[IndexEntry]) -> Vec<(StreamId, u64)> {
        let table = self.live();
        let mut table = write(&table);
        let keys = self.keys();
        let mut incomplete = Vec::new();
        for entry in entries {
            if let Some(missing) = table.insert(&KeyedEntry::new(entry, &keys)) {
                incomplete.push((entry.stream.clone(), missing));
            }
        }
        incomplete
    }

    /// The same for events that were judged: none is missing.
    pub(crate) fn insert_judged(&self, entries: &[KeyedEntry]) {
        let table = self.live();
        let mut table = write(&table);
        let current = self.current();
        for entry in entries {
            table.insert(entry);
            current
                .newest
                .note(entry.keys.stream, entry.sequence_number);
        }
    }

    /// Notes the stream of the event that was taken in last as one that begins with it.
    pub(crate) fn name(&self, event: &IndexEntry) {
        let table = self.live();
        let mut table = write(&table);
        let at = u32::try_from(event.position - table.first());
        table.name(
            &event.stream,
            at.expect("a table holds far fewer positions"),
        );
    }

    /// Notes that all positions up to this one that are not known are lost.
    pub(crate) fn pass_over(&self, through: Position) {
        write(&self.live()).pass_over(through);
    }

    /// Shows everything that was taken in. A full table is not added to any more: it ends at
    /// `end`, up to where the log said what `facts` hold.
    pub(crate) fn show(&self, end: Option<&Anchor>, facts: &Arc<Facts>) {
        let table = self.live();
        let (last, persisted_at, length) = {
            let table = read(&table);
            (table.last(), table.last_persisted_at, table.len())
        };
        let full = end.filter(|_| length >= self.settings.memory_events);
        self.change(|current| {
            current.head = LogHead {
                position: last,
                persisted_at: current.head.persisted_at.max(persisted_at),
            };
            current.facts = Arc::clone(facts);
            if let Some(end) = full {
                seal(current, &table, *end, facts);
            }
        });
        if full.is_some() {
            self.changed.notify_all();
        }
    }

    /// Goes on behind a run that covers what comes next.
    pub(crate) fn jump(&self, run: Run, facts: &Arc<Facts>) {
        let table = self.live();
        let (begin, end) = (run.header.begin, run.header.end);
        self.change(|current| {
            current.head = LogHead {
                position: run.last(),
                persisted_at: current.head.persisted_at.max(run.header.persisted_at),
            };
            if read(&table).len() > 0 {
                seal(current, &table, begin, facts);
            }
            let parts = Arc::make_mut(&mut current.parts);
            parts.pop();
            parts.push(Arc::new(run).into());
            parts.push(Part::Table(Arc::new(RwLock::new(Table::new(end)))));
            current.sealed = current.head.position;
        });
    }

    /// Takes over what the log says of itself now.
    pub(crate) fn set_facts(&self, facts: Arc<Facts>) {
        self.change(|current| current.facts = facts);
    }

    /// Notes what is known of incomplete streams, once everything is taken in.
    pub(crate) fn set_losses(&self, facts: &Arc<Facts>) {
        self.change(|current| {
            current.losses = Arc::new(Losses::new(facts));
            current.facts = Arc::clone(facts);
        });
    }

    /// The oldest full table.
    pub(crate) fn oldest_full_table(&self) -> Option<Arc<RwLock<Table>>> {
        let current = self.current();
        let mut parts = current.parts.iter();
        parts.find_map(|part| match part {
            Part::Table(table) if read(table).sealed.is_some() => Some(Arc::clone(table)),
            _ => None,
        })
    }

    /// All runs, in order.
    pub(crate) fn runs(&self) -> Vec<Arc<Run>> {
        let current = self.current();
        let runs = current.parts.iter().filter_map(|part| match part {
            Part::Run(run, _) => Some(Arc::clone(run)),
            Part::Table(_) => None,
        });
        runs.collect()
    }

    /// The parts as they stand.
    pub(crate) fn parts(&self) -> Arc<Vec<Part>> {
        Arc::clone(&self.current().parts)
    }

    /// Puts others in the place of parts that follow one another; false where one of them is
    /// not there any more.
    pub(crate) fn replace(&self, old: &[Part], new: Vec<Part>) -> bool {
        let Some(first) = old.first() else {
            return false;
        };
        self.change(|current| {
            let parts = &current.parts;
            let Some(at) = parts.iter().position(|part| is_same(part, first)) else {
                return false;
            };
            let stand = parts.get(at..at + old.len());
            let are_there = stand.is_some_and(|stand| {
                let mut pairs = stand.iter().zip(old);
                pairs.all(|(part, old)| is_same(part, old))
            });
            if are_there {
                Arc::make_mut(&mut current.parts).splice(at..at + old.len(), new);
            }
            are_there
        })
    }

    /// What the index consists of, and what was done for it.
    pub(crate) fn statistics(&self) -> IndexStatistics {
        let parts = self.parts();
        let counters = &self.cache.counters;
        let mut statistics = IndexStatistics::default();
        for part in parts.iter() {
            match part {
                Part::Run(run, _) => {
                    statistics.runs += 1;
                    statistics.run_bytes += run.bytes();
                }
                Part::Table(table) => {
                    let table = read(table);
                    statistics.memory_events += table.len() as u64;
                    statistics.waiting_tables += u64::from(table.sealed.is_some());
                }
            }
        }
        statistics.flushes = get(&counters.flushes);
        statistics.merges = get(&counters.merges);
        statistics.mended = get(&counters.mended);
        statistics.cache_hits = get(&counters.hits);
        statistics.cache_misses = get(&counters.misses);
        statistics
    }

    /// By how much the next group of appends is to be slowed, so that the index keeps up.
    pub(crate) fn pressure(&self) -> Duration {
        let current = self.current();
        let runs = |part: &&Part| matches!(part, Part::Run(..));
        let runs = current.parts.iter().filter(runs).count();
        // One table is added to.
        let waiting = current.parts.len() - runs - 1;
        let above = waiting.saturating_sub(WAITING_TABLES) + runs.saturating_sub(RUNS) / 8;
        (SLOWED_BY * u32::try_from(above).unwrap_or(u32::MAX)).min(SLOWED_BY_MAX)
    }

    /// Waits until there may be something to do; true once nothing comes any more.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let is_closed = self.is_closed();
        if *is_closed {
            return true;
        }
        let waited = self.changed.wait_timeout(is_closed, at_most);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Nothing is merged any more.
    pub(crate) fn close(&self) {
        *self.is_closed() = true;
        self.changed.notify_all();
    }

    pub(crate) fn has_closed(&self) -> bool {
        *self.is_closed()
    }

    /// Makes a run of a full table. One that does not keep its name is gone once it is closed.
    pub(crate) fn flush(
        &self,
        table: &RwLock<Table>,
        keeps_name: bool,
    ) -> Result<Arc<Run>, BuildError> {
        let sorted = Sorted::new(table, &self.keys(), self.log_id, self.settings.page_bytes);
        let sorted = sorted.ok_or_else(|| std::io::Error::other("a table is still added to"))?;
        let (file, unnamed) = self.make_file()?;
        // Not synced: should the power fail, what it covers is read from the log again.
        let mut building = Building::new(Arc::new(sorted), file, false);
        let built = building
            .advance(usize::MAX)
            .and_then(|_| Ok(building.finish()?));
        let run = match built {
            Ok((header, file)) if keeps_name => self.publish(header, file, &unnamed),
            Ok((header, file)) => {
                self.remove(&unnamed);
                Ok(Arc::new(self.open_run(header, unnamed.clone(), file)))
            }
            Err(error) => Err(error),
        };
        if run.is_err() {
            self.remove(&unnamed);
        } else {
            add(&self.cache.counters.flushes);
            probe::hit(Probe::RunMade);
        }
        run
    }

    /// Makes runs of all full tables; what cannot be written stays in memory.
    pub(crate) fn flush_all(&self, keeps_names: bool) {
        while let Some(table) = self.oldest_full_table() {
            match self.flush(&table, keeps_names) {
                Ok(run) => {
                    self.replace(&[Part::Table(table)], vec![run.into()]);
                }
                Err(error) => {
                    tracing::warn!(?error, "could not write a run of the index");
                    return;
                }
            }
        }
    }

    /// Whether runs can be written here.
    pub(crate) fn is_writable(&self) -> bool {
        self.place.is_some()
    }

    /// A file for a run in the making, and its name.
    pub(crate) fn make_file(&self) -> Result<(Arc<dyn File>, String), BuildError> {
        let place = self.place()?;
        let name = format!("{}.tmp", self.next_number());
        let path = place.folder.join(&name);
        if !place.is_there.load(Ordering::Relaxed) {
            place.make_folder()?;
        }
        let file = match place.disk.open(&path, Access::Replace) {
            // Somebody has removed it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                place.make_folder()?;
                place.disk.open(&path, Access::Replace)?
            }
            opened => opened?,
        };
        Ok((file, name))
    }

    /// Gives a finished run its name. Another one of that name stays: it may be evidence.
    pub(crate) fn publish(
        &self,
        header: Header,
        file: Arc<dyn File>,
        unnamed: &str,
    ) -> Result<Arc<Run>, BuildError> {
        let place = self.place()?;
        let taken = place.disk.list(&place.folder)?;
        let mut names = (0..).map(|nth| header.file_name(nth));
        let free = names.find(|name| !taken.contains(name));
        let name = free.expect("there are more numbers than files");
        place
            .disk
            .rename(&place.folder.join(unnamed), &place.folder.join(&name))?;
        Ok(Arc::new(self.open_run(header, name, file)))
    }

    /// Counts a run that was mended.
    pub(crate) fn note_mended(&self) {
        add(&self.cache.counters.mended);
        probe::hit(Probe::RunMended);
    }

    pub(crate) fn sync_names(&self) -> Result<(), BuildError> {
        let place = self.place()?;
        Ok(place.disk.sync_folder(&place.folder)?)
    }

    pub(crate) fn open_run(&self, header: Header, name: String, file: Arc<dyn File>) -> Run {
        let cache = Arc::clone(&self.cache);
        Run::new(self.next_number(), name, header, file, cache)
    }

    /// Removes a file of the index, unless a part needs it. One that cannot be removed is
    /// left: it does no harm.
    pub(crate) fn remove(&self, name: &str) {
        let is_used = self.runs().iter().any(|run| run.name == name);
        if let Some(place) = &self.place
            && !is_used
        {
            let _ = place.disk.remove(&place.folder.join(name));
        }
    }

    /// The run with a number, if it still is a part.
    pub(crate) fn run(&self, number: RunNumber) -> Option<Arc<Run>> {
        self.runs().into_iter().find(|run| run.number == number)
    }

    pub(crate) fn settings(&self) -> &IndexOptions {
        &self.settings
    }

    fn place(&self) -> Result<&Place, BuildError> {
        let place = self.place.as_ref();
        Ok(place.ok_or_else(|| std::io::Error::other("runs are only read here"))?)
    }

    fn next_number(&self) -> RunNumber {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn current(&self) -> Guard<Arc<Current>> {
        self.current.load()
    }

    /// Puts another moment in the place of the last one.
    fn change<T>(&self, change: impl FnOnce(&mut Current) -> T) -> T {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Current::clone(&self.current());
        let outcome = change(&mut next);
        self.current.store(Arc::new(next));
        outcome
    }

    fn is_closed(&self) -> std::sync::MutexGuard<'_, bool> {
        self.is_closed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the table that was added to, and begins the next one behind it.
fn seal(current: &mut Current, table: &RwLock<Table>, end: Anchor, facts: &Arc<Facts>) {
    write(table).sealed = Some((end, Arc::clone(facts)));
    let next = Part::Table(Arc::new(RwLock::new(Table::new(end))));
    Arc::make_mut(&mut current.parts).push(next);
    current.sealed = end.next_position - 1;
}

fn is_same(one: &Part, other: &Part) -> bool {
    match (one, other) {
        (Part::Table(one), Part::Table(other)) => Arc::ptr_eq(one, other),
        (Part::Run(one, _), Part::Run(other, _)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}
