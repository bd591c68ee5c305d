//! What is kept beside an embedded log: the side store in one SQLite file, `state.db`, and views
//! in files of their own. Nothing in them cannot be derived from the log again.

mod connection;
mod consumers;
mod error;
mod row;
mod schema;
mod snapshots;
mod store;
mod views;

pub use rusqlite;
pub use store::SqliteSideStore;
pub use views::SqliteViews;
