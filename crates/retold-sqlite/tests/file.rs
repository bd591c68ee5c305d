//! What the store makes of its file: kept over a reopening, shared by several handles, and
//! refused with advice where it is not what it should be.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};

use retold_core::{
    Checkpoint, Error, Json, PointInTime, ReducerId, SideStore, Snapshot, SnapshotQuery, StreamId,
    Timestamp,
};
use retold_sqlite::SqliteSideStore;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

const LOG: Uuid = Uuid::from_u128(1);

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    (folder, path)
}

fn snapshot(id: &str, sequence: u64) -> Snapshot {
    let instant = |micros| Timestamp::from_micros(micros).unwrap();
    Snapshot {
        stream: StreamId::new("Issue", id).unwrap(),
        reducer: ReducerId {
            name: "machine".into(),
            fingerprint: "1".into(),
        },
        sequence_number: sequence,
        checkpoint: Checkpoint {
            log_id: LOG,
            position: sequence * 10,
            event_id: Uuid::from_u128(u128::from(sequence)),
        },
        latest_timestamp: instant(-7),
        last_persisted_at: instant(8),
        state: Json::parse(format!(r#"{{"b":1.50,"a":"\u0041","n":{sequence}}}"#)).unwrap(),
        metadata: Json::null(),
        created_at: instant(9),
    }
}

async fn all_of(store: &SqliteSideStore, id: &str) -> Vec<Snapshot> {
    let mut query = SnapshotQuery::new(StreamId::new("Issue", id).unwrap());
    query.limit = 1_000;
    store.snapshots(query).await.unwrap().snapshots
}

fn refusal(path: &Path) -> Error {
    SqliteSideStore::open(path).unwrap_err()
}

#[tokio::test]
async fn what_was_kept_is_there_after_reopening() {
    let (_folder, path) = folder();
    let kept = snapshot("1", 50);
    {
        let store = SqliteSideStore::open(&path).unwrap();
        store.save_snapshot(kept.clone()).await.unwrap();
    }
    let store = SqliteSideStore::open(&path).unwrap();
    assert_eq!(all_of(&store, "1").await, std::slice::from_ref(&kept));
    assert_eq!(store.newest_checkpoints().await.unwrap(), [kept.checkpoint]);
}

#[test]
fn opening_needs_no_runtime() {
    let (_folder, path) = folder();
    SqliteSideStore::open(&path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_handles_on_one_file_write_at_once_and_lose_nothing() {
    let (_folder, path) = folder();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let path = path.clone();
        writers.spawn_blocking(move || {
            // Opened at once too: one of them makes the file, the others wait for it.
            let store = SqliteSideStore::open(&path).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async {
                for sequence in 1..=25 {
                    let snapshot = snapshot(&writer.to_string(), sequence);
                    store.save_snapshot(snapshot).await.unwrap();
                }
            });
        });
    }
    writers.join_all().await;
    let store = SqliteSideStore::open(&path).unwrap();
    for writer in 0..8 {
        let expected: Vec<Snapshot> = (1..=25)
            .rev()
            .map(|sequence| snapshot(&writer.to_string(), sequence))
            .collect();
        assert_eq!(all_of(&store, &writer.to_string()).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_share_a_handle() {
    let (_folder, path) = folder();
    let store = SqliteSideStore::open(&path).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for sequence in 1..=50 {
        let store = store.clone();
        tasks.spawn(async move {
            store.save_snapshot(snapshot("1", sequence)).await.unwrap();
            all_of(&store, "1").await;
        });
    }
    tasks.join_all().await;
    assert_eq!(all_of(&store, "1").await.len(), 50);
}

#[tokio::test]
async fn one_handle_sees_what_another_kept() {
    let (_folder, path) = folder();
    let (one, other) = (
        SqliteSideStore::open(&path).unwrap(),
        SqliteSideStore::open(&path).unwrap(),
    );
    one.save_snapshot(snapshot("1", 50)).await.unwrap();
    assert_eq!(all_of(&other, "1").await, [snapshot("1", 50)]);
    let stream = StreamId::new("Issue", "1").unwrap();
    assert_eq!(
        other.prune_snapshots(&stream, "machine", 0).await.unwrap(),
        1
    );
    assert!(all_of(&one, "1").await.is_empty());
}

#[tokio::test]
async fn a_page_ends_between_two_sequence_numbers() {
    let (_folder, path) = folder();
    let store = SqliteSideStore::open(&path).unwrap();
    for (sequence, reducers) in [(1, 2), (2, 1), (3, 3)] {
        for reducer in 0..reducers {
            let mut snapshot = snapshot("1", sequence);
            snapshot.reducer.name = format!("reducer-{reducer}").into();
            store.save_snapshot(snapshot).await.unwrap();
        }
    }
    for (limit, expected) in [
        (1, &[3, 1, 2][..]),
        (2, &[3, 1, 2]),
        (3, &[3, 3]),
        (4, &[4, 2]),
        (5, &[4, 2]),
        (6, &[6]),
    ] {
        let mut query = SnapshotQuery::new(StreamId::new("Issue", "1").unwrap());
        query.limit = limit;
        let mut sizes = Vec::new();
        loop {
            let page = store.snapshots(query.clone()).await.unwrap();
            sizes.push(page.snapshots.len());
            match page.next {
                Some(next) => query.before = next,
                None => break,
            }
        }
        assert_eq!(sizes, expected, "in pages of {limit}");
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    drop(SqliteSideStore::open(&path).unwrap());
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let error = refusal(&path);
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("schema version 99"), "{error}");
    let raw = Connection::open(&path).unwrap();
    let version: i64 = raw
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99);
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let (_folder, path) = folder();
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE theirs (id INTEGER)")
        .unwrap();
    drop(raw);
    let before = std::fs::read(&path).unwrap();
    let error = refusal(&path);
    assert!(
        matches!(&error, Error::Invalid { field, .. } if field == "path"),
        "{error:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn garbage_is_refused_with_advice_to_delete_it() {
    let (_folder, path) = folder();
    for garbage in [&b"not a database"[..], &[0xa5; 8192]] {
        std::fs::write(&path, garbage).unwrap();
        let error = refusal(&path);
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("delete") && text.contains("derived"),
            "{text}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), garbage);
    }
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let (_folder, path) = folder();
    let path = path.join("deeper").join("state.db");
    let error = refusal(&path);
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("deeper"), "{error}");
}

#[tokio::test]
async fn a_changed_row_is_not_answered_with() {
    let (_folder, path) = folder();
    let store = SqliteSideStore::open(&path).unwrap();
    let kept = snapshot("1", 50);
    for change in [
        "state = replace(state, '1.50', '1.51')",
        "position = position + 1",
        "log_id = x'00'",
        "created_at = 9223372036854775807",
    ] {
        store.save_snapshot(kept.clone()).await.unwrap();
        let raw = Connection::open(&path).unwrap();
        raw.execute(&format!("UPDATE snapshots SET {change}"), [])
            .unwrap();
        let at = store.snapshots_at(&kept.stream, &kept.reducer, PointInTime::Head, 1);
        for outcome in [
            at.await.map(drop),
            store.newest_checkpoints().await.map(drop),
            store
                .snapshots(SnapshotQuery::new(kept.stream.clone()))
                .await
                .map(drop),
        ] {
            assert!(
                matches!(outcome, Err(Error::Corrupt { .. })),
                "{change}: {outcome:?}"
            );
        }
    }
    store.save_snapshot(kept.clone()).await.unwrap();
    assert_eq!(all_of(&store, "1").await, [kept]);
}

#[tokio::test]
async fn damaged_pages_are_reported_and_the_file_may_be_deleted() {
    let (_folder, path) = folder();
    let store = SqliteSideStore::open(&path).unwrap();
    for sequence in 1..=200 {
        store.save_snapshot(snapshot("1", sequence)).await.unwrap();
    }
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    // Damage in the schema is met when the file is opened, other damage when it is read.
    let stream = StreamId::new("Issue", "1").unwrap();
    let error = match SqliteSideStore::open(&path) {
        Ok(store) => {
            let read = store.snapshots(SnapshotQuery::new(stream)).await;
            read.unwrap_err()
        }
        Err(error) => error,
    };
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    std::fs::remove_file(&path).unwrap();
    let store = SqliteSideStore::open(&path).unwrap();
    assert!(all_of(&store, "1").await.is_empty());
}

#[tokio::test]
async fn snapshots_of_machines_are_views_that_any_tool_reads() {
    let (_folder, path) = folder();
    let store = SqliteSideStore::open(&path).unwrap();
    for aggregate_type in ["Issue", "Purchase-Order"] {
        let mut machine = snapshot("42", 50);
        machine.stream = StreamId::new(aggregate_type, "42").unwrap();
        machine.reducer.name = "$machine".into();
        store.save_snapshot(machine.clone()).await.unwrap();
        machine.sequence_number = 100;
        store.save_snapshot(machine).await.unwrap();
    }
    store.save_snapshot(snapshot("42", 7)).await.unwrap();
    let database = Connection::open(&path).unwrap();
    for (view, rows) in [
        ("issue_state_snapshots", 2),
        ("purchase_order_state_snapshots", 2),
        ("execution_state_snapshots", 0),
    ] {
        let sql = format!(
            "SELECT count(*), max(sequence_number), max(created_at) FROM {view}
             WHERE aggregate_id = '42'"
        );
        let found: (i64, Option<i64>, Option<String>) = database
            .query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        assert_eq!(found.0, rows, "{view}");
        if rows > 0 {
            assert_eq!(found.1, Some(100));
            assert!(found.2.unwrap().ends_with('Z'));
        }
    }
}
