//! Given/when/then for machines and reducers: pure functions, without a store or a runtime.
//! Each `then` panics with what was expected and what was found. And [`events_lock`], which fails
//! when the shape of an event changes by accident.
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

mod diff;
mod events_lock;
mod machine;
mod reducer;

pub use events_lock::{EventsLock, events_lock};
pub use machine::{AskedMachine, MachineScenario, machine};
pub use reducer::{ReducerScenario, event, reducer, transition};
