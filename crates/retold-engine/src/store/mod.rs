//! The store: what callers hold. Looks up what is durable on the caller's side, hands appends
//! to the writer, and reads pages off the threads that drive futures.

mod look_up;
mod restore;
mod room;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use retold_core::{
    Append, Appended, Capabilities, Era, Error, EventId, EventStore, LogBlock, LogHead, LogPage,
    LogQuery, Position, RecordedEvent, RestoreBatch, StoreStatistics, StreamHead, StreamId,
    StreamPage, StreamQuery, StreamsPage, StreamsQuery,
};
use tokio::sync::{oneshot, watch};

use self::look_up::{Found, look_up, look_up_in_memory};
use self::restore::restore;
use self::room::Room;
use crate::disk::{Disk, Lock, RealDisk};
use crate::evidence;
use crate::finish::{self, Finished};
use crate::follower::Follower;
use crate::index::Merger;
use crate::indexing;
use crate::log::prepare::Preparing;
use crate::log::tail::{Draft, Growth, Tail, WriteFailure};
use crate::opening;
use crate::options::Options;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};
use crate::state::Restore;
use crate::visible::Visible;
use crate::write::group::Answer;
use crate::write::keyed::KeyedAppend;
use crate::write::syncer::Syncer;
use crate::write::writer::Writer;

/// Events of an append that are looked up without leaving the caller's thread: more take longer
/// than moving to another one, and are likely to need the disk.
const LOOKED_UP_INLINE: usize = 32;

/// How often an append is looked up: far more often than anything can change in between. An index
/// that does not know what was just written must not keep a caller for ever.
const LOOKS_MAX: usize = 1_000;

/// The embedded event store: one folder, one process that writes.
pub struct EngineStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What is done in the background of a store that takes appends.
pub(crate) struct Background {
    pub(crate) syncer: Syncer,
    pub(crate) merger: Merger,
    pub(crate) preparing: Arc<Preparing>,
    lock: Arc<Lock>,
}

pub(crate) struct Shared {
    pub(crate) visible: Arc<Visible>,
    writer: Option<Arc<Writer>>,
    preparing: Option<Arc<Preparing>>,
    follower: Option<Arc<Follower>>,
    /// Why nothing may be appended since the log was opened.
    refusal: Option<Error>,
    /// The restore that the log began with, if it began with one.
    restore: tokio::sync::Mutex<Option<Restore>>,
    /// How many threads of the store have not ended.
    running: watch::Sender<usize>,
    room: Room,
    lock: Mutex<Option<Lock>>,
}

