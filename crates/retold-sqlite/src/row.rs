//! A snapshot as a row and back. SQLite does not check the content of its pages, so every row
//! carries a checksum: a state that was not put in must never be answered with.

use retold_core::{Checkpoint, Json, ReducerId, Snapshot, StreamId, Text, Timestamp};
use rusqlite::Row;
use uuid::Uuid;

use crate::error::Failure;

/// The columns in the order that [`read`] expects and [`crate::snapshots`] writes.
macro_rules! columns {
    () => {
        "aggregate_type, aggregate_id, reducer_name, reducer_fingerprint, sequence_number, \
         log_id, position, event_id, latest_timestamp, last_persisted_at, created_at, checksum, \
         metadata, state"
    };
}
pub(crate) use columns;

/// Reads a row of [`columns`] and checks that it is what was put in.
pub(crate) fn read(row: &Row<'_>) -> Result<Snapshot, Failure> {
    let text = |column: usize| -> Result<Text, Failure> {
        row.get::<_, String>(column)
            .map(Text::from)
            .map_err(misread)
    };
    let number = |column: usize| -> Result<u64, Failure> {
        let number: i64 = row.get(column).map_err(misread)?;
        u64::try_from(number).map_err(damaged)
    };
    let id = |column: usize| -> Result<Uuid, Failure> {
        row.get(column).map(Uuid::from_bytes).map_err(misread)
    };
    let instant = |column: usize| -> Result<Timestamp, Failure> {
        let micros = row.get(column).map_err(misread)?;
        Timestamp::from_micros(micros).map_err(damaged)
    };
    let snapshot = Snapshot {
        stream: StreamId::new(text(0)?, text(1)?).map_err(damaged)?,
        reducer: ReducerId {
            name: text(2)?,
            fingerprint: text(3)?,
        },
        sequence_number: number(4)?,
        checkpoint: Checkpoint {
            log_id: id(5)?,
            position: number(6)?,
            event_id: id(7)?,
        },
        latest_timestamp: instant(8)?,
        last_persisted_at: instant(9)?,
        created_at: instant(10)?,
        metadata: Json::from_stored(text(12)?),
        state: Json::from_stored(text(13)?),
    };
    let kept: i64 = row.get(11).map_err(misread)?;
    if kept != i64::from(checksum(&snapshot)) {
        return Err(damaged("its checksum differs"));
    }
    Ok(snapshot)
}

/// A value that has not the form it was written in. Failures of SQLite itself stay what they
/// are.
pub(crate) fn misread(error: rusqlite::Error) -> Failure {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => damaged(error),
        other => Failure::Sqlite(other),
    }
}

fn damaged(reason: impl std::fmt::Display) -> Failure {
    Failure::Damaged(format!("a snapshot is not what was put in ({reason})"))
}

/// CRC-32C over all that a snapshot says.
pub(crate) fn checksum(snapshot: &Snapshot) -> u32 {
    let Snapshot {
        stream,
        reducer,
        sequence_number,
        checkpoint,
        latest_timestamp,
        last_persisted_at,
        state,
        metadata,
        created_at,
    } = snapshot;
    let parts: [&[u8]; 13] = [
        stream.aggregate_type().as_bytes(),
        stream.aggregate_id().as_bytes(),
        reducer.name.as_bytes(),
        reducer.fingerprint.as_bytes(),
        &sequence_number.to_le_bytes(),
        checkpoint.log_id.as_bytes(),
        &checkpoint.position.to_le_bytes(),
        checkpoint.event_id.as_bytes(),
        &latest_timestamp.as_micros().to_le_bytes(),
        &last_persisted_at.as_micros().to_le_bytes(),
        &created_at.as_micros().to_le_bytes(),
        metadata.as_str().as_bytes(),
        state.as_str().as_bytes(),
    ];
    checksum_of(&parts)
}

/// CRC-32C over parts, each with its length before it.
pub(crate) fn checksum_of(parts: &[&[u8]]) -> u32 {
    parts.iter().fold(0, |crc, part| {
        let length = (part.len() as u64).to_le_bytes();
        crc32c::crc32c_append(crc32c::crc32c_append(crc, &length), part)
    })
}
