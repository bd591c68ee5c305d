//! The task that carries one version of a projection on: it reads the log, applies what it reads,
//! and obeys who pauses, holds or stops it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use retold_core::{Batch, Entry, Error, EventStore, Position, Subscription, ViewId, ViewStore};
use tokio::sync::watch;

use super::Projection;
use super::applying::{Applier, Counts, Failed, Stopped};
use super::registry::Registry;
use super::status::VersionState;
use crate::checkpoint;
use crate::upcasters::Chains;

/// The pause after a commit at the head of the log: what arrives meanwhile shares a commit.
const LIVE_PAUSE: Duration = Duration::from_millis(5);

/// The pause after a disk or a log failed.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of payloads of a batch above which the next one is not read while it is applied: a page of
/// the largest events is a matter of memory, not of speed.
const READ_AHEAD_BYTES_MAX: usize = 4 << 20;

/// What others want of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) paused: Option<String>,
    /// It goes no further than the least of these for now: one for each [`Held`].
    pub(super) held_at: BTreeMap<u64, Position>,
    /// How often it was told so.
    pub(super) holds: u64,
    /// Counts how often it was told to try an event again that it had failed on.
    pub(super) retries: u64,
    pub(super) stops: bool,
    /// Whether it takes the place of the current version once it has caught up.
    pub(super) takes_over: bool,
}

/// How far a version is, as readers see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) complete_through: Position,
    pub(super) has_caught_up: bool,
    /// The newest [hold](Running::hold) that it has obeyed.
    held: u64,
}

/// A version that is carried on.
pub(super) struct Running {
    pub(super) id: ViewId,
    store: Arc<dyn EventStore>,
    views: Arc<dyn ViewStore>,
    upcasters: Chains,
    projection: Arc<dyn Projection>,
    registry: Weak<Registry>,
    pub(super) control: watch::Sender<Control>,
    pub(super) reached: watch::Sender<Reached>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failed: Option<Failed>,
    trouble: Option<String>,
    counts: Counts,
    /// Where and when it last began to catch up.
    behind_since: Option<(Position, Instant)>,
    per_second: Option<f64>,
}

/// A batch that was read and not applied yet.
type Pending = Option<Batch>;

