//! Event sourcing with aggregates and state machines: what may happen is decided, what happened is
//! appended, and the state of anything is there as it was at any moment. The log is the truth;
//! everything else is derived from it.
//!
//! # An aggregate
//!
//! A state, its events, its commands, and two plain functions: [`decide`](Aggregate::decide) and
//! [`apply`](Aggregate::apply). What a decision needs from outside is a part of the command.
//!
#![cfg_attr(feature = "derive", doc = "```")]
#![cfg_attr(not(feature = "derive"), doc = "```ignore")]
//! use retold::{Aggregate, Event, ExecuteError, Retold};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
//! struct Account {
//!     balance: u64,
//! }
//!
//! // The names are those that the log keeps, for ever; the variants may be renamed.
//! #[derive(Event)]
//! enum AccountEvent {
//!     #[event("account.deposited")]
//!     Deposited { amount: u64 },
//!     #[event("account.withdrawn")]
//!     Withdrawn { amount: u64 },
//! }
//!
//! enum AccountCommand {
//!     Deposit { amount: u64 },
//!     Withdraw { amount: u64 },
//! }
//!
//! #[derive(Debug, PartialEq)]
//! struct Overdrawn {
//!     balance: u64,
//! }
//!
//! impl Aggregate for Account {
//!     const TYPE: &'static str = "Account";
//!     type Event = AccountEvent;
//!     type Command = AccountCommand;
//!     type Error = Overdrawn;
//!
//!     fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Overdrawn> {
//!         let balance = self.balance;
//!         match *command {
//!             AccountCommand::Withdraw { amount } if amount > balance => {
//!                 Err(Overdrawn { balance })
//!             }
//!             AccountCommand::Withdraw { amount } => Ok(vec![AccountEvent::Withdrawn { amount }]),
//!             AccountCommand::Deposit { amount } => Ok(vec![AccountEvent::Deposited { amount }]),
//!         }
//!     }
//!
//!     fn apply(&mut self, event: AccountEvent) {
//!         match event {
//!             AccountEvent::Deposited { amount } => self.balance += amount,
//!             AccountEvent::Withdrawn { amount } => self.balance -= amount,
//!         }
//!     }
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), retold::ExecuteError<Overdrawn>> {
//! let retold = Retold::open("memory:").await?;
//! let deposit = AccountCommand::Deposit { amount: 10 };
//! let executed = retold.execute::<Account>("alice", deposit).actor("user-123").await?;
//! assert_eq!(executed.state.balance, 10);
//!
//! // Under a key it may be asked for again: there is one effect, and the first answer.
//! for is_new in [true, false] {
//!     let withdraw = AccountCommand::Withdraw { amount: 10 };
//!     let executed = retold.execute::<Account>("alice", withdraw).idempotency_key("request-7");
//!     assert_eq!(executed.await?.is_new, is_new);
//! }
//!
//! // What it says when it refuses comes back as it is.
//! let more = AccountCommand::Withdraw { amount: 1 };
//! match retold.execute::<Account>("alice", more).await {
//!     Err(ExecuteError::Rejected(overdrawn)) => assert_eq!(overdrawn, Overdrawn { balance: 0 }),
//!     Err(ExecuteError::Failed(error)) => return Err(error.into()),
//!     Ok(_) => panic!("nothing is left"),
//! }
//!
//! let first = retold.load::<Account>("alice").at_sequence(1).await?;
//! assert_eq!(first.state.balance, 10);
//! # Ok(())
//! # }
//! ```
//!
//! [`Retold::execute_together`] decides over several aggregates at once, and the module `testing`
//! asks them without a store.
//!
//! # A transition
//!
//! A state machine says which transitions an aggregate type has. `Issue` and `Execution` ship
//! with the crate; your own are [a few lines of TOML](Machine).
//!
//! ```
//! use retold::{Retold, Transition};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), retold::Error> {
//! // A folder keeps the log: `.open("./data")`. This one is gone with the process.
//! let retold = Retold::builder().builtin_machines().open("memory:").await?;
//!
//! let started = retold
//!     .transition(
//!         Transition::new("Issue", "42")
//!             .from("TODO")
//!             .to("IN_PROGRESS")
//!             .event("start_work")
//!             .actor("user-123")
//!             .reason("Starting implementation"),
//!     )
//!     .await?;
//! assert_eq!(started.status, "IN_PROGRESS");
//! assert_eq!(started.event.sequence_number, 1);
//!
//! // What the machine does not allow is refused, and says what is possible instead.
//! let skipped = Transition::new("Issue", "42").from("IN_PROGRESS").to("DEPLOYED").event("deploy");
//! let Err(retold::Error::IllegalTransition(illegal)) = retold.transition(skipped).await else {
//!     panic!("nobody deploys what was not merged");
//! };
//! assert_eq!(illegal.current_state, "IN_PROGRESS");
//! assert_eq!(illegal.available_transitions.len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! # The state, now and as it was
//!
//! ```
//! # use retold::{Retold, Transition};
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let retold = Retold::builder().builtin_machines().open("memory:").await?;
//! # let start = Transition::new("Issue", "42").to("IN_PROGRESS").event("start_work");
//! # retold.transition(start).await?;
//! # let block = Transition::new("Issue", "42").from("IN_PROGRESS").to("BLOCKED").event("block");
//! # retold.transition(block).await?;
//! // Derived from the events, with the whole history.
//! let state = retold.reconstruct("Issue", "42").await?;
//! println!("{:?}", state.status);           // the current status
//! println!("{}", state.transition_count);   // the number of transitions
//! println!("{:?}", state.state_history);    // the full history
//! # assert_eq!(state.status.as_deref(), Some("BLOCKED"));
//! # assert_eq!((state.transition_count, state.state_history.unwrap().len()), (2, 2));
//!
//! // After an event, at a date, when the log had reached a position, or as it was recorded then.
//! let first = retold.state("Issue", "42").at_sequence(1).await?;
//! assert_eq!(first.status.as_deref(), Some("IN_PROGRESS"));
//! let then = retold.state("Issue", "42").at_timestamp("2024-01-01".parse()?).await?;
//! assert!(!then.exists);
//! # Ok(())
//! # }
//! ```
//!
//! # The events
//!
//! Anything else that happens is appended plainly. Types without a machine are written this way
//! altogether.
//!
//! ```
//! use retold::{Expected, NewEvent, Retold, StreamId};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), retold::Error> {
//! # let retold = Retold::open("memory:").await?;
//! let issue = StreamId::new("Issue", "42")?;
//! let comment = NewEvent::new(issue, "issue.commented", &serde_json::json!({"text": "Done?"}))?;
//! retold.append(comment.clone()).expect(Expected::NoStream).await?;
//!
//! // The same event again is answered with the first result.
//! assert!(!retold.append(comment).await?.is_new);
//!
//! for event in retold.events("Issue", "42").all().await? {
//!     println!("{} {} {:?}", event.event_type, event.payload, event.metadata);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Snapshots
//!
//! Made by themselves every 50 events of a type with a machine, and by hand. They shorten a
//! replay and never change an answer.
//!
//! ```
//! # use retold::{Retold, Transition};
//! # #[tokio::main]
//! # async fn main() -> Result<(), retold::Error> {
//! # let retold = Retold::builder().builtin_machines().open("memory:").await?;
//! # let start = Transition::new("Issue", "42").to("IN_PROGRESS").event("start_work");
//! # retold.transition(start).await?;
//! let snapshots = retold.snapshots("Issue", "42");
//! snapshots.create().force().await?;
//! let snapshot = snapshots.latest().await?.expect("one was just made");
//! assert_eq!(snapshot.sequence_number, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Correlation and causation
//!
//! ```
//! # use retold::{Filter, LogQuery, Retold, Transition};
//! # #[tokio::main]
//! # async fn main() -> Result<(), retold::Error> {
//! # let retold = Retold::builder().builtin_machines().open("memory:").await?;
//! let correlation_id = "checkout-7";
//! let start = Transition::new("Issue", "42").from("TODO").to("IN_PROGRESS").event("start_work");
//! let first = retold.transition(start.correlation_id(correlation_id)).await?;
//!
//! let execute = Transition::new("Execution", "e1").from("PENDING").to("RUNNING").event("execute");
//! retold
//!     .transition(
//!         execute
//!             .correlation_id(correlation_id)
//!             .causation_id(first.event.metadata.event_id.to_string()),
//!     )
//!     .await?;
//!
//! let filter = Filter { correlation_id: Some(correlation_id.into()), ..Filter::default() };
//! let story = retold.log(LogQuery::after(0).filter(filter)).await?;
//! assert_eq!(story.entries.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # The event bus
//!
//! It is read from the log after the commit, so nothing is on it that is not kept.
//!
//! ```
//! use retold::topics;
//! # use retold::{Retold, Transition};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), retold::Error> {
//! # let retold = Retold::builder().builtin_machines().open("memory:").await?;
//! # let (seen, mut changes) = tokio::sync::mpsc::unbounded_channel();
//! retold
//!     .bus()
//!     .subscribe(topics::ISSUE_EVENTS, move |event| {
//!         # let seen = seen.clone();
//!         async move {
//!             if event.event_type == "issue.state.changed" {
//!                 println!("the state of an issue changed: {}", event.payload);
//!                 # seen.send(event.payload.to_string()).ok();
//!             }
//!             Ok::<_, retold::Error>(())
//!         }
//!     })
//!     .await?;
//! # let start = Transition::new("Issue", "42").to("IN_PROGRESS").event("start_work");
//! # retold.transition(start).await?;
//! # assert_eq!(
//! #     changes.recv().await.unwrap(),
//! #     r#"{"issueId":"42","from":"TODO","to":"IN_PROGRESS","reason":null}"#
//! # );
//! # retold.close().await
//! # }
//! ```
//!
//! # Events that change
//!
//! What was written stays as it was written. [`Upcasters`] turn it, on each read that derives
//! something, into what today's code would have written: a change of shape, a rename, a split.
//! They are checked before anything is opened; [`Retold::check_upcasters`] runs them over a whole
//! log, and a test with `testing::events_lock` fails when a shape changes by accident. The guide
//! `docs/changing-events.md` goes through it step by step.
//!
//! ```
//! # use retold::{Retold, Upcasters};
//! # use serde_json::{Value, json};
//! # #[tokio::main]
//! # async fn main() -> Result<(), retold::Error> {
//! let upcasters = Upcasters::of("Order")
//!     .change("order.placed", "1.0.0", "2.0.0", |old: Value| {
//!         Ok(json!({"total": old["total"], "currency": "EUR"}))
//!     })
//!     .rename(("order.sent", "1.0.0"), ("order.shipped", "1.0.0"), |same: Value| Ok(same));
//! let retold = Retold::builder().upcasters(upcasters).open("memory:").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Read models
//!
//! A [`Projection`](projection::Projection) keeps tables that follow the log, exactly once, and is
//! rebuilt beside the running one. The guide `docs/read-models.md` says when to use which.
//!
//! # And further
//!
//! [`Retold::replay`] folds a stream with a [`Reducer`] of your own, [`Retold::machines`] adds
//! machines to the log, [`Retold::subscribe`] follows the log without missing anything,
//! [`Retold::log`] and [`Retold::streams`] read across streams, and [`Retold::store`] is the log
//! itself. [`Retold::check_snapshots`] compares kept states with a replay. Every [`Error`] says whether something was written and what to do next.
//!
//! # Features
//!
//! - `engine` (default): the embedded log, `Retold::open("./data")`; and the module `engine`.
//! - `sqlite` (default): snapshots of an embedded log are kept beside it, in `state.db`, and the
//!   tables of [projections](projection) in `views/`. Without it they are kept in memory and do not
//!   survive the process.
//! - `derive` (default): `#[derive(Event)]`.
//! - `testing`: given/when/then for aggregates, machines and reducers, and the test of
//!   `events.lock`, in the module `testing`.

pub mod aggregate;
mod append;
mod builder;
mod bus;
mod checkpoint;
mod command;
pub mod consumer;
mod error;
mod events;
mod fold;
mod hot;
mod machine;
mod open;
pub mod projection;
#[cfg(feature = "engine")]
pub mod recovery;
mod retold;
mod scan;
mod shapes;
mod snapshots;
mod state;
mod statistics;
mod subscription;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;
mod transition;
mod upcasters;

#[doc(hidden)]
pub mod __private {
    //! What `#[derive(Event)]` writes its code with; not for use by hand.

    pub use serde;
}

pub use aggregate::{
    Aggregate, AggregateState, Event, EventKind, HasSchema, Load, Loaded, SNAPSHOTS_KEPT_DEFAULT,
};
pub use append::{AppendCall, IntoEvents};
pub use builder::RetoldBuilder;
pub use bus::{
    Bus, BusEvent, BusMetadata, BusStatistics, BusSubscription, DurableSubscribing, Subscribing,
    topics,
};
pub use command::{
    COMMAND_ATTEMPTS_MAX, Execute, ExecuteError, ExecuteTogether, Executed, Together,
};
pub use error::{BoxError, Error, IllegalTransition};
pub use events::{Events, Pages};
pub use fold::{REPLAY_BATCH, Reducer, Replay, ReplayWith, Replayed};
pub use hot::HOT_STATES_MAX;
pub use machine::{
    AvailableTransition, Machine, MachineAdded, MachineError, Machines, Refusal,
    SNAPSHOT_EVERY_DEFAULT, TransitionRule,
};
pub use retold::Retold;
pub use scan::LogScan;
pub use shapes::EventShape;
pub use snapshots::{
    CheckSnapshots, CreateSnapshot, DIFFERENCES_KEPT_MAX, SnapshotCreated, SnapshotDifference,
    SnapshotFault, Snapshots, SnapshotsReport,
};
pub use state::{Difference, HistoryEntry, MachineReducer, MachineState, State, StateQuery};
pub use statistics::Statistics;
pub use subscription::Subscription;
pub use trace::{TRACE_DEPTH_MAX, TRACE_EVENTS_MAX, Trace, TraceNode};
pub use transition::{TRANSITION_ATTEMPTS_MAX, Transition, TransitionCall, Transitioned};
pub use upcasters::{
    CheckUpcasters, EventVersion, FAILURES_KEPT_DEFAULT, Part, UPCAST_EVENTS_MAX, UpcastError,
    UpcasterFailure, Upcasters, UpcastersError, UpcastersReport,
};

/// Derives [`Event`](trait@Event) for an enum.
#[cfg(feature = "derive")]
pub use retold_derive::Event;

/// JSON schemas: the state of an [`Aggregate`] and what events hold have one.
pub use schemars;

pub use retold_core::{
    Appended, Batch, Capabilities, Checkpoint, Clock, Column, ColumnType, Damage, Direction,
    Distribution, Entry, EntryRef, Error as StoreError, EventId, EventRef, EventStore, Expected,
    Filter, IdRef, IndexStatistics, Json, JsonError, LogBlock, LogHead, LogId, LogPage, LogQuery,
    Lost, Metadata, NewEvent, PointInTime, Position, ReadConsistency, RecordedEvent, ReducerId,
    RestoreBatch, RowPage, RowQuery, SequenceNumber, SideStore, Snapshot, SnapshotKey,
    SnapshotPage, SnapshotQuery, SnapshotScan, SnapshotScanQuery, StoreStatistics, StreamConflict,
    StreamHead, StreamId, StreamPage, StreamQuery, StreamSummary, StreamsPage, StreamsQuery,
    SystemClock, Table, Text, Timestamp, TimestampError, Value, ViewId, ViewProgress, ViewStore,
    limits,
};

/// The embedded engine's own calls: checking a folder, and recovering it.
#[cfg(feature = "engine")]
pub use retold_engine as engine;

/// The README's Rust, as a test. What tests its first aggregate is `tests/first_aggregate.rs`.
#[cfg(all(doctest, feature = "derive", feature = "testing"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The guide to changing events, as a test.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../../../docs/changing-events.md")]
struct ChangingEvents;

/// The guide to consumers, as a test.
#[cfg(all(doctest, feature = "engine"))]
#[doc = include_str!("../../../docs/consumers.md")]
struct Consumers;

/// The guide to read models, as a test.
#[cfg(all(doctest, feature = "engine"))]
#[doc = include_str!("../../../docs/read-models.md")]
struct ReadModels;
