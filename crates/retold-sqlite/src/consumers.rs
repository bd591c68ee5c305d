//! The statements on how far consumers have come. As everywhere in the file, each row carries a
//! checksum: a place that was not put in must never be answered with.

use retold_core::{
    Blocked, Checkpoint, ConsumerProgress, LogId, ProgressChange, ProgressWork, StreamId,
    StreamProgress, Tally, Text, Timestamp, Transacted,
};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use uuid::Uuid;

use crate::error::Failure;
use crate::row::{checksum_of, misread};
use crate::snapshots::exact;

const CLAIM: &str = "INSERT INTO consumers (name, epoch) VALUES (?1, max(?2, 1))
    ON CONFLICT (name) DO UPDATE SET epoch = max(excluded.epoch, epoch + 1)
    RETURNING epoch";

const EPOCH: &str = "SELECT epoch FROM consumers WHERE name = ?1";

const PROGRESS: &str = "SELECT log_id, position, event_id, events, sum, checksum
    FROM consumers WHERE name = ?1 AND checksum IS NOT NULL";

const SAVE: &str = "UPDATE consumers
    SET log_id = ?2, position = ?3, event_id = ?4, events = ?5, sum = ?6, checksum = ?7
    WHERE name = ?1";

const FORGET: &str = "UPDATE consumers
    SET log_id = NULL, position = NULL, event_id = NULL, events = NULL, sum = NULL,
        checksum = NULL
    WHERE name = ?1";

const STREAMS: &str = "SELECT aggregate_type, aggregate_id, next, through, position, event_id,
        attempts, is_parked, error, failed_at, checksum
    FROM consumer_streams WHERE consumer = ?1 ORDER BY aggregate_type, aggregate_id";

const KEEP_STREAM: &str = "INSERT OR REPLACE INTO consumer_streams (consumer, aggregate_type,
        aggregate_id, next, through, position, event_id, attempts, is_parked, error, failed_at,
        checksum)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const REMOVE_STREAM: &str = "DELETE FROM consumer_streams
    WHERE consumer = ?1 AND aggregate_type = ?2 AND aggregate_id = ?3";

const REMOVE_STREAMS: &str = "DELETE FROM consumer_streams WHERE consumer = ?1";

const NEWEST: &str = "SELECT name, log_id, position, event_id, events, sum, checksum
    FROM consumers WHERE position IS NOT NULL";

/// Takes a consumer over under a higher epoch.
pub(crate) fn claim(
    connection: &mut Connection,
    consumer: &str,
    epoch_min: u32,
) -> Result<u32, Failure> {
    let epoch: i64 = connection
        .prepare_cached(CLAIM)?
        .query_row(params![consumer, epoch_min], |row| row.get(0))?;
    u32::try_from(epoch).map_err(damaged)
}

/// How far a consumer has come; none where nothing was kept.
pub(crate) fn progress(
    connection: &mut Connection,
    consumer: &str,
) -> Result<Option<ConsumerProgress>, Failure> {
    let transaction = connection.transaction()?;
    let found = transaction
        .prepare_cached(PROGRESS)?
        .query_row([consumer], |row| Ok(read_checkpoint(row, 0, consumer)))
        .optional()?;
    let Some((checkpoint, tally)) = found.transpose()? else {
        return Ok(None);
    };
    let mut statement = transaction.prepare_cached(STREAMS)?;
    let mut rows = statement.query([consumer])?;
    let mut streams = Vec::new();
    while let Some(row) = rows.next()? {
        streams.push(read_stream(row, consumer)?);
    }
    Ok(Some(ConsumerProgress {
        checkpoint,
        streams,
        tally,
    }))
}

/// Keeps a change; false where somebody else has taken the consumer over.
pub(crate) fn save(connection: &mut Connection, change: &ProgressChange) -> Result<bool, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let is_kept = write(&transaction, change)?;
    transaction.commit()?;
    Ok(is_kept)
}