impl EngineStore {
    /// Opens the log in a folder, or makes one. Blocks while the log is read.
    ///
    /// A log that is damaged, or that has lost its newest part, opens all the same: what can be
    /// read is read, and appends are refused until [`crate::recover`] was run.
    ///
    /// # Errors
    /// [`Error::Busy`] when another process has the folder open; [`Error::Io`]; and
    /// [`Error::Unsupported`] when a newer version wrote the log.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<EngineStore, Error> {
        EngineStore::open_on(Arc::new(RealDisk), folder, options)
    }

    /// The same on another disk.
    ///
    /// # Errors
    /// See [`EngineStore::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        folder: impl AsRef<Path>,
        options: Options,
    ) -> Result<EngineStore, Error> {
        let folder = folder.as_ref().to_owned();
        if options.read_only {
            return EngineStore::open_read_only(disk, folder, options);
        }
        let (store, background) = EngineStore::open_unstarted(disk, folder, options)?;
        if let Some(background) = background {
            let Background {
                syncer,
                merger,
                preparing,
                lock,
            } = background;
            store.start("retold-preparer", move || {
                preparing.run();
                drop(lock);
            })?;
            store.start("retold-merger", move || merger.run())?;
            store.start("retold-syncer", move || syncer.run())?;
        }
        Ok(store)
    }

    /// Opens the log without its threads: a test takes their steps by itself.
    pub(crate) fn open_unstarted(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        options: Options,
    ) -> Result<(EngineStore, Option<Background>), Error> {
        let mut lock = Some(opening::lock(&*disk, &folder, &options.holder)?);
        let read = || indexing::open(&disk, &folder, &options.index, true, None);
        let (survey, mut indexing) = match read()? {
            Some(read) => read,
            None => {
                let log_id = options.log_id.unwrap_or_else(uuid::Uuid::new_v4);
                finish::create(&*disk, &folder, log_id)?;
                read()?.expect("a log that was just made is there")
            }
        };
        let moved_at = options.clock.now().as_micros();
        let lost_before = survey.state.facts.lost.len();
        let mut finished = finish::finish(&*disk, &folder, survey, &mut indexing, moved_at, false)?;
        let is_behind = finished.state.facts.lost.len() != lost_before;
        if indexing.has_failed() || is_behind {
            // What was read of the end is not in the index, or says that events are lost whose
            // streams the runs do not know to miss them.
            let anew = indexing::open_anew(&disk, &folder, &options.index, &finished.state.facts)?;
            let survey;
            (survey, indexing) = anew.expect("the log was there a moment ago");
            finished = finish::finish(&*disk, &folder, survey, &mut indexing, moved_at, false)?;
            if indexing.has_failed() {
                let error = std::io::Error::other("a run that was just written cannot be read");
                return Err(Error::io("make the index", error));
            }
        }
        let Finished {
            end,
            segment,
            state,
            segments,
            unfinished,
            lost_tail,
            mut runs,
            unused,
        } = finished;
        indexing.finish(&state.facts);
        let log_id = segment.log_id;
        let restore = state.facts.restore;
        let damaged = state.unaccepted().next().map(|damage| damage.to_error());
        let clock = Arc::clone(&options.clock);
        let visible = Visible::new(log_id, indexing.index, &state, segments, clock);
        runs.extend(options.evidence.iter().copied());
        // What cannot be read is damage, and reported as such.
        let event_id_at = |position| visible.event_id_at(position).unwrap_or(None);
        let head = visible.head().position;
        let ahead = evidence::check_evidence(&state.facts, head, &runs, event_id_at);
        let refusal = unfinished
            .map(|error| match error.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    Error::Full {
                        event_ids: Vec::new(),
                    }
                }
                _ => Error::io(
                    "make the end of the log durable; it is open for reading only",
                    error,
                ),
            })
            .or(lost_tail.or(ahead).map(evidence::lost_tail_error))
            .or(damaged);
        let visible = Arc::new(visible);
        let mut writer = None;
        let mut background = None;
        if let Some(refusal) = &refusal {
            tracing::error!(%refusal, "the log is open for reading only");
        } else {
            let growth = Growth {
                segment_bytes_max: options.segment_bytes_max.min(u32::MAX.into()),
                reserve_bytes: options.reserve_bytes.max(1),
            };
            let tail = Tail::new(disk, folder, growth, segment, end);
            let mut tail = tail.map_err(|error| Error::io("open the log for writing", error))?;
            // No epoch is used twice: the mark that begins this one is durable before anything
            // else is written. A full disk is no obstacle to reading.
            let needs_mark = match tail.write(&mut Draft::mark(end.next_position)) {
                Ok(_) => false,
                Err(WriteFailure::Full) => {
                    probe::hit(Probe::OpenedWithoutRoom);
                    true
                }
                Err(WriteFailure::Failed(error)) => {
                    return Err(Error::io("open the log for writing", error));
                }
            };
            visible.extend(tail.take_begun());
            let head = visible.head();
            let clock = Arc::clone(&options.clock);
            let memory_events = options.index.memory_events;
            let made = Writer::new(log_id, head, clock, memory_events);
            let made = Arc::new(made);
            let is_restoring = restore.is_some_and(|restore| !restore.is_done);
            if is_restoring {
                probe::hit(Probe::RestoreTakenUp);
            }
            made.queue().is_restoring = is_restoring && !planted::is(Bug::RestoreForgotten);
            let (made_for, shown) = (Arc::clone(&made), Arc::clone(&visible));
            // What is of no use goes only now: it might have been evidence.
            let shown_for = Arc::clone(&visible);
            let preparing = tail.preparing();
            background = lock.take().map(Arc::new).map(|lock| Background {
                merger: Merger::new(shown_for, unused, Arc::clone(&lock)),
                syncer: Syncer::new(tail, made_for, shown, needs_mark, Arc::clone(&lock)),
                preparing,
                lock,
            });
            writer = Some(made);
        }
        let shared = Shared {
            preparing: background.as_ref().map(|it| Arc::clone(&it.preparing)),
            writer,
            refusal,
            restore: tokio::sync::Mutex::new(restore),
            lock: Mutex::new(lock),
            ..Shared::new(visible)
        };
        Ok((EngineStore::assemble(shared), background))
    }

    fn open_read_only(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        options: Options,
    ) -> Result<EngineStore, Error> {
        let (store, follower) = EngineStore::open_read_only_unstarted(disk, folder, options)?;
        store.start("retold-follower", move || follower.run())?;
        Ok(store)
    }

    /// The same without the thread that follows: a test takes its looks by itself.
    pub(crate) fn open_read_only_unstarted(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        options: Options,
    ) -> Result<(EngineStore, Arc<Follower>), Error> {
        let clock = Arc::clone(&options.clock);
        let follower = Follower::open(disk, folder, options.index, clock)?;
        let follower = Arc::new(follower);
        let refusal = Error::Unsupported {
            what: "append: the store is open for reading only".into(),
        };
        let shared = Shared {
            follower: Some(Arc::clone(&follower)),
            refusal: Some(refusal),
            ..Shared::new(follower.visible())
        };
        Ok((EngineStore::assemble(shared), follower))
    }

    /// Starts a thread of the store; `close` and dropping the store wait for its end.
    fn start(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let ended = Ended(self.shared.running.clone());
        self.shared.running.send_modify(|running| *running += 1);
        let thread = std::thread::Builder::new().name(name.into());
        let thread = thread.spawn(move || {
            let _ended = ended;
            run();
        });
        let thread = thread.map_err(|error| Error::io("start a thread", error))?;
        self.threads().push(thread);
        Ok(())
    }

    fn assemble(shared: Shared) -> EngineStore {
        EngineStore {
            shared: Arc::new(shared),
            threads: Mutex::default(),
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the store refuses appends since it was opened; none where it takes them.
    pub fn refusal(&self) -> Option<&Error> {
        self.shared.refusal.as_ref()
    }

    #[cfg(any(test, feature = "simulator"))]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Tells the threads to finish what was accepted and to end.
    fn stop(&self) {
        self.shared.visible.index().close();
        if let Some(writer) = &self.shared.writer {
            writer.close();
        }
        if let Some(preparing) = &self.shared.preparing {
            preparing.close();
        }
        if let Some(follower) = &self.shared.follower {
            follower.stop();
        }
    }

    /// Gives back what is left, once the thread has ended: it holds the lock while it writes.
    fn release(&self) {
        self.shared.visible.close();
        let mut lock = self
            .shared
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        drop(lock.take());
    }
}

/// Tells that a thread has ended, also when it panicked.
struct Ended(watch::Sender<usize>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Drop for EngineStore {
    fn drop(&mut self) {
        self.stop();
        for thread in std::mem::take(&mut *self.threads()) {
            // A thread that panicked has left nobody waiting.
            let _ = thread.join();
        }
        self.release();
    }
}

impl Shared {
    /// Shows what is there, and no more.
    fn new(visible: Arc<Visible>) -> Shared {
        Shared {
            visible,
            writer: None,
            preparing: None,
            follower: None,
            refusal: None,
            restore: tokio::sync::Mutex::new(None),
            running: watch::Sender::new(0),
            room: Room::new(),
            lock: Mutex::new(None),
        }
    }

    fn writer(&self, event_ids: impl FnOnce() -> Vec<EventId>) -> Result<&Writer, Error> {
        match (&self.writer, &self.refusal) {
            (Some(writer), None) => Ok(writer),
            (_, Some(refusal)) => Err(refusal.clone()),
            (None, None) => Err(Error::Busy {
                reason: "the store is closed".into(),
                event_ids: event_ids(),
            }),
        }
    }

    /// Looks up what an append rests on, where it keeps no future waiting for the disk; hands
    /// the append back.
    async fn look_up(
        &self,
        keyed: KeyedAppend,
        floor: Option<Position>,
    ) -> (Result<Found, Error>, KeyedAppend) {
        if let Some(error) = self.visible.broken() {
            return (Err(error), keyed);
        }
        if keyed.events.len() <= LOOKED_UP_INLINE
            && let Some(found) = look_up_in_memory(&self.visible, &keyed, floor)
        {
            return (found, keyed);
        }
        let (visible, keyed) = (Arc::clone(&self.visible), Arc::new(keyed));
        let asked = Arc::clone(&keyed);
        let found = off_thread(move || look_up(&visible, &asked, floor)).await;
        (found, Arc::unwrap_or_clone(keyed))
    }
}

/// Runs a call that reads the disk where it keeps no future waiting.
async fn off_thread<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if tokio::runtime::Handle::try_current().is_err() {
        return call();
    }
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::io(
                "read: the runtime is shutting down",
                error.into(),
            )),
        },
    }
}

