//! Upcasters: functions that turn an event as it was once written into what today's code would
//! have written. They run on each read that derives something; the log is never rewritten.

mod chains;
mod check;
mod error;
mod event_version;
mod graph;
mod part;
mod set;

pub(crate) use chains::Chains;
pub use check::{CheckUpcasters, FAILURES_KEPT_DEFAULT, UpcasterFailure, UpcastersReport};
pub use error::{UpcastError, UpcastersError};
pub use event_version::EventVersion;
pub use part::Part;
pub use set::Upcasters;

/// How many events one recorded event may become. Far more than a change of mind calls for, and
/// as many as one append takes; without a bound a few splits in a row could fill the memory.
pub const UPCAST_EVENTS_MAX: usize = retold_core::limits::EVENTS_PER_APPEND_MAX;