/// Keeps a change together with what `work` writes.
pub(crate) fn transact(
    connection: &mut Connection,
    work: ProgressWork,
) -> Result<Transacted, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let shared: &Connection = &transaction;
    // A transaction that is dropped is undone.
    let Some(change) = work(shared) else {
        return Ok(Transacted::Undone);
    };
    if !write(&transaction, &change)? {
        return Ok(Transacted::TakenOver);
    }
    transaction.commit()?;
    Ok(Transacted::Kept)
}

/// Writes a change; false, and nothing is written, where the consumer is somebody else's.
fn write(transaction: &Connection, change: &ProgressChange) -> Result<bool, Failure> {
    let consumer = &*change.consumer;
    let epoch: Option<i64> = transaction
        .prepare_cached(EPOCH)?
        .query_row([consumer], |row| row.get(0))
        .optional()?;
    if epoch != Some(i64::from(change.epoch)) {
        return Ok(false);
    }
    let checkpoint = change.checkpoint.as_ref();
    let position = checkpoint.map(|at| exact("position", at.position));
    transaction.prepare_cached(SAVE)?.execute(params![
        consumer,
        checkpoint.map(|at| *at.log_id.as_bytes()),
        position.transpose()?,
        checkpoint.map(|at| *at.event_id.as_bytes()),
        exact("events", change.tally.events)?,
        change.tally.sum.cast_signed(),
        checksum_of_checkpoint(consumer, checkpoint, &change.tally),
    ])?;
    let mut remove = transaction.prepare_cached(REMOVE_STREAM)?;
    for stream in &change.removed {
        let (aggregate_type, aggregate_id) = (stream.aggregate_type(), stream.aggregate_id());
        remove.execute(params![consumer, &**aggregate_type, &**aggregate_id])?;
    }
    let mut keep = transaction.prepare_cached(KEEP_STREAM)?;
    for stream in &change.kept {
        let blocked = stream.blocked.as_ref();
        let position = blocked.map(|blocked| exact("position", blocked.position));
        keep.execute(params![
            consumer,
            &**stream.stream.aggregate_type(),
            &**stream.stream.aggregate_id(),
            exact("next", stream.next)?,
            exact("through", stream.through)?,
            position.transpose()?,
            blocked.map(|blocked| *blocked.event_id.as_bytes()),
            blocked.map(|blocked| blocked.attempts),
            blocked.map(|blocked| blocked.is_parked),
            blocked.map(|blocked| &*blocked.error),
            blocked.map(|blocked| blocked.failed_at.as_micros()),
            checksum_of_stream(consumer, stream),
        ])?;
    }
    Ok(true)
}

/// Removes all but the epoch.
pub(crate) fn forget(connection: &mut Connection, consumer: &str) -> Result<(), Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute(FORGET, [consumer])?;
    transaction.execute(REMOVE_STREAMS, [consumer])?;
    Ok(transaction.commit()?)
}

/// Where each consumer is.
pub(crate) fn checkpoints(connection: &mut Connection) -> Result<Vec<Checkpoint>, Failure> {
    let mut statement = connection.prepare_cached(NEWEST)?;
    let mut rows = statement.query([])?;
    let mut checkpoints = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0).map_err(misread)?;
        checkpoints.extend(read_checkpoint(row, 1, &name)?.0);
    }
    Ok(checkpoints)
}

