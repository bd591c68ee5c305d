//! A consumer at work: reads the log and the streams that wait, hands events out, and keeps how
//! far it has come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use retold_core::{
    Clock, Entry, EventStore, Filter, Position, RecordedEvent, SideStore, StreamQuery,
    Subscription, Text,
};
use tokio::sync::{Notify, watch};

use super::desk::{Delivery, Desk, Fence, Fenced, Now, Want};

/// The pause between two times that progress is kept, unless somebody waits for it.
const SAVE_PAUSE: Duration = Duration::from_millis(20);

/// The pause after the log could not be read, or progress not be kept.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// How often progress is copied into the log at most.
const COPY_PAUSE: Duration = Duration::from_secs(3_600);

/// How long handlers that are under way are waited for when the consumer stops.
const HANDLER_WAIT: Duration = Duration::from_secs(5);

/// Bytes that are kept of what a failed delivery came to.
const ERROR_BYTES_MAX: usize = 1_024;

/// Events of a stream that are read at once.
const CATCH_UP_EVENTS: usize = 64;

/// Streams that are read before progress is looked after again.
const CATCH_UP_STREAMS: usize = 64;

/// What came of a delivery: it was digested; or why not, and when it is to be tried again.
pub(super) type Answer = (Fence, Result<(), (Text, Option<Duration>)>);

/// What the tasks of a consumer and its callers share.
pub(super) struct Running {
    pub(super) name: Text,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) side_store: Arc<dyn SideStore>,
    clock: Arc<dyn Clock>,
    filter: Filter,
    pub(super) epoch: u32,
    state: Mutex<State>,
    /// Wakes the task that keeps time, reads streams, and keeps progress.
    pub(super) wake: Notify,
    /// Wakes the task that reads the log: there may be room.
    room: Notify,
    /// Wakes those who wait for events.
    ready: Notify,
    pub(super) kept: watch::Sender<Kept>,
    /// Held while progress is kept, so that what is older is not kept later.
    pub(super) saving: tokio::sync::Mutex<()>,
    /// How far everything is finished.
    reached: watch::Sender<Position>,
    /// An event counts as finished at the desk whose transaction has not been committed yet.
    pub(super) is_committing: watch::Sender<bool>,
    /// Handlers that must be waited for at the end.
    runners: watch::Sender<usize>,
    stopping: watch::Sender<bool>,
}

/// What of the answers has been kept.
#[derive(Clone, Copy, Default)]
pub(super) struct Kept {
    /// How many of them.
    pub(super) answers: u64,
    /// Nothing more will be.
    pub(super) is_over: bool,
}

pub(super) struct State {
    pub(super) desk: Desk,
    pub(super) paused: Option<String>,
    /// Why it does not go on in this process.
    pub(super) ended: Option<String>,
    pub(super) last_error: Option<String>,
    pub(super) lost: u64,
    /// Counts answers that are to be kept.
    pub(super) answers: u64,
    /// Somebody waits until what was answered is kept.
    pub(super) is_awaited: bool,
    /// How many events had been finished or skipped when progress was last copied into the log.
    pub(super) copied: u64,
}

impl Running {
    pub(super) fn new(
        name: Text,
        stores: (Arc<dyn EventStore>, Arc<dyn SideStore>),
        clock: Arc<dyn Clock>,
        filter: Filter,
        epoch: u32,
        desk: Desk,
        paused: Option<String>,
    ) -> Running {
        let (store, side_store) = stores;
        let position = desk.position();
        Running {
            name,
            store,
            side_store,
            clock,
            filter,
            epoch,
            state: Mutex::new(State {
                desk,
                paused,
                ended: None,
                last_error: None,
                lost: 0,
                answers: 0,
                is_awaited: false,
                copied: 0,
            }),
            wake: Notify::new(),
            room: Notify::new(),
            ready: Notify::new(),
            kept: watch::Sender::default(),
            saving: tokio::sync::Mutex::default(),
            reached: watch::Sender::new(position),
            is_committing: watch::Sender::new(false),
            runners: watch::Sender::default(),
            stopping: watch::Sender::new(false),
        }
    }