impl Running {
    pub(super) fn new(
        id: ViewId,
        (store, views): (Arc<dyn EventStore>, Arc<dyn ViewStore>),
        upcasters: Chains,
        projection: Arc<dyn Projection>,
        registry: Weak<Registry>,
        control: Control,
    ) -> Running {
        Running {
            id,
            store,
            views,
            upcasters,
            projection,
            registry,
            control: watch::Sender::new(control),
            reached: watch::Sender::default(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stop(&self) {
        self.control.send_modify(|control| control.stops = true);
    }

    /// Stops it where it is, and waits until it stands. Readers go on reading it.
    pub(super) async fn hold(self: &Arc<Self>) -> Held {
        let mut number = 0;
        self.control.send_modify(|control| {
            control.holds += 1;
            number = control.holds;
            control.held_at.insert(number, 0);
        });
        let running = Arc::clone(self);
        let held = Held { running, number };
        let mut reached = self.reached.subscribe();
        // An error says that the sender is gone, which this holds.
        let _ = reached.wait_for(|reached| reached.held >= number).await;
        held
    }

    /// How it stands, and what it has done.
    pub(super) fn standing(&self) -> (VersionState, Counts, Option<f64>) {
        let state = self.state();
        let paused = self.control.borrow().paused.clone();
        let standing = match (&state.failed, paused, &state.trouble) {
            (_, Some(reason), _) => VersionState::Paused { reason },
            (Some(failed), None, _) => VersionState::Failed(failed.into()),
            (None, None, Some(reason)) => VersionState::Waiting {
                reason: reason.clone(),
            },
            (None, None, None) => VersionState::Running,
        };
        (standing, state.counts, state.per_second)
    }

    /// Carries the version on until it is stopped.
    pub(super) async fn run(self: Arc<Self>) {
        while !self.control.borrow().stops {
            let outcome = match self.open().await {
                Ok(applier) => self.follow(applier).await,
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                self.trouble(&error).await;
            }
        }
    }

    async fn open(&self) -> Result<Applier, Error> {
        let (views, id) = (Arc::clone(&self.views), self.id.clone());
        let (mut writer, progress) = blocking(move || {
            let mut writer = views.open(&id)?;
            let progress = writer.progress()?;
            Ok((writer, progress))
        })
        .await?;
        if let Some(progress) = progress {
            let head = self.store.head().await?.position;
            let fits = progress.complete_through <= head
                && checkpoint::belongs(&*self.store, progress.checkpoint.as_ref()).await?;
            if !fits {
                // Where the log lost its tail, the view is what tells of it, until somebody has
                // accepted the loss.
                self.store.check_writable().await?;
                let (view, through) = (self.id.to_string(), progress.complete_through);
                tracing::warn!(
                    view,
                    through,
                    "the log is not the one that a view was made of; it is made again"
                );
                writer = blocking(move || writer.clear().map(|()| writer)).await?;
            }
        }
        let (projection, upcasters) = (Arc::clone(&self.projection), self.upcasters.clone());
        let log_id = self.store.log_id();
        let applier = blocking(move || Applier::new(projection, upcasters, writer, log_id)).await?;
        self.publish(&applier, None);
        Ok(applier)
    }

    /// Follows the log with a view; gives an error where the view has to be opened again.
    async fn follow(self: &Arc<Self>, mut applier: Applier) -> Result<(), Error> {
        let mut control = self.control.subscribe();
        // The event that the projection failed on: no event from it on is applied.
        let mut failed: Option<Failed> = None;
        'anew: loop {
            let after = applier.committed().complete_through;
            let filter = self.projection.filter();
            let mut events = Subscription::new(Arc::clone(&self.store), after, filter);
            let mut through = after;
            let mut pending: Pending = None;
            let mut last_head = self.store.head().await?.position;
            self.state().behind_since = Some((after, Instant::now()));
            loop {
                let wanted = control.borrow_and_update().clone();
                let limit = failed.as_ref().map(|failed| failed.position - 1);
                let held_at = wanted.held_at.values().copied();
                let hold_at = held_at.chain(limit).min();
                let is_failed = limit.is_some_and(|limit| through >= limit);
                let stands = wanted.stops
                    || wanted.paused.is_some()
                    || hold_at.is_some_and(|hold_at| through >= hold_at);
                if stands {
                    applier = self.commit(applier).await?;
                    if is_failed && !wanted.stops {
                        self.state().failed.clone_from(&failed);
                    }
                    self.publish(&applier, Some(wanted.holds));
                    if wanted.stops {
                        return Ok(());
                    }
                    // An error says that the sender is gone, which this holds.
                    let _ = control.changed().await;
                    if is_failed && control.borrow().retries > wanted.retries {
                        failed = None;
                        self.state().failed = None;
                        continue 'anew;
                    }
                    continue;
                }
                let batch = match pending.take() {
                    Some(batch) => batch,
                    None => tokio::select! {
                        batch = events.next() => match batch {
                            Ok(batch) => batch,
                            Err(error) => {
                                applier = undone(applier).await?;
                                self.trouble(&error).await;
                                continue 'anew;
                            }
                        },
                        _ = control.changed() => continue,
                    },
                };
                let (batch, rest) = split(batch, hold_at);
                pending = rest;
                let (is_at_head, complete_through) = (batch.is_at_head, batch.complete_through);
                let reads_ahead = !is_at_head && pending.is_none() && is_small(&batch);
                let began = Instant::now();
                let applying = tokio::task::spawn_blocking(move || {
                    let applied = applier
                        .apply(&batch.entries, batch.complete_through)
                        .and_then(|()| Ok(applier.commit_if_due(batch.is_at_head)?));
                    (applier, applied)
                });
                // While this part is applied, the next one is read.
                if reads_ahead {
                    pending = events.next().await.ok();
                }
                let (back, applied) = applying.await.map_err(lost_task)?;
                applier = back;
                match applied {
                    Ok(_) => {
                        through = complete_through;
                        self.state().trouble = None;
                    }
                    Err(stopped) => {
                        applier = undone(applier).await?;
                        match stopped {
                            Stopped::At(at) => {
                                let (view, position) = (self.id.to_string(), at.position);
                                let (event, error) = (at.event_id, &at.error);
                                tracing::warn!(
                                    view,
                                    position,
                                    %event,
                                    error,
                                    "a projection failed on an event, and stops in front of it"
                                );
                                failed = Some(at);
                            }
                            Stopped::Trouble(error) => self.trouble(&error).await,
                        }
                        continue 'anew;
                    }
                }
                self.publish(&applier, None);
                if is_at_head {
                    applier = self.at_head(applier, through, &wanted).await?;
                    self.rest(LIVE_PAUSE).await;
                } else {
                    // Where somebody appends, half of the time is theirs.
                    let head = self.store.head().await?.position;
                    if std::mem::replace(&mut last_head, head) < head {
                        self.rest(began.elapsed()).await;
                    }
                }
            }
        }
    }

    /// What is due where there is nothing more to read.
    async fn at_head(
        &self,
        mut applier: Applier,
        through: Position,
        wanted: &Control,
    ) -> Result<Applier, Error> {
        if !applier.committed().has_caught_up {
            applier = blocking(move || applier.finish_building().map(|()| applier)).await?;
            self.publish(&applier, None);
        }
        self.state().behind_since = None;
        // To make indexes takes a while; what was appended meanwhile is applied first.
        let is_still = self.store.head().await?.position <= through;
        if wanted.takes_over
            && is_still
            && let Some(registry) = self.registry.upgrade()
        {
            let mut control = self.control.subscribe();
            let outcome = tokio::select! {
                outcome = registry.take_over(&self.id) => outcome,
                _ = control.wait_for(|control| control.stops) => Ok(()),
            };
            if let Err(error) = outcome {
                self.trouble(&error).await;
            }
        }
        Ok(applier)
    }

    /// Rests, unless it is to stop.
    async fn rest(&self, pause: Duration) {
        let mut control = self.control.subscribe();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = control.wait_for(|control| control.stops) => {}
        }
    }

    async fn commit(&self, mut applier: Applier) -> Result<Applier, Error> {
        blocking(move || applier.commit_if_due(true).map(|_| applier)).await
    }

    /// Tells readers how far the view is, and counts; who wants it to stand is told which hold it
    /// has obeyed.
    fn publish(&self, applier: &Applier, obeyed: Option<u64>) {
        let committed = applier.committed();
        let reached = Reached {
            complete_through: committed.complete_through,
            has_caught_up: committed.has_caught_up,
            held: obeyed.unwrap_or_else(|| self.reached.borrow().held),
        };
        let mut state = self.state();
        state.counts = applier.counts;
        if let Some((from, since)) = state.behind_since {
            let seconds = since.elapsed().as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "a rate, to be read by people")]
            let advanced = committed.complete_through.saturating_sub(from) as f64;
            if advanced > 0.0 && seconds > 0.0 {
                state.per_second = Some(advanced / seconds);
            }
        }
        drop(state);
        let before = self.reached.send_replace(reached);
        if reached.has_caught_up
            && !before.has_caught_up
            && let Some(registry) = self.registry.upgrade()
        {
            registry.tell();
        }
    }

    async fn trouble(&self, error: &Error) {
        let view = self.id.to_string();
        tracing::warn!(view, %error, "failed to carry a view on; trying again");
        self.state().trouble = Some(error.to_string());
        self.rest(TROUBLE_PAUSE).await;
    }
}

