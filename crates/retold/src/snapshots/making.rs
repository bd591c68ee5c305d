//! Snapshots that are made by themselves, beside the path of whoever appends, and the waiting
//! for those in progress.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use retold_core::{Json, PointInTime, RecordedEvent, SequenceNumber, Snapshot, StreamId};
use tokio::sync::{Notify, Semaphore};

use crate::Error;
use crate::fold::{Folded, Reducer, start};
use crate::retold::Inner;
use crate::state::{EventCountReducer, MachineReducer, MachineState};

/// Snapshots made at a time: they take turns with appends for the processor.
const AT_A_TIME: usize = 4;

/// Snapshots that may wait for their turn. Past it one is left out, which costs a later replay a
/// few events more; without a bound a slow side store would cost memory.
const WAITING_MAX: usize = 10_000;

/// The snapshots in progress.
pub(crate) struct Making {
    counts: Arc<Mutex<Counts>>,
    finished: Arc<Notify>,
    turns: Arc<Semaphore>,
    made: AtomicU64,
}

/// How many snapshots are in progress.
#[derive(Default)]
struct Counts {
    by_stream: HashMap<StreamId, usize>,
    total: usize,
}

impl Default for Making {
    fn default() -> Self {
        Making {
            counts: Arc::default(),
            finished: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            made: AtomicU64::new(0),
        }
    }
}

impl Making {
    /// Waits until no snapshot of a stream is in progress.
    pub(crate) async fn wait_for(&self, stream: &StreamId) {
        self.wait_until(|counts| !counts.by_stream.contains_key(stream))
            .await;
    }

    /// Counts one that was kept.
    pub(crate) fn count(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were kept.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// How many are in progress.
    pub(crate) fn in_progress(&self) -> u64 {
        lock(&self.counts).total as u64
    }

    /// Waits until no snapshot is in progress.
    pub(crate) async fn wait_for_all(&self) {
        self.wait_until(|counts| counts.total == 0).await;
    }

    async fn wait_until(&self, is_done: impl Fn(&Counts) -> bool) {
        loop {
            // Registered before looking, so that nothing finishes unseen in between.
            let mut finished = std::pin::pin!(self.finished.notified());
            finished.as_mut().enable();
            if is_done(&lock(&self.counts)) {
                return;
            }
            finished.await;
        }
    }

    /// Notes that one is in progress until the value returned is dropped; none where too many
    /// are.
    fn begin(&self, stream: &StreamId) -> Option<InProgress> {
        let stream = stream.detached();
        let mut counts = lock(&self.counts);
        if counts.total >= WAITING_MAX {
            return None;
        }
        counts.total += 1;
        *counts.by_stream.entry(stream.clone()).or_default() += 1;
        Some(InProgress {
            stream,
            counts: self.counts.clone(),
            finished: self.finished.clone(),
        })
    }
}

/// Also ended by a panic, and by a runtime that stops, so that nobody waits for ever.
struct InProgress {
    stream: StreamId,
    counts: Arc<Mutex<Counts>>,
    finished: Arc<Notify>,
}

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        counts.total -= 1;
        if let Some(count) = counts.by_stream.get_mut(&self.stream) {
            *count -= 1;
            if *count == 0 {
                counts.by_stream.remove(&self.stream);
            }
        }
        drop(counts);
        self.finished.notify_waiters();
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// What follows from a transition that was appended, and the state that it led to.
    pub(crate) fn took_transition(
        self: &Arc<Self>,
        stream: &StreamId,
        state: Folded<MachineState>,
    ) {
        let at = state.sequence_number();
        if self.multiple_crossed(stream, at, at).is_some() {
            self.make_state_beside(stream, Made::State(state.clone()));
        }
        self.hot.insert(stream, state);
    }

    /// What follows from events that were appended plainly, in the order of the call.
    pub(crate) fn appended_plainly(self: &Arc<Self>, events: &[RecordedEvent]) {
        let mut ranges: HashMap<&StreamId, (SequenceNumber, SequenceNumber)> = HashMap::new();
        for event in events {
            self.hot.advance(&MachineReducer, &self.upcasters, event);
            let at = event.sequence_number;
            ranges.entry(&event.stream).or_insert((at, at)).1 = at;
        }
        for (stream, (first, last)) in ranges {
            if let Some(multiple) = self.multiple_crossed(stream, first, last) {
                self.make_state_beside(stream, Made::At(multiple));
            }
        }
    }

    /// The highest multiple of the machine's interval among the sequence numbers given.
    fn multiple_crossed(
        &self,
        stream: &StreamId,
        first: SequenceNumber,
        last: SequenceNumber,
    ) -> Option<SequenceNumber> {
        let machine = self.machines.get(stream.aggregate_type())?;
        let multiple = last - last % machine.snapshot_every();
        (multiple >= first).then_some(multiple)
    }

    fn make_state_beside(self: &Arc<Self>, stream: &StreamId, made: Made) {
        self.make_beside(stream, |inner, stream| async move {
            match made {
                Made::State(state) => inner.save_machine_state(&stream, &state).await?,
                Made::At(sequence_number) => {
                    let point = PointInTime::Sequence(sequence_number);
                    inner.snapshot_state(&stream, point, Json::null()).await?
                }
            };
            Ok(())
        });
    }

    /// Makes a snapshot beside the path of whoever appended, when its turn has come.
    pub(crate) fn make_beside<F>(
        self: &Arc<Self>,
        stream: &StreamId,
        make: impl FnOnce(Arc<Inner>, StreamId) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), Error>> + Send,
    {
        let Some(in_progress) = self.making.begin(stream) else {
            tracing::debug!(%stream, "leaving out a snapshot: too many are waiting to be made");
            return;
        };
        let inner = self.clone();
        tokio::spawn(async move {
            let turns = inner.making.turns.clone();
            let _turn = turns.acquire().await;
            let stream = &in_progress.stream;
            if let Err(error) = make(inner, stream.clone()).await {
                tracing::warn!(%stream, %error, "failed to make a snapshot; a later one will do");
            }
        });
    }

    async fn save_machine_state(
        &self,
        stream: &StreamId,
        state: &Folded<MachineState>,
    ) -> Result<Option<Snapshot>, Error> {
        let state = state.to_json()?;
        let id = self.id_of(&MachineReducer, stream);
        self.save_snapshot(stream, id, state, Json::null()).await
    }

    /// Derives the state of a stream at a moment and keeps it as a snapshot.
    pub(crate) async fn snapshot_state(
        &self,
        stream: &StreamId,
        point: PointInTime,
        metadata: Json,
    ) -> Result<Option<Snapshot>, Error> {
        match self.machines.get(stream.aggregate_type()) {
            Some(_) => {
                self.snapshot_by(&MachineReducer, stream, point, metadata)
                    .await
            }
            None => {
                self.snapshot_by(&EventCountReducer, stream, point, metadata)
                    .await
            }
        }
    }

    async fn snapshot_by<R: Reducer>(
        &self,
        reducer: &R,
        stream: &StreamId,
        point: PointInTime,
        metadata: Json,
    ) -> Result<Option<Snapshot>, Error> {
        let reading = self.reading(stream, point);
        let begin = start(&reading, &*self.side_store, reducer).await?;
        let outcome = reading.fold_reducer(begin, reducer).await?;
        let state = outcome.folded.to_json()?;
        let id = self.id_of(reducer, stream);
        self.save_snapshot(stream, id, state, metadata).await
    }
}

/// What a snapshot is made of.
enum Made {
    /// A state that is at hand.
    State(Folded<MachineState>),
    /// The state at a sequence number, which is still to be derived.
    At(SequenceNumber),
}
