//! The statements on the table of snapshots.

use retold_core::{
    Checkpoint, Error, LogId, PointInTime, ReducerId, Snapshot, SnapshotPage, SnapshotQuery,
    SnapshotScan, SnapshotScanQuery, StreamId, limits,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Failure;
use crate::row::{self, columns};
use crate::schema;

const SAVE: &str = concat!(
    "INSERT INTO snapshots (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
    ON CONFLICT (aggregate_type, aggregate_id, reducer_name, reducer_fingerprint, sequence_number)
    DO UPDATE SET log_id = excluded.log_id, position = excluded.position,
        event_id = excluded.event_id, latest_timestamp = excluded.latest_timestamp,
        last_persisted_at = excluded.last_persisted_at, created_at = excluded.created_at,
        checksum = excluded.checksum, metadata = excluded.metadata, state = excluded.state"
);

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM snapshots INDEXED BY snapshots_newest_of_stream
    WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence_number <= ?3
      AND (?4 IS NULL OR (reducer_name = ?4 AND reducer_fingerprint = ?5))
    ORDER BY sequence_number DESC, reducer_name DESC, reducer_fingerprint DESC"
);

const AT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM snapshots INDEXED BY snapshots_newest_of_stream
    WHERE aggregate_type = ?1 AND aggregate_id = ?2
      AND reducer_name = ?3 AND reducer_fingerprint = ?4
      AND sequence_number <= ?5 AND position <= ?6
      AND last_persisted_at <= ?7 AND latest_timestamp <= ?8
    ORDER BY sequence_number DESC LIMIT ?9"
);

/// In the order of the key's own index.
const SCAN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM snapshots
    WHERE (aggregate_type, aggregate_id, reducer_name, reducer_fingerprint, sequence_number)
        > (?1, ?2, ?3, ?4, ?5)
    ORDER BY aggregate_type, aggregate_id, reducer_name, reducer_fingerprint, sequence_number"
);

const PRUNE: &str = "DELETE FROM snapshots WHERE rowid IN (
    SELECT rowid FROM snapshots INDEXED BY snapshots_newest_of_stream
    WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND reducer_name = ?3
    ORDER BY sequence_number DESC
    LIMIT -1 OFFSET ?4)";

/// The whole row, not only the checkpoint, because only the whole row can be checked: a place
/// that was never reached would look like a log that lost its tail.
const NEWEST_OF_FIRST_LOG: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM snapshots INDEXED BY snapshots_newest_of_log
    ORDER BY log_id, position DESC LIMIT 1"
);

const NEWEST_OF_NEXT_LOG: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM snapshots INDEXED BY snapshots_newest_of_log
    WHERE log_id > ?1
    ORDER BY log_id, position DESC LIMIT 1"
);

/// Through an index, which is smaller than the table.
pub(crate) const COUNT: &str = "SELECT count(*) FROM snapshots INDEXED BY snapshots_newest_of_log";

/// What must stay cheap however many snapshots there are; a test looks at the plans.
#[cfg(test)]
pub(crate) const LOOK_UPS: &[&str] = &[LIST, AT, SCAN, PRUNE, NEWEST_OF_NEXT_LOG];

/// Keeps a snapshot, in place of one of the same key.
pub(crate) fn save(connection: &mut Connection, snapshot: &Snapshot) -> Result<(), Failure> {
    let Checkpoint {
        log_id,
        position,
        event_id,
    } = snapshot.checkpoint;
    if &*snapshot.reducer.name == schema::MACHINE_REDUCER {
        schema::make_snapshot_view(connection, snapshot.stream.aggregate_type())?;
    }
    connection.prepare_cached(SAVE)?.execute(params![
        &**snapshot.stream.aggregate_type(),
        &**snapshot.stream.aggregate_id(),
        &*snapshot.reducer.name,
        &*snapshot.reducer.fingerprint,
        exact("sequenceNumber", snapshot.sequence_number)?,
        log_id.as_bytes(),
        exact("position", position)?,
        event_id.as_bytes(),
        snapshot.latest_timestamp.as_micros(),
        snapshot.last_persisted_at.as_micros(),
        snapshot.created_at.as_micros(),
        row::checksum(snapshot),
        snapshot.metadata.as_str(),
        snapshot.state.as_str(),
    ])?;
    Ok(())
}

/// Lists snapshots of a stream. A page holds more than was asked for only when one sequence
/// number alone has more, and less when its states reach [`limits::PAGE_BYTES_MAX`].
pub(crate) fn list(
    connection: &mut Connection,
    query: &SnapshotQuery,
) -> Result<SnapshotPage, Failure> {
    let mut page: Vec<Snapshot> = Vec::new();
    let Some(highest) = query.before.checked_sub(1) else {
        return Ok(ending(page, true));
    };
    let reducer = query.reducer.as_ref();
    let mut statement = connection.prepare_cached(LIST)?;
    let mut rows = statement.query(params![
        &**query.stream.aggregate_type(),
        &**query.stream.aggregate_id(),
        bound(highest),
        reducer.map(|reducer| &*reducer.name),
        reducer.map(|reducer| &*reducer.fingerprint),
    ])?;
    let mut bytes = 0;
    // How many of the page belong to sequence numbers that are known to be whole.
    let mut whole = 0;
    while let Some(row) = rows.next()? {
        let snapshot = row::read(row)?;
        let of_reducer = |reducer: &ReducerId| *reducer == snapshot.reducer;
        asked_for(
            snapshot.stream == query.stream
                && snapshot.sequence_number < query.before
                && reducer.is_none_or(of_reducer),
        )?;
        let last = page.last().map(|last| last.sequence_number);
        let is_full = page.len() >= query.limit;
        if last != Some(snapshot.sequence_number) {
            if is_full || bytes >= limits::PAGE_BYTES_MAX {
                return Ok(ending(page, false));
            }
            whole = page.len();
        } else if is_full && whole > 0 {
            page.truncate(whole);
            return Ok(ending(page, false));
        }
        bytes += snapshot.state.as_str().len() + snapshot.metadata.as_str().len();
        page.push(snapshot);
    }
    Ok(ending(page, true))
}

