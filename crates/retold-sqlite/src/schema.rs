//! The schema of the file, as a list of forward steps, and the marks by which a file of ours
//! is told from another program's and a newer one from one that this build knows.

use std::path::Path;

use heck::ToSnakeCase;
use retold_core::Error;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::Failure;

/// Marks a file as Retold's (`PRAGMA application_id`): "Rtld" in ASCII.
const APPLICATION_ID: i64 = 0x5274_6c64;

/// A view of the snapshots of one aggregate type, with points in time as texts.
macro_rules! snapshots_of {
    ($name:literal, $type:literal) => {
        concat!(
            "CREATE VIEW IF NOT EXISTS \"",
            $name,
            "\" AS SELECT
                rowid AS id,
                aggregate_id,
                sequence_number,
                reducer_fingerprint AS version,
                state,
                metadata,
                strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1e6, 'unixepoch') AS created_at,
                position,
                strftime('%Y-%m-%dT%H:%M:%fZ', latest_timestamp / 1e6, 'unixepoch')
                    AS latest_timestamp,
                strftime('%Y-%m-%dT%H:%M:%fZ', last_persisted_at / 1e6, 'unixepoch')
                    AS last_persisted_at
            FROM snapshots
            WHERE aggregate_type = '",
            $type,
            "' AND reducer_name = '$machine';
            "
        )
    };
}

/// The steps from an empty file to the newest schema. `PRAGMA user_version` counts those
/// taken, so a step is never changed once it is released; what comes next is appended.
const MIGRATIONS: &[&str] = &[
    // `state` stands last, so that a look at the other columns touches none of its pages.
    // The key's index serves a save; the second one answers listing, pruning and every point
    // in time without looking at rows that do not fit; the third one finds the newest place
    // of a log with one seek.
    "CREATE TABLE snapshots (
        aggregate_type      TEXT    NOT NULL,
        aggregate_id        TEXT    NOT NULL,
        reducer_name        TEXT    NOT NULL,
        reducer_fingerprint TEXT    NOT NULL,
        sequence_number     INTEGER NOT NULL,
        log_id              BLOB    NOT NULL,
        position            INTEGER NOT NULL,
        event_id            BLOB    NOT NULL,
        latest_timestamp    INTEGER NOT NULL, -- these three: microseconds since 1970, UTC
        last_persisted_at   INTEGER NOT NULL,
        created_at          INTEGER NOT NULL,
        checksum            INTEGER NOT NULL, -- CRC-32C over all the other columns
        metadata            TEXT    NOT NULL,
        state               TEXT    NOT NULL,
        UNIQUE (aggregate_type, aggregate_id, reducer_name, reducer_fingerprint, sequence_number)
    ) STRICT;
    CREATE INDEX snapshots_newest_of_stream ON snapshots (
        aggregate_type, aggregate_id,
        sequence_number DESC, reducer_name DESC, reducer_fingerprint DESC,
        position, last_persisted_at, latest_timestamp
    );
    CREATE INDEX snapshots_newest_of_log ON snapshots (log_id, position DESC);",
    // What is kept of a consumer before it has come anywhere is its epoch alone.
    "CREATE TABLE consumers (
        name     TEXT    NOT NULL PRIMARY KEY,
        epoch    INTEGER NOT NULL,
        log_id   BLOB,
        position INTEGER,
        event_id BLOB,
        events   INTEGER, -- how many were ever finished, and the sum of their mixed positions
        sum      INTEGER,
        checksum INTEGER -- CRC-32C over all but the epoch; none where nothing was kept
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE consumer_streams (
        consumer       TEXT    NOT NULL,
        aggregate_type TEXT    NOT NULL,
        aggregate_id   TEXT    NOT NULL,
        next           INTEGER NOT NULL, -- the first sequence number that is not finished
        through        INTEGER NOT NULL, -- the position of the last event that is
        position       INTEGER,          -- from here on: the event that the stream waits for
        event_id       BLOB,
        attempts       INTEGER,
        is_parked      INTEGER,
        error          TEXT,
        failed_at      INTEGER,          -- microseconds since 1970, UTC
        checksum       INTEGER NOT NULL, -- CRC-32C over all the other columns
        PRIMARY KEY (consumer, aggregate_type, aggregate_id)
    ) STRICT, WITHOUT ROWID;",
    // Views for people and their tools; those of further types are made with their first snapshot.
    concat!(
        snapshots_of!("issue_state_snapshots", "Issue"),
        snapshots_of!("execution_state_snapshots", "Execution"),
    ),
];

