//! The embedded side store: what is kept beside the log, in one SQLite file, `state.db`.
//! It holds nothing that cannot be derived from the log again, and no events.

mod connection;
mod consumers;
mod error;
mod row;
mod schema;
mod snapshots;
mod store;

pub use rusqlite;
pub use store::SqliteSideStore;