fn ending(snapshots: Vec<Snapshot>, is_end: bool) -> SnapshotPage {
    let last = snapshots.last().map(|last| last.sequence_number);
    SnapshotPage {
        next: last.filter(|_| !is_end),
        snapshots,
    }
}

/// The snapshots that hold only events of the prefix `at`, newest first.
pub(crate) fn list_at(
    connection: &mut Connection,
    stream: &StreamId,
    reducer: &ReducerId,
    at: PointInTime,
    limit: usize,
) -> Result<Vec<Snapshot>, Failure> {
    let [mut sequence, mut position, mut persisted_at, mut timestamp] = [i64::MAX; 4];
    match at {
        PointInTime::Head => {}
        PointInTime::Sequence(last) => sequence = bound(last),
        PointInTime::Position(last) => position = bound(last),
        PointInTime::PersistedAt(instant) => persisted_at = instant.as_micros(),
        PointInTime::Timestamp(instant) => timestamp = instant.as_micros(),
    }
    let mut statement = connection.prepare_cached(AT)?;
    let mut rows = statement.query(params![
        &**stream.aggregate_type(),
        &**stream.aggregate_id(),
        &*reducer.name,
        &*reducer.fingerprint,
        sequence,
        position,
        persisted_at,
        timestamp,
        bound(limit as u64),
    ])?;
    let mut snapshots = Vec::new();
    while let Some(row) = rows.next()? {
        let snapshot = row::read(row)?;
        asked_for(
            snapshot.stream == *stream
                && snapshot.reducer == *reducer
                && at.includes_snapshot(&snapshot),
        )?;
        snapshots.push(snapshot);
    }
    Ok(snapshots)
}

/// A part of all snapshots. It holds less than was asked for when the states reach
/// [`limits::PAGE_BYTES_MAX`].
pub(crate) fn scan(
    connection: &mut Connection,
    query: &SnapshotScanQuery,
) -> Result<SnapshotScan, Failure> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    let mut statement = connection.prepare_cached(SCAN)?;
    let mut rows = match &query.after {
        // No aggregate type is empty, so all stand behind this.
        None => statement.query(params!["", "", "", "", 0])?,
        Some(after) => statement.query(params![
            &**after.stream.aggregate_type(),
            &**after.stream.aggregate_id(),
            &*after.reducer.name,
            &*after.reducer.fingerprint,
            bound(after.sequence_number),
        ])?,
    };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if snapshots.len() >= query.limit || bytes >= limits::PAGE_BYTES_MAX {
            let next = snapshots.last().map(Snapshot::key);
            return Ok(SnapshotScan { snapshots, next });
        }
        let snapshot = row::read(row)?;
        bytes += snapshot.state.as_str().len() + snapshot.metadata.as_str().len();
        snapshots.push(snapshot);
    }
    let next = None;
    Ok(SnapshotScan { snapshots, next })
}

/// Removes all but the newest `keep` snapshots of a stream and a reducer name.
pub(crate) fn prune(
    connection: &mut Connection,
    stream: &StreamId,
    reducer_name: &str,
    keep: usize,
) -> Result<u64, Failure> {
    let removed = connection.prepare_cached(PRUNE)?.execute(params![
        &**stream.aggregate_type(),
        &**stream.aggregate_id(),
        reducer_name,
        bound(keep as u64),
    ])?;
    Ok(removed as u64)
}

/// The newest place of every log: one seek each, however many snapshots there are.
pub(crate) fn newest_checkpoints(connection: &mut Connection) -> Result<Vec<Checkpoint>, Failure> {
    let transaction = connection.transaction()?;
    let mut newest: Vec<Checkpoint> = Vec::new();
    loop {
        let after = newest.last().map(|checkpoint| checkpoint.log_id);
        match newest_of_log_after(&transaction, after)? {
            Some(checkpoint) => newest.push(checkpoint),
            None => return Ok(newest),
        }
    }
}

fn newest_of_log_after(
    connection: &Connection,
    after: Option<LogId>,
) -> Result<Option<Checkpoint>, Failure> {
    let checkpoint = |row: &rusqlite::Row<'_>| Ok(row::read(row).map(|read| read.checkpoint));
    let found = match after {
        None => connection
            .prepare_cached(NEWEST_OF_FIRST_LOG)?
            .query_row([], checkpoint),
        Some(log_id) => connection
            .prepare_cached(NEWEST_OF_NEXT_LOG)?
            .query_row([log_id.as_bytes()], checkpoint),
    };
    found.optional()?.transpose()
}

/// A damaged index leads to rows that are whole, but not those that were asked for.
fn asked_for(is_so: bool) -> Result<(), Failure> {
    if is_so {
        Ok(())
    } else {
        Err(Failure::Damaged(
            "an index leads to a snapshot that it should not".to_owned(),
        ))
    }
}

/// A number that is kept: SQLite's integers are signed.
pub(crate) fn exact(field: &str, number: u64) -> Result<i64, Error> {
    i64::try_from(number)
        .map_err(|_| Error::invalid(field, format!("must be at most {}", i64::MAX)))
}

/// A number that kept ones are compared with: nothing kept is higher than the highest.
fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