/// The reducer whose snapshots have a view for each aggregate type: that of machines.
pub(crate) const MACHINE_REDUCER: &str = "$machine";

/// Makes the view of the snapshots of an aggregate type, `purchase_order_state_snapshots` for
/// `PurchaseOrder`; nothing where there is one of the name.
pub(crate) fn make_snapshot_view(
    connection: &Connection,
    aggregate_type: &str,
) -> Result<(), Failure> {
    let name = aggregate_type.to_snake_case();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let sql = snapshots_of!("{name}_state_snapshots", "{type}");
    // A type holds letters, digits, `.`, `_`, `-` and `$` only, so nothing needs to be escaped.
    let sql = sql
        .replace("{name}", &name)
        .replace("{type}", aggregate_type);
    Ok(connection.execute_batch(&sql)?)
}

/// Refuses a file that is another program's or of a newer schema, and takes the steps that
/// are missing, all or none.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Failure> {
    if steps_taken(connection, path)? == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Looked at again, because another process may have taken the steps in the meantime.
    let taken = steps_taken(&transaction, path)?;
    for step in &MIGRATIONS[taken..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    let steps = i64::try_from(MIGRATIONS.len()).expect("the list of steps is short");
    transaction.pragma_update(None, "user_version", steps)?;
    transaction.commit()?;
    Ok(())
}

/// Refuses a file that lacks steps, where none may be taken.
pub(crate) fn require_newest(connection: &Connection, path: &Path) -> Result<(), Failure> {
    match steps_taken(connection, path)? == MIGRATIONS.len() {
        true => Ok(()),
        false => Err(Failure::Told(Error::Unsupported {
            what: format!(
                "{} without changing it: an older build made it; open it for writing once",
                path.display()
            ),
        })),
    }
}

/// How many of [`MIGRATIONS`] the file has seen.
///
/// It only reads, so that a file which is not ours is left as it is.
pub(crate) fn steps_taken(connection: &Connection, path: &Path) -> Result<usize, Failure> {
    let (application_id, version, objects): (i64, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let is_empty = application_id == 0 && version == 0 && objects == 0;
    if application_id != APPLICATION_ID && !is_empty {
        return Err(Failure::Told(Error::invalid(
            "path",
            format!(
                "{} is another program's database; name a file of its own for Retold",
                path.display()
            ),
        )));
    }
    match usize::try_from(version) {
        Ok(taken) if taken <= MIGRATIONS.len() => Ok(taken),
        _ => Err(Failure::Told(Error::Unsupported {
            what: format!(
                "{} with schema version {version} (this build knows {} and older; run a newer \
                 build, or delete the file: what it holds is derived from the log)",
                path.display(),
                MIGRATIONS.len()
            ),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let columns = statement.parameter_count();
        let parameters = rusqlite::params_from_iter(std::iter::repeat_n(0, columns));
        let rows = statement.query_map(parameters, |row| row.get::<_, String>(3));
        rows.unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_file_is_made_once_and_marked() {
        let path = Path::new("memory");
        let mut connection = Connection::open_in_memory().unwrap();
        assert_eq!(steps_taken(&connection, path).unwrap(), 0);
        for _ in 0..2 {
            migrate(&mut connection, path).unwrap();
            assert_eq!(steps_taken(&connection, path).unwrap(), MIGRATIONS.len());
        }
    }

    #[test]
    fn no_look_up_scans_or_sorts() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, Path::new("memory")).unwrap();
        for sql in crate::snapshots::LOOK_UPS {
            let plan = plan(&connection, sql);
            assert!(
                !plan.contains("SCAN snapshots") && !plan.contains("TEMP B-TREE"),
                "{sql}\n{plan}"
            );
        }
    }
}
