//! The session of sqlite-es, the event repository of cqrs-es on SQLite. The program `peers` starts
//! it: both cannot be one program, since they link two releases of SQLite.

mod account;

use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use cqrs_es::persist::{PersistedEventRepository, ReplayStream, SerializedEvent};
use serde_json::json;
use session::{Event, Log, Target};
use sqlite_es::SqliteEventRepository;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Pool, Sqlite};

use crate::account::Account;

/// The table that sqlite-es expects the application to make.
const TABLE: &str = include_str!("../../comparison/cqrs-es/events.sql");

/// Connections, as its own `default_sqlite_pool` has.
const CONNECTIONS: u32 = 10;

/// How long one writer waits for another, and a caller for a connection: nobody is turned away.
const PATIENCE: Duration = Duration::from_secs(120);

/// As in the program `peers`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Plays the session of sqlite-es for the program `peers`")]
struct Arguments {
    #[command(flatten)]
    session: session::Arguments,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    session::play::<SqliteEs>(&Arguments::parse().session).await
}

struct SqliteEs {
    pool: Pool<Sqlite>,
    repository: SqliteEventRepository,
}

impl Target for SqliteEs {
    type Call = Vec<SerializedEvent>;
    type Subscriber = Infallible;

    async fn open(folder: &Path) -> anyhow::Result<SqliteEs> {
        let file = folder.join("events.db");
        let is_new = !file.exists();
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await
            .context("open the database")?;
        if is_new {
            let made = sqlx::raw_sql(TABLE).execute(&pool).await;
            made.context("make the table")?;
        }
        let repository = SqliteEventRepository::new(pool.clone());
        Ok(SqliteEs { pool, repository })
    }

    async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        Ok(())
    }

    async fn version(&self) -> anyhow::Result<String> {
        session::locked(include_str!("../../sqlx-0.8/Cargo.lock"), "sqlite-es")
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Vec<SerializedEvent>> {
        let events = events.into_iter().map(|event| {
            Ok(SerializedEvent {
                aggregate_id: event.aggregate_id(),
                sequence: usize::try_from(event.sequence)?,
                aggregate_type: Event::AGGREGATE_TYPE.to_owned(),
                event_type: Event::EVENT_TYPE.to_owned(),
                event_version: "1.0.0".to_owned(),
                payload: serde_json::from_str(&event.payload)?,
                metadata: json!({
                    "eventId": event.event_id.to_string(),
                    "correlationId": event.correlation_id.to_string(),
                }),
            })
        });
        events.collect()
    }

    async fn append(&self, _appender: usize, call: Vec<SerializedEvent>) -> anyhow::Result<()> {
        let persisted = self.repository.persist::<Account>(&call, None).await;
        persisted.context("persist events")
    }

    async fn read_stream(&self, aggregate: usize) -> anyhow::Result<Option<u64>> {
        let id = aggregate.to_string();
        let mut events = self.repository.stream_events::<Account>(&id).await?;
        let mut read = 0;
        while next(&mut events).await? {
            read += 1;
        }
        Ok(Some(read))
    }

    async fn read_log(&self, log: &mut Log) -> anyhow::Result<bool> {
        let mut events = self.repository.stream_all_events::<Account>().await?;
        while next(&mut events).await? && log.goes_on(1) {}
        Ok(true)
    }
}

/// Whether there is one more event.
async fn next(events: &mut ReplayStream) -> anyhow::Result<bool> {
    let event = events.next::<Account>(&[]).await.transpose();
    Ok(event.context("read an event")?.is_some())
}
