//! The handle: what it holds, and the calls that begin everything else.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use retold_core::{
    Clock, EventId, EventStore, Filter, Json, LogPage, LogQuery, PointInTime, Position,
    RecordedEvent, ReducerId, RestoreBatch, SideStore, Snapshot, StreamId, StreamsPage,
    StreamsQuery, Text,
};

use crate::aggregate::{Aggregate, Kinds, Load};
use crate::append::{AppendCall, IntoEvents};
use crate::bus::Bus;
use crate::command::{Execute, ExecuteTogether, Together, Turns};
use crate::consumer;
use crate::events::Events;
use crate::fold::{self, Folded, REPLAY_BATCH, Reading, Reducer, Replay, ReplayWith};
use crate::hot::{HotCounts, HotStates};
use crate::machine::{Machines, Registry};
use crate::projection;
use crate::scan::LogScan;
use crate::snapshots::{CheckSnapshots, Making, Snapshots};
use crate::state::{MachineState, StateQuery};
use crate::subscription::Subscription;
use crate::transition::{Transition, TransitionCall};
use crate::upcasters::{Chains, CheckUpcasters};
use crate::{Error, RetoldBuilder};

/// An open log of events, with the machines, the snapshots and the bus around it.
///
/// Cheap to clone; all clones are one handle. A call does nothing until it is awaited.
#[derive(Clone)]
pub struct Retold {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) side_store: Arc<dyn SideStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) machines: Registry,
    pub(crate) upcasters: Chains,
    pub(crate) hot: HotStates<MachineState>,
    pub(crate) hot_counts: Arc<HotCounts>,
    pub(crate) kinds: Kinds,
    pub(crate) turns: Turns,
    pub(crate) making: Making,
    pub(crate) bus: Bus,
    pub(crate) consumers: Arc<consumer::Registry>,
    pub(crate) projections: Arc<projection::Registry>,
    /// Whether the store was opened here and is therefore closed here.
    pub(crate) owns_store: bool,
}

impl Inner {
    /// Reads a stream for a fold, as what today's code would have written.
    pub(crate) fn reading<'a>(&'a self, stream: &'a StreamId, point: PointInTime) -> Reading<'a> {
        Reading {
            store: &*self.store,
            upcasters: &self.upcasters,
            stream,
            point,
            batch: REPLAY_BATCH,
        }
    }

    /// What the snapshots of a reducer over a stream are kept under.
    pub(crate) fn id_of(&self, reducer: &impl Reducer, stream: &StreamId) -> ReducerId {
        fold::id_of(reducer, stream.aggregate_type(), &self.upcasters)
    }

    /// Keeps a state as a snapshot; none where no event was folded in.
    pub(crate) async fn save_snapshot(
        &self,
        stream: &StreamId,
        reducer: ReducerId,
        folded: Folded<Json>,
        metadata: Json,
    ) -> Result<Option<Snapshot>, Error> {
        let (store, side_store) = (&*self.store, &*self.side_store);
        let clock = &*self.clock;
        let saved = fold::save(store, side_store, clock, stream, reducer, folded, metadata).await?;
        if saved.is_some() {
            self.making.count();
        }
        Ok(saved)
    }
}

impl Retold {
    /// Opens the log in a folder, which is made if need be, or one in memory with `"memory:"`.
    ///
    /// No machines are known but those that the log holds;
    /// [`builtin_machines`](RetoldBuilder::builtin_machines) of the builder adds the shipped two.
    ///
    /// A log that is damaged, or behind what was derived from it, opens all the same: what can be
    /// read is read, and appends are refused until somebody has looked (`engine::recover`).
    ///
    /// # Errors
    /// [`Busy`](retold_core::Error::Busy) when another process has the folder open;
    /// [`Error::Machine`] when a machine that the log holds is not well formed; else
    /// [`Error::Store`].
    pub async fn open(location: impl AsRef<Path>) -> Result<Retold, Error> {
        Retold::builder().open(location).await
    }

    /// Opens a log with settings other than the defaults.
    pub fn builder() -> RetoldBuilder {
        RetoldBuilder::default()
    }

