//! One store that is measured point by point, in a process of its own: what asks writes points
//! to its standard input and reads figures from its standard output. The workload and the clock
//! are here, so that every store meets the same ones; a store brings a [`Target`].

mod appends;
mod cache;
mod event;
mod live;
mod locked;
mod play;
mod point;
mod process;
mod reads;
mod target;
mod workload;

pub use event::{BATCH, Event};
pub use locked::locked;
pub use play::{Arguments, play};
pub use point::{Answer, Figures, Point};
pub use process::{Server, free_port};
pub use target::{Log, Subscriber, Target, resident_bytes};
pub use workload::{AGGREGATES_BOUND, CONTIGUOUS, SCATTERED};