/// A version that goes no further, until the value is dropped. Others may hold it as well.
pub(super) struct Held {
    running: Arc<Running>,
    number: u64,
}

impl Held {
    /// Where it is, as readers see it.
    pub(super) fn position(&self) -> Position {
        self.running.reached.borrow().complete_through
    }

    /// Lets it go on to a position and no further.
    pub(super) fn go_on_to(&self, position: Position) {
        self.running.control.send_modify(|control| {
            control.held_at.insert(self.number, position);
        });
    }

    /// Waits until it is there.
    pub(super) async fn until(&self, position: Position) {
        let mut reached = self.running.reached.subscribe();
        let there = reached.wait_for(|reached| reached.complete_through >= position);
        let _ = there.await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.running.control.send_modify(|control| {
            control.held_at.remove(&self.number);
        });
    }
}

/// A view as it was committed last, from where it is gone on with.
async fn undone(mut applier: Applier) -> Result<Applier, Error> {
    blocking(move || applier.undo().map(|()| applier)).await
}

/// Whether there is room for another one beside it.
fn is_small(batch: &Batch) -> bool {
    let payloads = batch.entries.iter().map(|entry| match entry {
        Entry::Event(event) => event.payload.as_str().len(),
        Entry::Lost(_) => 0,
    });
    payloads.sum::<usize>() <= READ_AHEAD_BYTES_MAX
}

/// The part of a batch through a position, and the rest of it.
fn split(mut batch: Batch, hold_at: Option<Position>) -> (Batch, Pending) {
    let Some(hold_at) = hold_at.filter(|hold_at| batch.complete_through > *hold_at) else {
        return (batch, None);
    };
    let position = |entry: &Entry| match entry {
        Entry::Event(event) => event.position,
        Entry::Lost(lost) => lost.position,
    };
    let at = batch
        .entries
        .partition_point(|entry| position(entry) <= hold_at);
    let rest = Batch {
        entries: batch.entries.split_off(at),
        ..batch
    };
    batch.complete_through = hold_at;
    batch.is_at_head = false;
    (batch, Some(rest))
}

/// Runs what waits for the disk where it keeps no other task waiting.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(lost_task)?
}

fn lost_task(error: tokio::task::JoinError) -> Error {
    Error::io("work on a view", std::io::Error::other(error))
}
