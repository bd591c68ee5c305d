//! The function that turns events into a state, with the name and the version that snapshots
//! of its states are kept under.

use std::any::TypeId;

use retold_core::{Error, RecordedEvent};
use schemars::Schema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::BoxError;
use crate::state::MachineReducer;

/// Folds the events of a stream into a state.
///
/// ```
/// use retold::{BoxError, RecordedEvent, Reducer};
///
/// struct Total;
///
/// impl Reducer for Total {
///     type State = u64;
///
///     fn name(&self) -> &str {
///         "total"
///     }
///
///     fn initial(&self) -> u64 {
///         0
///     }
///
///     fn apply(&self, total: &mut u64, event: &RecordedEvent) -> Result<(), BoxError> {
///         if event.event_type == "item.added" {
///             *total += event.payload.decode::<u64>()?;
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// A reducer must be a pure function of the state and the event: with the same events it makes
/// the same state, whenever and wherever it runs.
pub trait Reducer: Send + Sync + 'static {
    /// What it derives. A snapshot keeps it as JSON, so it should not grow with the number of
    /// events.
    type State: Serialize + DeserializeOwned + Send + 'static;

    /// The name that its snapshots are kept under. Names that start with `$` are Retold's own.
    fn name(&self) -> &str;

    /// The version of `apply`, and of the state's shape where [`state_schema`](Self::state_schema)
    /// does not tell it: change it with either, and snapshots of the version before are ignored.
    /// Nothing else notices that a function's body has changed.
    fn version(&self) -> &str {
        "1"
    }

    /// The JSON schema of the state, `Some(schemars::schema_for!(Self::State))`: with it a change
    /// of the state's shape makes snapshots of the shape before ignored without a new version.
    /// It is asked for once, so it must be the same for all values of the reducer's type.
    fn state_schema(&self) -> Option<Schema> {
        None
    }

    /// The state before the first event.
    fn initial(&self) -> Self::State;

    /// Folds one event in.
    ///
    /// # Errors
    /// Whatever keeps it from understanding the event, such as a payload that it cannot decode;
    /// the replay stops there with [`Error::Reducer`](crate::Error::Reducer).
    fn apply(&self, state: &mut Self::State, event: &RecordedEvent) -> Result<(), BoxError>;
}

/// Checks that a reducer that is not Retold's own does not use a name that is.
pub(super) fn check_name<R: Reducer>(reducer: &R) -> Result<(), Error> {
    let is_own = TypeId::of::<R>() == TypeId::of::<MachineReducer>();
    if reducer.name().starts_with('$') && !is_own {
        return Err(Error::invalid(
            "reducer",
            "must not have a name that starts with $: such names are Retold's own",
        ));
    }
    Ok(())
}
