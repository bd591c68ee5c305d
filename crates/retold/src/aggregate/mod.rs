//! Aggregates: a state that is derived from events of its own type, and decides by itself what
//! may happen next. [`Retold::execute`](crate::Retold::execute) runs its commands.

mod checks;
mod event;
mod kind;
mod load;
mod reducer;
mod shipped;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::machine::SNAPSHOT_EVERY_DEFAULT;

pub(crate) use event::read;
pub use event::{Event, EventKind};
pub(crate) use kind::{Kind, Kinds};
pub use load::{Load, Loaded};
pub(crate) use reducer::AggregateReducer;
pub(crate) use shipped::id_name;
pub use shipped::{EXECUTION, ISSUE};

/// How many snapshots of an aggregate are kept unless it says otherwise. One is what a command
/// begins from; the others serve questions about the past.
pub const SNAPSHOTS_KEPT_DEFAULT: usize = 10;

/// What the state of an aggregate must be: `#[derive(Clone, Default, Serialize, Deserialize,
/// JsonSchema)]` is all it takes. Its [`Default`] is the state before the first event, its serde
/// form is kept in snapshots, and its schema tells those of today's shape from others.
pub trait AggregateState:
    Clone + Default + Serialize + DeserializeOwned + HasSchema + Send + Sync + 'static
{
}

impl<S> AggregateState for S where
    S: Clone + Default + Serialize + DeserializeOwned + HasSchema + Send + Sync + 'static
{
}

/// A type whose JSON schema is known: any that is [`JsonSchema`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no JSON schema",
    label = "`JsonSchema` is not derived",
    note = "add it: `#[derive(Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]` is what the state of an aggregate takes; by its schema, snapshots of another shape are told from today's"
)]
pub trait HasSchema {
    /// The schema.
    fn schema() -> Schema;
}

// The message above says more than one about `JsonSchema` would.
#[diagnostic::do_not_recommend]
impl<T: JsonSchema> HasSchema for T {
    fn schema() -> Schema {
        schemars::schema_for!(T)
    }
}

/// A state, the events that it is derived from, and the commands that it decides over.
///
/// It is two functions without any input but their arguments. [`decide`](Self::decide) looks at
/// the state and a command, and gives the events that follow, or the error that refuses it.
/// [`apply`](Self::apply) folds an event into the state. What is outside (the time, a price, what
/// another service said) is read before, and is a part of the command; so both are tested without
/// a store, and deciding again after a lost race is safe.
///
/// ```
/// use retold::{Aggregate, Event, Retold};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
/// struct Counter {
///     count: u64,
/// }
///
/// #[derive(Event)]
/// enum Counted {
///     #[event("counter.raised")]
///     Raised { by: u64 },
/// }
///
/// impl Aggregate for Counter {
///     const TYPE: &'static str = "Counter";
///     type Event = Counted;
///     type Command = u64;
///     type Error = std::convert::Infallible;
///
///     fn decide(&self, by: &u64) -> Result<Vec<Counted>, Self::Error> {
///         Ok(vec![Counted::Raised { by: *by }])
///     }
///
///     fn apply(&mut self, event: Counted) {
///         match event {
///             Counted::Raised { by } => self.count += by,
///         }
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let retold = Retold::open("memory:").await?;
/// let raised = retold.execute::<Counter>("visits", 3).await?;
/// assert_eq!(raised.state.count, 3);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "not an aggregate",
    note = "implement `retold::Aggregate` for the type that holds the state: `decide` gives the events that follow from a command, `apply` folds one in"
)]
pub trait Aggregate: AggregateState {
    /// The aggregate type that its events are recorded under, such as `Account`. The log keeps
    /// it for ever, so it does not follow from the Rust type's name, which may change.
    const TYPE: &'static str;

    /// The version of `apply`: change it when the same events come to another state than before,
    /// and snapshots made until then are ignored. That the shape of the state changed is noticed
    /// without it.
    const VERSION: &'static str = "1";

    /// A snapshot is made when a command's events cross a multiple of it; 0 makes none.
    const SNAPSHOT_EVERY: u64 = SNAPSHOT_EVERY_DEFAULT;

    /// How many snapshots are kept, the newest; at least 1.
    const SNAPSHOTS_KEPT: usize = SNAPSHOTS_KEPT_DEFAULT;

    /// What can happen to it: an enum with `#[derive(Event)]`.
    type Event: Event;

    /// What can be asked of it, with all that the decision needs from outside.
    type Command: Send + Sync + 'static;

    /// Why it may refuse. Callers get it back as it is.
    type Error: Send + 'static;

    /// Decides what follows from a command: one event, several, or none where there is nothing
    /// to do. It is asked again when another writer was faster, so it must not do anything but
    /// decide.
    ///
    /// # Errors
    /// Whatever keeps the command from being carried out; nothing is recorded then.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Folds an event in. It has happened, so there is nothing to judge here.
    fn apply(&mut self, event: Self::Event);
}
