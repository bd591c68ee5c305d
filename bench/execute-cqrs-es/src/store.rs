//! The database of cqrs-es: what its own `default_sqlite_pool` sets, with `synchronous` raised
//! to FULL, so that a commit is on stable storage when it returns.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Pool, Sqlite};

/// The table that sqlite-es expects the application to make.
const TABLE: &str = include_str!("../../comparison/cqrs-es/events.sql");

/// What may be set otherwise.
#[derive(Args)]
pub(crate) struct Settings {
    /// Connections of the pool
    #[arg(long, default_value_t = 10)]
    connections: u32,
}

impl Settings {
    /// Makes the database.
    pub(crate) async fn open(&self, file: &Path) -> anyhow::Result<Pool<Sqlite>> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(self.connections)
            .connect_with(options)
            .await
            .context("open the database")?;
        sqlx::raw_sql(TABLE)
            .execute(&pool)
            .await
            .context("make the table")?;
        Ok(pool)
    }
}