/// Reads log id, position, event id, the tally and the checksum from a column on.
fn read_checkpoint(
    row: &Row<'_>,
    first: usize,
    consumer: &str,
) -> Result<(Option<Checkpoint>, Tally), Failure> {
    let log_id: Option<[u8; 16]> = row.get(first).map_err(misread)?;
    let position: Option<i64> = row.get(first + 1).map_err(misread)?;
    let event_id: Option<[u8; 16]> = row.get(first + 2).map_err(misread)?;
    let events: i64 = row.get(first + 3).map_err(misread)?;
    let sum: i64 = row.get(first + 4).map_err(misread)?;
    let kept: i64 = row.get(first + 5).map_err(misread)?;
    let tally = Tally {
        events: u64::try_from(events).map_err(damaged)?,
        sum: sum.cast_unsigned(),
    };
    let checkpoint = match (log_id, position, event_id) {
        (Some(log_id), Some(position), Some(event_id)) => Some(Checkpoint {
            log_id: LogId::from_bytes(log_id),
            position: u64::try_from(position).map_err(damaged)?,
            event_id: Uuid::from_bytes(event_id),
        }),
        _ => None,
    };
    match kept
        == i64::from(checksum_of_checkpoint(
            consumer,
            checkpoint.as_ref(),
            &tally,
        )) {
        true => Ok((checkpoint, tally)),
        false => Err(damaged("its checksum differs")),
    }
}

fn read_stream(row: &Row<'_>, consumer: &str) -> Result<StreamProgress, Failure> {
    let text = |column: usize| -> Result<Text, Failure> {
        let text = row.get::<_, String>(column);
        text.map(Text::from).map_err(misread)
    };
    let number = |column: usize| -> Result<u64, Failure> {
        let number: i64 = row.get(column).map_err(misread)?;
        u64::try_from(number).map_err(damaged)
    };
    let position: Option<i64> = row.get(4).map_err(misread)?;
    let blocked = match position {
        None => None,
        Some(_) => Some(Blocked {
            position: number(4)?,
            event_id: row.get(5).map(Uuid::from_bytes).map_err(misread)?,
            attempts: row.get(6).map_err(misread)?,
            is_parked: row.get(7).map_err(misread)?,
            error: text(8)?,
            failed_at: Timestamp::from_micros(row.get(9).map_err(misread)?).map_err(damaged)?,
        }),
    };
    let progress = StreamProgress {
        stream: StreamId::new(text(0)?, text(1)?).map_err(damaged)?,
        next: number(2)?,
        through: number(3)?,
        blocked,
    };
    let kept: i64 = row.get(10).map_err(misread)?;
    match kept == i64::from(checksum_of_stream(consumer, &progress)) {
        true => Ok(progress),
        false => Err(damaged("its checksum differs")),
    }
}

fn damaged(reason: impl std::fmt::Display) -> Failure {
    Failure::Damaged(format!(
        "the progress of a consumer is not what was put in ({reason})"
    ))
}

fn checksum_of_checkpoint(consumer: &str, checkpoint: Option<&Checkpoint>, tally: &Tally) -> u32 {
    let (events, sum) = (tally.events.to_le_bytes(), tally.sum.to_le_bytes());
    let Some(at) = checkpoint else {
        return checksum_of(&[consumer.as_bytes(), &events, &sum]);
    };
    checksum_of(&[
        consumer.as_bytes(),
        &events,
        &sum,
        at.log_id.as_bytes(),
        &at.position.to_le_bytes(),
        at.event_id.as_bytes(),
    ])
}

fn checksum_of_stream(consumer: &str, stream: &StreamProgress) -> u32 {
    let StreamProgress {
        stream,
        next,
        through,
        blocked,
    } = stream;
    let (next, through) = (next.to_le_bytes(), through.to_le_bytes());
    let mut parts: Vec<&[u8]> = vec![
        consumer.as_bytes(),
        stream.aggregate_type().as_bytes(),
        stream.aggregate_id().as_bytes(),
        &next,
        &through,
    ];
    let Some(blocked) = blocked else {
        return checksum_of(&parts);
    };
    let position = blocked.position.to_le_bytes();
    let attempts = blocked.attempts.to_le_bytes();
    let failed_at = blocked.failed_at.as_micros().to_le_bytes();
    let is_parked = [u8::from(blocked.is_parked)];
    parts.extend::<[&[u8]; 6]>([
        &position,
        blocked.event_id.as_bytes(),
        &attempts,
        &is_parked,
        blocked.error.as_bytes(),
        &failed_at,
    ]);
    checksum_of(&parts)
}
