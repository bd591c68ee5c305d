//! The state of an aggregate, now or as it was: the reducers that derive it, the query that asks
//! for it, and the answer.

mod difference;
mod history;
mod query;
mod reducer;
mod view;

pub use difference::Difference;
pub use history::HistoryEntry;
pub use query::StateQuery;
pub(crate) use reducer::EventCountReducer;
pub use reducer::{MachineReducer, MachineState};
pub use view::State;
