//! Given/when/then for aggregates, machines and reducers: pure functions, without a store or a
//! runtime. Each `then` panics with what was expected and what was found.
//!
//! What is asked of an aggregate begins with [`given`]. The same scenarios run on a real store,
//! a new one for each command, when the environment says `RETOLD_SCENARIOS=store`: a switch that
//! changes no test, and shows that what was decided is also what is recorded and read back.
//!
//! And [`events_lock`] fails when the shape of an event changes by accident.
//!
//! ```
//! use retold::testing::{event, machine, reducer};
//! use retold::{Machine, MachineReducer, Refusal};
//!
//! machine(&Machine::issue())
//!     .given("IN_REVIEW")
//!     .when("MERGED", "approve")
//!     .then("MERGED")
//!     .when("TODO", "reopen")
//!     .then_refused(Refusal::NoSuchEdge);
//!
//! reducer(MachineReducer)
//!     .given([retold::testing::transition("TODO", "IN_PROGRESS", "start_work")])
//!     .when(event("issue.commented", &"hello"))
//!     .then(&serde_json::json!({
//!         "status": "IN_PROGRESS",
//!         "transitionCount": 1,
//!         "lastTransitionAt": "2024-01-01T00:00:00Z",
//!     }));
//! ```

mod aggregate;
mod diff;
mod events_lock;
mod machine;
mod reducer;
mod store;

pub use aggregate::{AggregateScenario, AskedAggregate, given};
pub use events_lock::{EventsLock, events_lock};
pub use machine::{AskedMachine, MachineScenario, machine};
pub use reducer::{ReducerScenario, event, reducer, transition};
