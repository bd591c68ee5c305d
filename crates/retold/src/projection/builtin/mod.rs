//! The projections that come with the crate.

mod current_state;
mod process_map;
mod state_history;

pub use current_state::CurrentState;
pub(super) use process_map::{ALL_MONTHS, BEGINNING, DURATIONS, EDGE_STREAMS, EDGES};
pub use process_map::{ProcessMap, duration_bucket, duration_of_bucket};
pub use state_history::StateHistory;