    pub(crate) fn from_inner(inner: Inner) -> Retold {
        Retold {
            inner: Arc::new(inner),
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// The store under the handle.
    ///
    /// What is appended to it directly is not checked for the names of transitions, and no
    /// snapshot is made of it; states, reads and the bus see it like anything else.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.store
    }

    /// Appends one event or several, all of them or none. Durable when it returns.
    ///
    /// ```
    /// use retold::{Expected, NewEvent, Retold, StreamId};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), retold::Error> {
    /// let retold = Retold::open("memory:").await?;
    /// let stream = StreamId::new("Order", "7")?;
    /// let event = NewEvent::new(stream, "order.placed", &serde_json::json!({"total": 12}))?;
    /// let appended = retold.append(event).expect(Expected::NoStream).await?;
    /// assert_eq!(appended.events[0].sequence_number, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::TransitionName`] when an event has the name of a transition of its type's
    /// machine; else [`Error::Store`], whose kinds say what each asks for. Nothing was written,
    /// but after [`UnknownOutcome`](retold_core::Error::UnknownOutcome).
    pub fn append(&self, events: impl IntoEvents) -> AppendCall {
        AppendCall::new(self.clone(), events.into_events())
    }

    /// Takes a transition, if the machine of its type allows it in the current state.
    ///
    /// It is recorded as one event: its type is the transition's first name, its payload
    /// `{fromState, toState, event, context?, reason?}`, and its metadata have the key
    /// `$machine` with the [fingerprint](crate::Machine::fingerprint) of the machine that judged
    /// it (`"trust"` where it was
    /// [recorded unchecked](AppendCall::trust_transitions)). By that key, which only Retold
    /// writes, a state knows its transitions: it takes `toState` from them and never judges the
    /// past by today's machine.
    ///
    /// # Errors
    /// [`Error::IllegalTransition`] says what could be done instead; [`Error::UnknownMachine`];
    /// an [`IdentityConflict`](retold_core::Error::IdentityConflict) when the event id is known
    /// with other content. In all of these cases nothing was written.
    pub fn transition(&self, transition: Transition) -> TransitionCall {
        TransitionCall::new(self.clone(), transition)
    }

    /// Carries a command of an aggregate out: looks at the state, lets it
    /// [decide](Aggregate::decide), and appends what follows, at the sequence number that the
    /// decision rests on. Where another writer was faster it decides again.
    ///
    /// ```
    /// # use retold::{Aggregate, Retold};
    /// # async fn example<Account>(retold: Retold, deposit: Account::Command)
    /// #     -> Result<(), Box<dyn std::error::Error>>
    /// # where Account: Aggregate, Account::Error: std::error::Error {
    /// let executed = retold
    ///     .execute::<Account>("alice", deposit)
    ///     .actor("user-123")
    ///     .idempotency_key("request-7")
    ///     .await?;
    /// println!("{} events", executed.events.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ExecuteError::Rejected`](crate::ExecuteError::Rejected) with what the aggregate said;
    /// [`Error::Contended`] when other writers were faster
    /// [again and again](crate::COMMAND_ATTEMPTS_MAX); [`Error::TransitionName`] when an event
    /// has the name of a transition of its type's machine; [`Error::Reducer`] where the stream
    /// holds an event that is none of the aggregate's; else [`Error::Store`]. Nothing was
    /// written, but after [`UnknownOutcome`](retold_core::Error::UnknownOutcome), after which
    /// the same call under the same
    /// [idempotency key](crate::Execute::idempotency_key) gives the right answer.
    pub fn execute<A: Aggregate>(&self, id: impl Into<Text>, command: A::Command) -> Execute<A> {
        Execute::new(self.clone(), id.into(), command)
    }

    /// Carries a command over several aggregates out: all of their events are recorded, or none.
    ///
    /// ```
    /// # use retold::{Aggregate, Retold};
    /// # async fn example<Account: Aggregate>(
    /// #     retold: Retold,
    /// #     withdraw: Account::Command,
    /// #     deposit: Account::Command,
    /// # ) -> Result<(), retold::ExecuteError<Account::Error>> {
    /// let (alice, bob) = retold
    ///     .execute_together::<(Account, Account)>(["alice", "bob"])
    ///     .decide(|(alice, bob)| -> Result<_, Account::Error> {
    ///         Ok((alice.decide(&withdraw)?, bob.decide(&deposit)?))
    ///     })
    ///     .await?;
    /// # let _ = (alice, bob);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`execute`](Self::execute), with what the closure returned as
    /// [`ExecuteError::Rejected`](crate::ExecuteError::Rejected);
    /// [`Invalid`](retold_core::Error::Invalid) when one aggregate is named twice;
    /// [`Unsupported`](retold_core::Error::Unsupported) by a store that cannot append to several
    /// streams at once ([`Capabilities::multi_stream`](retold_core::Capabilities)).
    pub fn execute_together<G: Together>(&self, ids: impl Into<G::Ids>) -> ExecuteTogether<G> {
        ExecuteTogether::new(self.clone(), ids.into())
    }

    /// The state of an aggregate of a Rust type, now or as it was; [`Retold::state`] is the one
    /// for machines.
    ///
    /// ```
    /// # use retold::{Aggregate, Retold};
    /// # async fn example<Account: Aggregate>(retold: Retold) -> Result<(), retold::Error> {
    /// let now = retold.load::<Account>("alice").await?;
    /// let first = retold.load::<Account>("alice").at_sequence(1).await?;
    /// println!("{} events since the first", now.sequence_number - first.sequence_number);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// An unknown one is in its initial state and [does not exist](crate::Loaded::exists).
    ///
    /// # Errors
    /// [`Error::Reducer`] where the stream holds an event that is none of the aggregate's;
    /// [`Invalid`](retold_core::Error::Invalid) for more than one moment; else [`Error::Store`].
    pub fn load<A: Aggregate>(&self, id: impl Into<Text>) -> Load<A> {
        Load::new(self.clone(), id.into())
    }

    /// The state of an aggregate, now or as it was.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) for an unknown stream;
    /// [`Invalid`](retold_core::Error::Invalid) for more than one moment.
    pub fn state(
        &self,
        aggregate_type: impl Into<Text>,
        aggregate_id: impl Into<Text>,
    ) -> StateQuery {
        StateQuery::new(self.clone(), (aggregate_type.into(), aggregate_id.into()))
    }

    /// The state of an aggregate with its history: [`Retold::state`] with
    /// [`with_history`](StateQuery::with_history).
    pub fn reconstruct(
        &self,
        aggregate_type: impl Into<Text>,
        aggregate_id: impl Into<Text>,
    ) -> StateQuery {
        self.state(aggregate_type, aggregate_id).with_history()
    }

    /// The events of one stream.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) for an unknown stream.
    pub fn events(&self, aggregate_type: impl Into<Text>, aggregate_id: impl Into<Text>) -> Events {
        Events::new(self.clone(), (aggregate_type.into(), aggregate_id.into()))
    }

    /// Folds a stream with a reducer of your own.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) for an unknown stream; [`Error::Reducer`]
    /// where the reducer fails.
    pub fn replay<R: Reducer>(
        &self,
        aggregate_type: impl Into<Text>,
        aggregate_id: impl Into<Text>,
        reducer: R,
    ) -> Replay<R> {
        let stream = (aggregate_type.into(), aggregate_id.into());
        Replay::new(self.clone(), stream, reducer)
    }

    /// Folds a stream with a closure, where no snapshots are wanted.
    ///
    /// ```
    /// # async fn example(retold: retold::Retold) -> Result<(), retold::Error> {
    /// let comments = retold
    ///     .replay_with("Issue", "42", 0, |comments, event| {
    ///         *comments += u32::from(event.event_type == "issue.commented");
    ///     })
    ///     .await?;
    /// println!("{} comments", comments.state);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) for an unknown stream.
    pub fn replay_with<S, F>(
        &self,
        aggregate_type: impl Into<Text>,
        aggregate_id: impl Into<Text>,
        initial: S,
        apply: F,
    ) -> ReplayWith<S, F>
    where
        F: FnMut(&mut S, &RecordedEvent),
    {
        let stream = (aggregate_type.into(), aggregate_id.into());
        ReplayWith::new(self.clone(), stream, initial, apply)
    }

    /// The snapshots of one stream.
    pub fn snapshots(
        &self,
        aggregate_type: impl Into<Text>,
        aggregate_id: impl Into<Text>,
    ) -> Snapshots {
        Snapshots::new(self.clone(), (aggregate_type.into(), aggregate_id.into()))
    }

    /// Compares snapshots, all or a sample, with what their streams come to when they are
    /// replayed from zero. Those of machines are known here; [`CheckSnapshots::reducer`] adds
    /// others, and the report names those that it could not check.
    ///
    /// ```
    /// # async fn example(retold: retold::Retold) -> Result<(), retold::Error> {
    /// let report = retold.check_snapshots().sample(100).await?;
    /// assert_eq!(report.differences, [], "seed {:?}", report.seed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] when the log or the snapshots cannot be read.
    pub fn check_snapshots(&self) -> CheckSnapshots {
        CheckSnapshots::new(self.clone())
    }

    /// Runs the upcasters over the whole log and reports each event that they fail on, by
    /// position. For a program of the application's own, before a release.
    ///
    /// ```
    /// # async fn example(retold: retold::Retold) -> Result<(), retold::Error> {
    /// let report = retold
    ///     .check_upcasters()
    ///     .on_progress(|so_far| eprintln!("{} of {}", so_far.complete_through, so_far.head))
    ///     .await?;
    /// for failure in &report.failures {
    ///     eprintln!("{}: {}: {}", failure.position, failure.event, failure.reason);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] when the log cannot be read.
    pub fn check_upcasters(&self) -> CheckUpcasters {
        CheckUpcasters::new(self.clone())
    }

    /// A page of the log.
    ///
    /// # Errors
    /// Those of [`EventStore::read_log`].
    pub async fn log(&self, query: LogQuery) -> Result<LogPage, Error> {
        Ok(self.inner.store.read_log(query).await?)
    }

    /// One event by its id; none where there is none.
    ///
    /// # Errors
    /// Those of [`EventStore::read_event`].
    pub async fn event(&self, event_id: EventId) -> Result<Option<RecordedEvent>, Error> {
        Ok(self.inner.store.read_event(event_id).await?)
    }

    /// A page of the streams.
    ///
    /// # Errors
    /// Those of [`EventStore::streams`].
    pub async fn streams(&self, query: StreamsQuery) -> Result<StreamsPage, Error> {
        Ok(self.inner.store.streams(query).await?)
    }

    /// Goes through the log from behind a position to its end, as fast as it can be read. It
    /// delivers what was written, reserved streams and all.
    pub fn scan(&self, after: Position) -> LogScan {
        LogScan::new(self.inner.store.clone(), after)
    }

    /// Follows the log from behind a position: history first, then live. It delivers what was
    /// written, unless it is [told to upcast](Subscription::upcasted).
    pub fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        Subscription::new(
            self.inner.store.clone(),
            self.inner.upcasters.clone(),
            after,
            filter,
        )
    }

