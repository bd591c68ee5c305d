//! A consumer that is open: what takes events from it, and what decides about it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use retold_core::{Blocked, Position, RecordedEvent, StreamId, Text};
use tokio::task::{JoinError, JoinSet};

use super::definition;
use super::desk::{self, Fence};
use super::running::{Answer, Running};
use super::settings::ConsumerSettings;
use super::standing::{ConsumerStatus, ParkedEvent, Standing};
use crate::error::panic_text;
use crate::upcasters::Chains;
use crate::{Error, Event, aggregate};

/// An event that somebody is to digest, and to answer for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The event.
    pub event: RecordedEvent,
    /// Identifies the delivery. It grows: who keeps the highest one of each stream, and refuses
    /// what comes with a lower one, is never written to by somebody whose lease has run out.
    pub fence: u64,
    /// Which attempt it is, counted from 1.
    pub attempt: u32,
}

impl From<desk::Delivery> for Delivery {
    fn from(delivery: desk::Delivery) -> Delivery {
        let desk::Delivery {
            event,
            fence,
            attempt,
        } = delivery;
        Delivery {
            event,
            fence,
            attempt,
        }
    }
}

/// Why an event could not be digested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What went wrong, for whoever looks at what is parked.
    pub error: Text,
    /// When it is to be tried again; after a pause that grows with each attempt where that is not
    /// said.
    pub delay: Option<Duration>,
}

impl<T: Into<Text>> From<T> for Rejection {
    fn from(error: T) -> Rejection {
        Rejection {
            error: error.into(),
            delay: None,
        }
    }
}

/// Answers that came too late: the lease had run out, the event was answered for already, or the
/// consumer does not go on here. The events are, or were, delivered again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "take in the answer to {} of the deliveries: its lease has run out, it was answered for \
     already, or the consumer goes on elsewhere; the event is delivered again unless it was finished",
    fences.len()
)]
pub struct FencedError {
    /// The deliveries.
    pub fences: Vec<u64>,
}

impl FencedError {
    fn check(fences: Vec<u64>) -> Result<(), FencedError> {
        match fences.is_empty() {
            true => Ok(()),
            false => Err(FencedError { fences }),
        }
    }
}

/// A consumer that is open in this process: [`Retold::consumer`](crate::Retold::consumer).
///
/// Cheap to clone; all clones are one consumer. Whoever takes events from it, in any number of
/// tasks, shares its streams: of one stream one event is under way at a time.
#[derive(Clone)]
pub struct Consumer {
    running: Arc<Running>,
    settings: Arc<ConsumerSettings>,
    upcasters: Chains,
}

impl Consumer {
    pub(super) fn new(
        running: Arc<Running>,
        settings: ConsumerSettings,
        upcasters: Chains,
    ) -> Consumer {
        Consumer {
            running,
            settings: Arc::new(settings),
            upcasters,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.running.name
    }

    /// What it is given, and how patient it is.
    pub fn settings(&self) -> &ConsumerSettings {
        &self.settings
    }

    /// Calls `handler` for each event, for as many streams at a time as the settings say. One that
    /// answers with an error, panics, or takes longer than the lease, is called again; it must
    /// bear to see an event more than once.
    ///
    /// Completes when the handle is [closed](crate::Retold::close), or the consumer is deleted or
    /// given other settings. Handlers that are under way are finished.
    pub async fn run<H, F, E>(&self, handler: H)
    where
        H: Fn(RecordedEvent) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.run_deliveries(move |delivery| {
            let handler = Arc::clone(&handler);
            // The handler is called inside, where its panics are caught, also one before its
            // first await.
            async move {
                let handled = handler(delivery.event).await;
                handled.map_err(|error| Rejection::from(error.to_string()))
            }
        })
        .await;
    }