async fn settled(
    answer: oneshot::Receiver<Answer>,
    event_ids: &[EventId],
) -> Result<Answer, Error> {
    match answer.await {
        Ok(Answer::Refused(error)) => Err(error),
        Ok(answer) => Ok(answer),
        Err(_) => Err(Error::UnknownOutcome {
            reason: "the thread that writes has ended".into(),
            event_ids: event_ids.to_vec(),
        }),
    }
}

#[async_trait]
impl EventStore for EngineStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    fn history(&self) -> Vec<Era> {
        self.shared.visible.eras()
    }

    async fn append(&self, append: Append) -> Result<Appended, Error> {
        append.check()?;
        let shared = &self.shared;
        let event_ids = append.event_ids();
        let writer = shared.writer(|| event_ids.clone())?;
        let bytes = append
            .events()
            .iter()
            .map(retold_core::NewEvent::bytes)
            .sum();
        let mut keyed = KeyedAppend::new(append, &shared.visible.keys());
        // What the writer knows is not looked up, unless it says that there is something.
        let mut floor = Some(writer.floor());
        for _ in 0..LOOKS_MAX {
            let (found, again) = shared.look_up(keyed, floor).await;
            keyed = again;
            let looked_up = match found? {
                Found::New(looked_up) => looked_up,
                Found::Repeated(appended) => return Ok(appended),
            };
            let room = shared.room.take(bytes, &event_ids).await?;
            let answer = writer.append(keyed, &looked_up, room);
            match settled(answer, &event_ids).await? {
                Answer::Appended(appended) => return Ok(appended),
                Answer::LookAgain(again) => {
                    probe::hit(Probe::LookedAgain);
                    keyed = *again;
                    floor = None;
                }
                Answer::Refused(_) | Answer::Decided => unreachable!("an append has other answers"),
            }
        }
        Err(Error::Busy {
            reason: "what it rests on changes again and again".into(),
            event_ids,
        })
    }

    async fn restore(&self, batch: RestoreBatch) -> Result<Position, Error> {
        batch.check()?;
        let shared = &self.shared;
        let writer = shared.writer(Vec::new)?;
        let mut begun = shared.restore.lock().await;
        restore(&shared.visible, writer, &mut begun, batch).await
    }

    async fn read_stream(&self, query: StreamQuery) -> Result<StreamPage, Error> {
        let visible = Arc::clone(&self.shared.visible);
        off_thread(move || visible.read_stream(&query)).await
    }

    async fn read_log(&self, query: LogQuery) -> Result<LogPage, Error> {
        let visible = Arc::clone(&self.shared.visible);
        off_thread(move || visible.read_log(&query)).await
    }

    async fn read_block(
        &self,
        after: Position,
        through: Position,
    ) -> Result<Box<dyn LogBlock>, Error> {
        let visible = Arc::clone(&self.shared.visible);
        let block = off_thread(move || visible.read_block(after, through)).await?;
        Ok(Box::new(block))
    }

    async fn read_event(&self, event_id: EventId) -> Result<Option<RecordedEvent>, Error> {
        let visible = Arc::clone(&self.shared.visible);
        off_thread(move || visible.read_event(event_id)).await
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, Error> {
        let visible = &self.shared.visible;
        let info = match visible.ask_memory(|view| view.stream(stream)) {
            Some(info) => info,
            None => {
                let (visible, stream) = (Arc::clone(visible), stream.clone());
                off_thread(move || visible.ask(|view| view.stream(&stream))).await?
            }
        };
        let head = info.map(|info| info.head);
        Ok(head.filter(|head| head.sequence_number > 0))
    }

    async fn head(&self) -> Result<LogHead, Error> {
        Ok(self.shared.visible.head())
    }

    async fn streams(&self, query: StreamsQuery) -> Result<StreamsPage, Error> {
        query.check()?;
        let visible = Arc::clone(&self.shared.visible);
        off_thread(move || visible.ask(|view| view.streams(&query))).await
    }

    async fn wait_past(&self, position: Position) -> Result<Position, Error> {
        let mut head = self.shared.visible.watch();
        let reached = head
            .wait_for(|head| *head > position)
            .await
            .map(|head| *head);
        match reached {
            Ok(crate::visible::CLOSED) | Err(_) => Err(Error::Busy {
                reason: "the store is closed".into(),
                event_ids: Vec::new(),
            }),
            Ok(head) => Ok(head),
        }
    }

    async fn check_writable(&self) -> Result<(), Error> {
        let writer = self.shared.writer(Vec::new)?;
        let refusal = writer.refusal().or_else(|| self.shared.visible.broken());
        refusal.map_or(Ok(()), Err)
    }

    fn statistics(&self) -> StoreStatistics {
        let writer = self.shared.writer.as_ref();
        let mut statistics: StoreStatistics =
            writer.map_or_else(Default::default, |writer| writer.statistics.read());
        statistics.index = self.shared.visible.index().statistics();
        statistics
    }

    async fn close(&self) -> Result<(), Error> {
        self.stop();
        // Whoever else closes the store waits for the same end.
        let mut running = self.shared.running.subscribe();
        let _ = running.wait_for(|running| *running == 0).await;
        self.release();
        Ok(())
    }
}