    /// Nothing is left half done where a holder panics: each call of the desk is whole.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, at a moment at which nothing is being committed.
    pub(super) async fn settled(&self) -> MutexGuard<'_, State> {
        let mut is_committing = self.is_committing.subscribe();
        loop {
            // An error says that the sender is gone, which this holds.
            let _ = is_committing.wait_for(|is_committing| !is_committing).await;
            let state = self.state();
            if !*self.is_committing.borrow() {
                return state;
            }
        }
    }

    pub(super) fn now(&self) -> Now {
        Now {
            monotonic: self.clock.monotonic(),
            wall: self.clock.now(),
        }
    }

    /// Completes when the consumer stops.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // An error says that the sender is gone, which this holds.
        let _ = stopping.wait_for(|stops| *stops).await;
    }

    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
        self.ready.notify_waiters();
    }

    pub(super) fn has_stopped(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Reads the log for as long as there is room.
    pub(super) async fn read(self: Arc<Self>) {
        let after = self.state().desk.read_through();
        let mut events = Subscription::new(self.store.clone(), after, self.filter.clone());
        loop {
            let room = self.room.notified();
            if self.state().desk.room() == 0 {
                tokio::select! {
                    () = room => continue,
                    () = self.stopped() => return,
                }
            }
            let batch = tokio::select! {
                batch = events.next() => batch,
                () = self.stopped() => return,
            };
            match batch {
                Ok(batch) => {
                    let mut lost = 0;
                    let events = batch.entries.into_iter().filter_map(|entry| match entry {
                        Entry::Event(event) => Some(event),
                        Entry::Lost(_) => {
                            lost += 1;
                            None
                        }
                    });
                    let events: Vec<RecordedEvent> = events.collect();
                    let mut state = self.state();
                    state.desk.offer(events, batch.complete_through);
                    state.lost += lost;
                    self.note_reached(&state);
                    drop(state);
                    self.ready.notify_waiters();
                    self.wake.notify_one();
                }
                Err(error) => self.trouble("read the log", &error).await,
            }
        }
    }

    pub(super) async fn trouble(&self, what: &str, error: &retold_core::Error) {
        let consumer = &*self.name;
        tracing::warn!(consumer, %error, "failed to {what} for a consumer; trying again");
        self.state().last_error = Some(error.to_string());
        tokio::select! {
            () = tokio::time::sleep(TROUBLE_PAUSE) => {}
            () = self.stopped() => {}
        }
    }

    /// Keeps time, reads the streams that wait, and keeps progress, until the consumer stops.
    pub(super) async fn tend(self: Arc<Self>) {
        let mut copied_at = self.clock.monotonic();
        let mut saved_at = self.clock.monotonic();
        loop {
            let woken = self.wake.notified();
            let now = self.now();
            self.state().desk.tick(now);
            let has_caught_up = self.catch_up_some().await;
            let next_time = self.state().desk.next_time();
            let (has_changes, is_awaited) = {
                let state = self.state();
                (state.desk.has_changes(), state.is_awaited)
            };
            let save_at = saved_at + SAVE_PAUSE;
            let mut wake_at = next_time;
            if is_awaited || has_changes && now.monotonic >= save_at {
                self.save().await;
                saved_at = now.monotonic;
            } else if has_changes {
                wake_at = Some(wake_at.map_or(save_at, |at| at.min(save_at)));
            }
            if now.monotonic >= copied_at + COPY_PAUSE {
                copied_at = now.monotonic;
                self.copy().await;
            }
            self.ready.notify_waiters();
            self.room.notify_one();
            if self.has_stopped() {
                break;
            }
            if has_caught_up {
                continue;
            }
            let rest = wake_at.map(|at| at.saturating_sub(self.clock.monotonic()));
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(rest.unwrap_or(COPY_PAUSE)) => {}
                () = self.stopped() => {}
            }
        }
        let mut runners = self.runners.subscribe();
        let none_left = runners.wait_for(|runners| *runners == 0);
        if tokio::time::timeout(HANDLER_WAIT, none_left).await.is_err() {
            let consumer = &*self.name;
            tracing::warn!(
                consumer,
                "a handler did not finish in time; its event is repeated"
            );
        }
        self.save().await;
        self.copy().await;
        self.kept.send_modify(|kept| kept.is_over = true);
    }

    /// Counts a caller whose handlers must be waited for, until the value is dropped.
    pub(super) fn count_runner(&self) -> impl Drop + '_ {
        struct Counted<'a>(&'a watch::Sender<usize>);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.send_modify(|runners| *runners -= 1);
            }
        }
        self.runners.send_modify(|runners| *runners += 1);
        Counted(&self.runners)
    }

    /// Reads parts of streams that left the order of the log, one after the other, so that what
    /// each brings is counted before the next; false where there are none.
    async fn catch_up_some(&self) -> bool {
        for nth in 0..CATCH_UP_STREAMS {
            let want = self.state().desk.want_next();
            match want {
                Some(want) => self.catch_up(&want).await,
                None => return nth > 0,
            }
        }
        true
    }

    /// Reads a part of a stream that left the order of the log.
    async fn catch_up(&self, want: &Want) {
        let mut query = StreamQuery::new(want.stream.clone());
        query.from_sequence = want.from;
        query.through_position = want.through;
        query.limit = CATCH_UP_EVENTS;
        match self.store.read_stream(query).await {
            Ok(page) => {
                let mut looked_through = want.from.saturating_sub(1);
                let mut events = Vec::new();
                for entry in page.entries {
                    let Entry::Event(event) = entry else { continue };
                    looked_through = event.sequence_number;
                    if self.filter.admits(&event) {
                        events.push(event);
                    }
                }
                looked_through = page.next.map_or(looked_through, |next| next - 1);
                let is_end = page.next.is_none();
                let mut state = self.state();
                state.desk.caught(want, events, looked_through, is_end);
            }
            Err(error) => {
                let now = self.now().monotonic;
                self.state().desk.not_caught(want, now);
                self.trouble("read a stream", &error).await;
            }
        }
    }

    /// Hands out at most so many events.
    pub(super) fn take(&self, max: usize) -> Vec<Delivery> {
        let now = self.now().monotonic;
        let mut state = self.state();
        if state.paused.is_some() || state.ended.is_some() || self.has_stopped() {
            return Vec::new();
        }
        let taken = std::iter::from_fn(|| state.desk.take(now)).take(max);
        let taken: Vec<Delivery> = taken.collect();
        drop(state);
        if !taken.is_empty() {
            // Their leases run out at a time that nobody may be waiting for yet.
            self.wake.notify_one();
        }
        taken
    }

    /// Waits for events; empty when the consumer stops.
    pub(super) async fn fetch(&self, max: usize) -> Vec<Delivery> {
        loop {
            let ready = self.ready.notified();
            tokio::pin!(ready);
            // From here on a call to wake is not missed.
            ready.as_mut().enable();
            let taken = self.take(max);
            if !taken.is_empty() || self.has_stopped() {
                return taken;
            }
            tokio::select! {
                () = ready => {}
                () = self.stopped() => return Vec::new(),
            }
        }
    }

    /// Takes answers in; gives which of them came too late.
    pub(super) fn answer(&self, answers: impl IntoIterator<Item = Answer>) -> Vec<Fence> {
        let now = self.now();
        let mut late = Vec::new();
        let mut state = self.state();
        for (fence, answer) in answers {
            let outcome = match answer {
                Ok(()) => state.desk.finish(fence, now.monotonic),
                Err((error, delay)) => {
                    let error = shortened(error, ERROR_BYTES_MAX);
                    state.last_error = Some(error.to_string());
                    state.desk.fail(fence, error, delay, now)
                }
            };
            match outcome {
                Ok(()) => state.answers += 1,
                Err(Fenced) => late.push(fence),
            }
        }
        let is_ready = state.desk.has_ready();
        self.note_reached(&state);
        drop(state);
        if is_ready {
            self.ready.notify_waiters();
        }
        self.room.notify_one();
        self.wake.notify_one();
        late
    }

    /// Tells those who wait how far everything is finished.
    pub(super) fn note_reached(&self, state: &State) {
        if *self.is_committing.borrow() {
            return;
        }
        let position = state.desk.position();
        self.reached.send_if_modified(|reached| {
            let is_news = *reached != position;
            *reached = position;
            is_news
        });
    }

    /// How far everything is finished.
    pub(super) fn reached(&self) -> Position {
        *self.reached.borrow()
    }

    /// Waits until everything through a position is finished.
    pub(super) async fn until_reached(&self, position: Position) {
        let mut reached = self.reached.subscribe();
        // An error says that the sender is gone, which this holds.
        let _ = reached.wait_for(|reached| *reached >= position).await;
    }

    /// Waits until all that was answered before is kept; false where that will not be: the consumer
    /// has stopped, or another process has taken it over.
    pub(super) async fn until_kept(&self) -> bool {
        let answers = {
            let mut state = self.state();
            state.is_awaited = true;
            state.answers
        };
        self.wake.notify_one();
        let mut kept = self.kept.subscribe();
        let settled = kept.wait_for(|kept| kept.answers >= answers || kept.is_over);
        // An error says that the sender is gone, which this holds.
        settled.await.is_ok_and(|kept| kept.answers >= answers)
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
        self.ready.notify_waiters();
    }
}

/// A text, or as much of its beginning as may be kept.
pub(super) fn shortened(text: Text, bytes_max: usize) -> Text {
    match text.len() > bytes_max {
        true => Text::from(&text[..text.floor_char_boundary(bytes_max)]),
        false => text,
    }
}