    /// Writes recorded events as they are into a log that holds nothing else, and returns the
    /// head. With the last batch the machines among them are known; see [`RestoreBatch`].
    ///
    /// # Errors
    /// [`NotEmpty`](retold_core::Error::NotEmpty) when the log holds other events;
    /// [`Error::Machine`] when a restored machine is not well formed.
    pub async fn restore(&self, batch: RestoreBatch) -> Result<Position, Error> {
        let is_last = batch.is_last;
        let head = self.inner.store.restore(batch).await?;
        if is_last {
            self.inner.machines.read_from(&*self.inner.store).await?;
        }
        Ok(head)
    }

    /// The machines.
    pub fn machines(&self) -> Machines<'_> {
        Machines {
            store: &*self.inner.store,
            registry: &self.inner.machines,
        }
    }

    /// The event bus.
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    /// Waits for the snapshots in progress, ends projections and consumers, stops the subscriptions
    /// of the bus, and closes the log, unless it was given to the builder as a store. For all clones of the handle.
    ///
    /// A handle that is dropped instead loses nothing either; but a handler of the bus that holds
    /// a clone keeps it open.
    ///
    /// # Errors
    /// Those of [`EventStore::close`].
    pub async fn close(&self) -> Result<(), Error> {
        self.inner.making.wait_for_all().await;
        self.inner.projections.end_all().await;
        self.inner.consumers.end_all().await;
        self.inner.bus.stop().await;
        if self.inner.owns_store {
            self.inner.store.close().await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Retold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retold")
            .field("log_id", &self.inner.store.log_id())
            .finish_non_exhaustive()
    }
}
