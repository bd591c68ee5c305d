//! Retold's embedded event store: an append-only log of checksummed, chained frames in one
//! folder, an index derived from it, and what is needed to trust both after a crash.
//!
//! FORMAT.md draws every byte; ARCHITECTURE.md says why it is built this way.

mod block;
pub mod disk;
mod evidence;
mod facts;
mod fast_map;
mod fetch;
mod few;
mod finish;
mod follower;
mod heads;
mod index;
mod indexing;
mod listed;
mod log;
mod mend;
mod opening;
mod options;
mod planted;
mod probe;
mod read;
mod rebuild;
mod recover;
#[cfg(test)]
mod simulated;
#[cfg(feature = "simulator")]
pub mod simulator;
mod state;
mod store;
mod verify;
mod visible;
mod write;

pub use opening::holder;
pub use options::{IndexOptions, Options};
pub use rebuild::{Rebuilt, rebuild_index, rebuild_index_on};
pub use recover::{Recovered, Remedy, recover, recover_on};
pub use state::DamagedPlace;
pub use store::EngineStore;
pub use verify::{IndexVerified, Verified, verify, verify_on, verify_whole};