    /// The same for typed events, as today's code would have written them: what upcasters make
    /// several events of is handled one after the other, and what they discard is finished. An
    /// event that is none of the enum's counts as failed; a filter leaves out what is not wanted.
    ///
    /// ```
    /// use retold::{Event, Retold};
    /// use retold::consumer::ConsumerSettings;
    ///
    /// #[derive(Event)]
    /// enum OrderEvent {
    ///     #[event("order.placed")]
    ///     Placed { total: u64 },
    /// }
    ///
    /// # async fn example(retold: Retold) -> Result<(), retold::Error> {
    /// let mut settings = ConsumerSettings::default();
    /// settings.filter.aggregate_types = vec!["Order".into()];
    /// let totals = retold.consumer("totals", settings).await?;
    /// totals
    ///     .run_typed(|event: OrderEvent, recorded| async move {
    ///         let OrderEvent::Placed { total } = event;
    ///         println!("{total} in {}", recorded.stream);
    ///         Ok::<_, std::io::Error>(())
    ///     })
    ///     .await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_typed<V, H, F, E>(&self, handler: H)
    where
        V: Event,
        H: Fn(V, RecordedEvent) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let handler = Arc::new(handler);
        let upcasters = self.upcasters.clone();
        self.run_deliveries(move |delivery| {
            let (handler, upcasters) = (Arc::clone(&handler), upcasters.clone());
            async move {
                let recorded = delivery.event;
                let events = aggregate::read::<V>(&upcasters, &recorded);
                for event in events.map_err(|error| Rejection::from(error.to_string()))? {
                    let handled = handler(event, recorded.clone()).await;
                    handled.map_err(|error| Rejection::from(error.to_string()))?;
                }
                Ok(())
            }
        })
        .await;
    }

    /// The same for a handler that wants to know which attempt it is, hands the fence on to what
    /// it writes to, or says when it is to be called again.
    pub async fn run_deliveries<H, F>(&self, handler: H)
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        let _counted = self.running.count_runner();
        let handler = Arc::new(handler);
        let in_flight_max = self.settings.in_flight_max as usize;
        let mut calls = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(answered) = calls.join_next(), if !calls.is_empty() => {
                    let more = std::iter::from_fn(|| calls.try_join_next());
                    let answers: Vec<_> = std::iter::once(answered).chain(more).collect();
                    self.running.answer(answers.into_iter().filter_map(answer_of));
                }
                deliveries = self.running.fetch(in_flight_max), if calls.len() < in_flight_max => {
                    if deliveries.is_empty() {
                        break;
                    }
                    for delivery in deliveries {
                        let handler = Arc::clone(&handler);
                        calls.spawn(async move {
                            let fence = delivery.fence;
                            // What a panic leaves half done is the handler's own.
                            let delivery = Delivery::from(delivery);
                            let called = AssertUnwindSafe(async { handler(delivery).await });
                            let answer = match called.catch_unwind().await {
                                Ok(answer) => answer,
                                Err(panic) => {
                                    Err(format!("panicked: {}", panic_text(&*panic)).into())
                                }
                            };
                            (fence, answer)
                        });
                    }
                }
            }
        }
        while let Some(answered) = calls.join_next().await {
            self.running.answer(answer_of(answered));
        }
        self.running.wake();
    }

    /// Calls `handler` for one event after the other, each in the transaction that keeps that it is
    /// finished: what the handler writes with the connection is there if and only if the event is
    /// not delivered again, also after a crash. It blocks a thread, and must not do anything else
    /// that cannot be undone. One that answers with an error or panics is called again.
    ///
    /// The side store says of which type `C` is: in a folder `retold_sqlite::rusqlite::Connection`,
    /// to the file `state.db`, in which the handler may keep tables of its own.
    ///
    /// Completes as [`Consumer::run`] does.
    ///
    /// # Errors
    /// [`Unsupported`](retold_core::Error::Unsupported) where the side store has no such
    /// transactions; [`Error::Store`] where it cannot commit: then the consumer ends here, and
    /// goes on with what was kept once it is opened again.
    pub async fn run_in_transaction<C, H, E>(&self, handler: H) -> Result<(), Error>
    where
        C: Any,
        H: Fn(&RecordedEvent, &C) -> Result<(), E> + Send + Sync + 'static,
        E: fmt::Display,
    {
        let _counted = self.running.count_runner();
        let handler = Arc::new(handler);
        loop {
            let Some(delivery) = self.running.fetch(1).await.pop() else {
                return Ok(());
            };
            let handler = Arc::clone(&handler);
            self.running.transact(delivery, handler).await?;
        }
    }

    /// Takes events, at most so many, and waits for the first one for at most so long. Each must
    /// be answered for before its lease runs out.
    pub async fn fetch(&self, max: usize, wait: Duration) -> Vec<Delivery> {
        let fetched = tokio::time::timeout(wait, self.running.fetch(max)).await;
        let deliveries = fetched.unwrap_or_default().into_iter();
        deliveries.map(Delivery::from).collect()
    }

    /// Says that events were digested. When it returns that is kept: they are not delivered again
    /// unless the power fails at once.
    ///
    /// # Errors
    /// [`FencedError`] for those that were answered for too late; the others are taken in. For all
    /// of them where the consumer stops before it is kept, or another process has taken it over:
    /// then they are delivered again.
    pub async fn acknowledge(
        &self,
        fences: impl IntoIterator<Item = u64>,
    ) -> Result<(), FencedError> {
        self.answer_all(fences, Ok(())).await
    }

    /// Says that events could not be digested, and why. They are tried again after the delay that
    /// is given, or after a pause that grows with each attempt.
    ///
    /// # Errors
    /// As for [`Consumer::acknowledge`].
    pub async fn reject(
        &self,
        fences: impl IntoIterator<Item = u64>,
        rejection: impl Into<Rejection>,
    ) -> Result<(), FencedError> {
        let Rejection { error, delay } = rejection.into();
        self.answer_all(fences, Err((error, delay))).await
    }

    async fn answer_all(
        &self,
        fences: impl IntoIterator<Item = u64>,
        answer: Result<(), (Text, Option<Duration>)>,
    ) -> Result<(), FencedError> {
        let fences: Vec<u64> = fences.into_iter().collect();
        let answers = fences.iter().map(|fence| (*fence, answer.clone()));
        let late = self.running.answer(answers);
        match self.running.until_kept().await {
            true => FencedError::check(late),
            false => FencedError::check(fences),
        }
    }

    /// Asks for more time: the leases of deliveries begin anew.
    ///
    /// # Errors
    /// [`FencedError`] for those that have run out.
    pub fn extend(&self, fences: impl IntoIterator<Item = u64>) -> Result<(), FencedError> {
        let now = self.running.now().monotonic;
        let mut state = self.running.state();
        let late = fences.into_iter();
        let late = late.filter(|fence| state.desk.extend(*fence, now).is_err());
        FencedError::check(late.collect())
    }

    /// Hands out nothing more until it is [resumed](Self::resume), also after a restart. The
    /// reason is kept in the log.
    ///
    /// # Errors
    /// [`Error::Store`] when that cannot be appended.
    pub async fn pause(&self, reason: impl Into<String>) -> Result<(), Error> {
        let reason = reason.into();
        definition::pause(&*self.running.store, &self.running.name, &reason).await?;
        self.running.state().paused = Some(reason);
        Ok(())
    }

    /// Goes on after a [pause](Self::pause).
    ///
    /// # Errors
    /// [`Error::Store`] when that cannot be appended.
    pub async fn resume(&self) -> Result<(), Error> {
        definition::resume(&*self.running.store, &self.running.name).await?;
        self.running.state().paused = None;
        self.running.wake();
        Ok(())
    }

    /// The events that are parked, by stream.
    pub fn parked(&self) -> Vec<ParkedEvent> {
        let settings = ConsumerSettings::clone(&self.settings);
        Standing::of(&self.running, &self.running.state(), settings).parked()
    }

    /// Tries the parked event of a stream again.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where none is parked.
    pub async fn replay(&self, stream: &StreamId) -> Result<(), Error> {
        let now = self.running.now().monotonic;
        let is_replayed = self.running.state().desk.replay(stream, now);
        if !is_replayed {
            return Err(nothing_parked(stream));
        }
        self.running.until_kept().await;
        Ok(())
    }

    /// Tries everything that is parked again; gives of how many streams.
    pub async fn replay_all(&self) -> usize {
        let now = self.running.now().monotonic;
        let replayed = {
            let mut state = self.running.state();
            let progress = state.desk.progress().into_iter();
            let replayed = progress.filter(|p| state.desk.replay(&p.stream, now));
            replayed.count()
        };
        self.running.until_kept().await;
        replayed
    }

    /// Passes the parked event of a stream over, so that the rest of it goes on. The event and the
    /// reason are kept in the log.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where none is parked; [`Error::Store`] when it
    /// cannot be appended.
    pub async fn skip(&self, stream: &StreamId, reason: &str) -> Result<(), Error> {
        let parked: Option<Blocked> = self.running.state().desk.parked(stream).cloned();
        let parked = parked.ok_or_else(|| nothing_parked(stream))?;
        definition::skip(&*self.running.store, &self.running.name, &parked, reason).await?;
        let skipped = {
            let mut state = self.running.state();
            // Somebody may have decided about it meanwhile.
            let is_same = state.desk.parked(stream).map(|b| b.event_id) == Some(parked.event_id);
            is_same.then(|| state.desk.skip(stream)).flatten()
        };
        skipped.ok_or_else(|| nothing_parked(stream))?;
        self.running.until_kept().await;
        Ok(())
    }

    /// How it stands.
    ///
    /// # Errors
    /// [`Error::Store`] when the log cannot be read.
    pub async fn status(&self) -> Result<ConsumerStatus, Error> {
        let settings = ConsumerSettings::clone(&self.settings);
        let standing = Standing::of(&self.running, &*self.running.settled().await, settings);
        standing.status(&*self.running.store).await
    }

    /// Everything at or before it is finished, but for the streams that wait.
    pub fn position(&self) -> Position {
        self.running.reached()
    }

    /// Waits until everything at or before a position is finished, but for the streams that wait.
    pub async fn wait_through(&self, position: Position) {
        self.running.until_reached(position).await;
    }
}

fn nothing_parked(stream: &StreamId) -> Error {
    Error::Store(retold_core::Error::NotFound {
        what: format!("a parked event of {stream}"),
    })
}

/// What came of a call of a handler; none where its task was ended with the runtime.
fn answer_of(call: Result<(Fence, Result<(), Rejection>), JoinError>) -> Option<Answer> {
    let (fence, answer) = call.ok()?;
    Some((fence, answer.map_err(|no| (no.error, no.delay))))
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.running.name)
            .finish_non_exhaustive()
    }
}
