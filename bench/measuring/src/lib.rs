//! What the measurements of Retold and of its peers share: the workload, the clock, the figures
//! and the disk's own limit. It knows no store.

mod disk;
mod latencies;
mod round;

pub use disk::Limit;
pub use latencies::Latencies;
pub use round::{Figures, NOTE, Round, Step};
