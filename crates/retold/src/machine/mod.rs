//! State machines as data: the definition, its file, what makes one invalid, and those that a
//! handle knows. What a transition does with them is in `transition`.

mod definition;
mod error;
mod file;
mod registry;

pub use definition::{AvailableTransition, Machine, Refusal, TransitionRule};
pub use error::MachineError;
pub use registry::{MachineAdded, Machines};
pub(crate) use registry::{Registry, machine_added};

/// How many events of a stream lie between two automatic snapshots unless a machine says
/// otherwise: few enough that a replay is one page, many enough that snapshots stay rare.
pub const SNAPSHOT_EVERY_DEFAULT: u64 = 50;
