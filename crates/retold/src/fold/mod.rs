//! Deriving a state from a stream: the reducer, the fold over a prefix of the stream, and the
//! snapshots that it may begin from. `state` and `replay` are two faces of it.

mod fingerprint;
mod folded;
mod moment;
mod reading;
mod reducer;
mod replay;
mod snapshot;

pub(crate) use fingerprint::id_of;
pub(crate) use folded::Folded;
pub(crate) use moment::{Moment, point_in_time_methods};
pub(crate) use reading::{Outcome, Reading};
pub use reducer::Reducer;
pub use replay::{Replay, ReplayWith, Replayed};
pub(crate) use snapshot::{counts, save, start};

/// How many events are read at a time: a page that fits in memory whatever the payloads are,
/// and large enough that the number of reads does not matter.
pub const REPLAY_BATCH: usize = 100;
