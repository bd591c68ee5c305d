//! Reading a view while somebody else writes it.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use retold_core::{Error, RowPage, RowQuery, Table, ViewProgress, ViewReader};
use rusqlite::Connection;

use super::{file, rows, told};
use crate::error::Failure;

/// Connections that are kept between two reads; more are opened when more read at once.
const CONNECTIONS_KEPT: usize = 4;

pub(super) struct SqliteReader {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteReader {
    pub(super) fn new(path: PathBuf) -> SqliteReader {
        SqliteReader {
            path,
            idle: Mutex::default(),
        }
    }

    /// Reads what was committed at one moment.
    fn run<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Error> {
        let kept = lock(&self.idle).pop();
        let opened = kept.map_or_else(|| file::open_read_only(&self.path), Ok);
        let outcome = opened.and_then(|mut connection| {
            let transaction = connection.transaction()?;
            let outcome = work(&transaction)?;
            transaction.finish()?;
            let mut idle = lock(&self.idle);
            if idle.len() < CONNECTIONS_KEPT {
                idle.push(connection);
            }
            Ok(outcome)
        });
        outcome.map_err(|failure| told(failure, "read", &self.path))
    }
}

/// A connection is whole between two calls.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ViewReader for SqliteReader {
    fn progress(&self) -> Result<Option<ViewProgress>, Error> {
        self.run(file::progress)
    }

    fn tables(&self) -> Result<Vec<Table>, Error> {
        self.run(file::tables)
    }

    fn rows(&self, table: &str, query: &RowQuery) -> Result<RowPage, Error> {
        self.run(|connection| page(connection, table, query))
    }

    fn pin(&self) -> Result<Box<dyn ViewReader>, Error> {
        let pinned = file::open_read_only(&self.path).and_then(|connection| {
            connection.execute_batch("BEGIN")?;
            // A transaction sees what was there when it first read.
            file::progress(&connection)?;
            Ok(connection)
        });
        let connection = pinned.map_err(|failure| told(failure, "read", &self.path))?;
        Ok(Box::new(Pinned {
            path: self.path.clone(),
            connection: Mutex::new(connection),
        }))
    }
}

/// A reader within one transaction.
struct Pinned {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl Pinned {
    fn run<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, Error> {
        work(&lock(&self.connection)).map_err(|failure| told(failure, "read", &self.path))
    }
}

impl ViewReader for Pinned {
    fn progress(&self) -> Result<Option<ViewProgress>, Error> {
        self.run(file::progress)
    }

    fn tables(&self) -> Result<Vec<Table>, Error> {
        self.run(file::tables)
    }

    fn rows(&self, table: &str, query: &RowQuery) -> Result<RowPage, Error> {
        self.run(|connection| page(connection, table, query))
    }

    fn pin(&self) -> Result<Box<dyn ViewReader>, Error> {
        Err(Error::Unsupported {
            what: "pinning what is pinned".to_owned(),
        })
    }
}

fn page(connection: &Connection, table: &str, query: &RowQuery) -> Result<RowPage, Failure> {
    let tables = file::tables(connection)?;
    let known = tables.iter().find(|known| known.name == table);
    let table = known.ok_or_else(|| Error::NotFound {
        what: format!("a table {table}"),
    })?;
    let progress = file::progress(connection)?;
    let through = progress.map_or(0, |progress| progress.complete_through);
    rows::page(connection, table, query, through)
}
