//! All stores in memory: for tests, and the plain model that other stores are compared with.
//! What is kept is gone with the process.

mod log;
mod read;
mod side;
mod views;

pub use log::MemoryStore;
pub use side::MemorySideStore;
pub use views::MemoryViews;
