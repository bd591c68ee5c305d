//! The file of a view: how it is opened, and the two tables that say what it is.

use std::path::Path;

use retold_core::{Checkpoint, Error, Table, ViewProgress};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use uuid::Uuid;

use crate::connection::{self, BUSY_TIMEOUT};
use crate::error::Failure;

/// Marks a file as a view of Retold's (`PRAGMA application_id`): "Rtlv" in ASCII.
const APPLICATION_ID: i64 = 0x5274_6c76;

/// The form of the two tables below (`PRAGMA user_version`).
const FORM: i64 = 1;

/// KiB of pages that a writer keeps: the upper pages of some large tables and their indexes.
const WRITER_CACHE_KIB: i64 = 16 * 1024;

const MAKE: &str = "
    CREATE TABLE retold_progress (
        one              INTEGER PRIMARY KEY CHECK (one = 1),
        log_id           TEXT,             -- with the next two: the last event that was applied
        position         INTEGER,
        event_id         TEXT,
        complete_through INTEGER NOT NULL, -- everything at or before it is in the rows
        made_by          TEXT    NOT NULL, -- stands for the code that made the rows
        has_caught_up    INTEGER NOT NULL  -- whether it was at the head of the log before
    ) STRICT;
    CREATE TABLE retold_tables (
        name        TEXT PRIMARY KEY,
        declaration TEXT NOT NULL          -- columns, key and indexes, as JSON
    ) STRICT;";

/// Opens the file, which is made if there is none.
pub(super) fn open(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let is_new = check(&connection, path)?;
    connection::enter_wal(&connection)?;
    // As for the side store: what a power cut takes is derived again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    if is_new {
        let transaction = connection.transaction()?;
        transaction.execute_batch(MAKE)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORM)?;
        transaction.commit()?;
    }
    Ok(connection)
}

/// Opens a file that exists, for reading.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, Failure> {
    let connection = connection::open_without_change(path)?;
    match check(&connection, path)? {
        false => Ok(connection),
        // Its maker has not come so far yet.
        true => Err(Failure::Told(Error::NotFound {
            what: "a view that has rows".to_owned(),
        })),
    }
}

/// Refuses a file that is something else; true where it is empty.
fn check(connection: &Connection, path: &Path) -> Result<bool, Failure> {
    let (application_id, form, objects): (i64, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    match (application_id, form) {
        (APPLICATION_ID, FORM) => Ok(false),
        (0, 0) if objects == 0 => Ok(true),
        (APPLICATION_ID, form) => Err(Failure::Told(Error::Unsupported {
            what: format!(
                "{} of form {form} (this build knows {FORM}; run a newer build, or delete the \
                 file: what it holds is derived from the log)",
                path.display()
            ),
        })),
        _ => Err(Failure::Told(Error::invalid(
            "path",
            format!("{} is another program's database", path.display()),
        ))),
    }
}

pub(super) fn progress(connection: &Connection) -> Result<Option<ViewProgress>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT log_id, position, event_id, complete_through, made_by, has_caught_up
         FROM retold_progress",
    )?;
    let found = statement.query_row([], |row| {
        let id = |column: usize| {
            let text = row.get::<_, Option<String>>(column)?;
            Ok::<_, rusqlite::Error>(text.and_then(|text| Uuid::parse_str(&text).ok()))
        };
        let (log_id, event_id) = (id(0)?, id(2)?);
        let position: Option<i64> = row.get(1)?;
        let through: i64 = row.get(3)?;
        let made_by: String = row.get(4)?;
        let place = log_id.zip(position).zip(event_id);
        Ok(ViewProgress {
            checkpoint: place.map(|((log_id, position), event_id)| Checkpoint {
                log_id,
                position: position.cast_unsigned(),
                event_id,
            }),
            complete_through: through.cast_unsigned(),
            made_by: made_by.into(),
            has_caught_up: row.get(5)?,
        })
    });
    Ok(found.optional()?)
}

pub(super) fn keep_progress(
    connection: &Connection,
    progress: &ViewProgress,
) -> Result<(), Failure> {
    let place = progress.checkpoint.as_ref();
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO retold_progress
            (one, log_id, position, event_id, complete_through, made_by, has_caught_up)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute(params![
        place.map(|place| place.log_id.to_string()),
        place.map(|place| place.position.cast_signed()),
        place.map(|place| place.event_id.to_string()),
        progress.complete_through.cast_signed(),
        &*progress.made_by,
        progress.has_caught_up,
    ])?;
    Ok(())
}

pub(super) fn tables(connection: &Connection) -> Result<Vec<Table>, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT declaration FROM retold_tables ORDER BY name")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut tables = Vec::new();
    for declaration in rows {
        let read = serde_json::from_str(&declaration?);
        tables.push(read.map_err(|error| Failure::Damaged(error.to_string()))?);
    }
    Ok(tables)
}

pub(super) fn keep_table(connection: &Connection, table: &Table) -> Result<(), Failure> {
    let declaration = serde_json::to_string(table).expect("a declaration is texts and numbers");
    connection.execute(
        "INSERT INTO retold_tables (name, declaration) VALUES (?1, ?2)",
        [&table.name, &declaration],
    )?;
    Ok(())
}
