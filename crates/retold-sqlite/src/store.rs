//! The store itself: hands each call to a thread where SQLite may block.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use retold_core::{
    Checkpoint, ConsumerProgress, Error, PointInTime, ProgressChange, ProgressWork, ReducerId,
    SideStore, Snapshot, SnapshotPage, SnapshotQuery, SnapshotScan, SnapshotScanQuery, StreamId,
    Transacted,
};
use rusqlite::Connection;
use tokio::sync::Mutex;

use crate::error::Failure;
use crate::{connection, consumers, snapshots};

/// The side store of an embedded Retold: one SQLite file.
///
/// Cloning it is cheap and gives another handle on the same connection. Several stores, also
/// in several processes, may have one file open at once.
///
/// A process that dies loses nothing that was acknowledged; a power cut may take the newest
/// of it and leaves the file readable (WAL, `synchronous=NORMAL`). The file, with the `-wal`
/// and the `-shm` beside it, may be deleted while nothing has it open: what it held is derived
/// from the log again.
///
/// What takes part in the transaction that keeps a consumer's progress
/// ([`SideStore::transact_progress`]) is given a [`rusqlite::Connection`], and may keep tables of
/// its own in the file: they are no longer only derived, so such a file must not be deleted.
#[derive(Clone)]
pub struct SqliteSideStore {
    path: Arc<Path>,
    /// One connection for reading and writing: a snapshot is read when a stream is loaded and
    /// written once in many events, so there is little to gain from more. The lock is an async
    /// one, so that callers who wait for their turn hold no thread.
    connection: Arc<Mutex<Connection>>,
}

impl SqliteSideStore {
    /// Opens the file at `path`, which is made where there is none; its folder must exist.
    /// Blocks shortly, and needs no runtime; the calls of [`SideStore`] need tokio's.
    ///
    /// # Errors
    /// - [`Error::Corrupt`]: the file is no readable database; it may be deleted.
    /// - [`Error::Unsupported`]: a newer build wrote it.
    /// - [`Error::Invalid`]: it is another program's database.
    /// - [`Error::Busy`], [`Error::Full`], [`Error::Io`]: it cannot be used now, or at all.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteSideStore, Error> {
        let path = path.as_ref();
        let connection = connection::open(path)
            .map_err(|failure| failure.into_error("open the side store", path))?;
        Ok(SqliteSideStore {
            path: Arc::from(path),
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Opens a file that exists, and changes nothing about it: for looking at a store beside
    /// whoever writes it, or where it cannot be written. Saving and pruning fail.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); [`Error::Unsupported`] also for the file of an older build.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<SqliteSideStore, Error> {
        let path = path.as_ref();
        let connection = connection::open_read_only(path)
            .map_err(|failure| failure.into_error("read the side store", path))?;
        Ok(SqliteSideStore {
            path: Arc::from(path),
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// How many snapshots it holds. Counts them all.
    ///
    /// # Errors
    /// Those of a call of [`SideStore`].
    pub async fn count_snapshots(&self) -> Result<u64, Error> {
        self.run("count snapshots", |connection| {
            let count = connection.query_row(snapshots::COUNT, [], |row| row.get::<_, i64>(0))?;
            Ok(u64::try_from(count).unwrap_or_default())
        })
        .await
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on a thread where it may block. Once begun it is finished, also when the
    /// caller stops waiting.
    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        let outcome = tokio::task::spawn_blocking(move || work(&mut connection))
            .await
            .map_err(|error| Error::io(action, std::io::Error::other(error)))?;
        outcome.map_err(|failure| failure.into_error(action, &self.path))
    }
}

impl std::fmt::Debug for SqliteSideStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteSideStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SideStore for SqliteSideStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.run("save a snapshot", move |connection| {
            snapshots::save(connection, &snapshot)
        })
        .await
    }

    async fn snapshots(&self, query: SnapshotQuery) -> Result<SnapshotPage, Error> {
        query.check()?;
        self.run("list snapshots", move |connection| {
            snapshots::list(connection, &query)
        })
        .await
    }

    async fn snapshots_at(
        &self,
        stream: &StreamId,
        reducer: &ReducerId,
        at: PointInTime,
        limit: usize,
    ) -> Result<Vec<Snapshot>, Error> {
        let (stream, reducer) = (stream.clone(), reducer.clone());
        self.run("find a snapshot", move |connection| {
            snapshots::list_at(connection, &stream, &reducer, at, limit)
        })
        .await
    }

    async fn scan_snapshots(&self, query: SnapshotScanQuery) -> Result<SnapshotScan, Error> {
        query.check()?;
        self.run("read all snapshots", move |connection| {
            snapshots::scan(connection, &query)
        })
        .await
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        reducer_name: &str,
        keep: usize,
    ) -> Result<u64, Error> {
        let (stream, reducer_name) = (stream.clone(), reducer_name.to_owned());
        self.run("prune snapshots", move |connection| {
            snapshots::prune(connection, &stream, &reducer_name, keep)
        })
        .await
    }

    async fn claim_consumer(&self, consumer: &str, epoch_min: u32) -> Result<u32, Error> {
        let consumer = consumer.to_owned();
        self.run("take a consumer over", move |connection| {
            consumers::claim(connection, &consumer, epoch_min)
        })
        .await
    }

    async fn consumer_progress(&self, consumer: &str) -> Result<Option<ConsumerProgress>, Error> {
        let consumer = consumer.to_owned();
        self.run("read the progress of a consumer", move |connection| {
            consumers::progress(connection, &consumer)
        })
        .await
    }

    async fn save_progress(&self, change: ProgressChange) -> Result<bool, Error> {
        self.run("save the progress of a consumer", move |connection| {
            consumers::save(connection, &change)
        })
        .await
    }

    async fn transact_progress(&self, work: ProgressWork) -> Result<Transacted, Error> {
        let what = "keep the progress of a consumer and what belongs to it";
        self.run(what, move |connection| {
            consumers::transact(connection, work)
        })
        .await
    }

    async fn forget_consumer(&self, consumer: &str) -> Result<(), Error> {
        let consumer = consumer.to_owned();
        self.run("forget a consumer", move |connection| {
            consumers::forget(connection, &consumer)
        })
        .await
    }

    async fn newest_checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        self.run("find the newest checkpoints", |connection| {
            let mut newest = snapshots::newest_checkpoints(connection)?;
            for checkpoint in consumers::checkpoints(connection)? {
                let mut known = newest.iter_mut();
                match known.find(|known| known.log_id == checkpoint.log_id) {
                    Some(known) if known.position < checkpoint.position => *known = checkpoint,
                    Some(_) => {}
                    None => newest.push(checkpoint),
                }
            }
            Ok(newest)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use retold_core::{Json, Timestamp};
    use tempfile::TempDir;
    use uuid::Uuid;

    use super::*;

    fn store() -> (TempDir, SqliteSideStore) {
        let folder = TempDir::new().unwrap();
        let store = SqliteSideStore::open(folder.path().join("state.db")).unwrap();
        (folder, store)
    }

    fn snapshot(state_bytes: usize) -> Snapshot {
        let instant = Timestamp::from_micros(1).unwrap();
        Snapshot {
            stream: StreamId::new("Issue", "1").unwrap(),
            reducer: ReducerId {
                name: "machine".into(),
                fingerprint: "1".into(),
            },
            sequence_number: 50,
            checkpoint: Checkpoint {
                log_id: Uuid::from_u128(1),
                position: 50,
                event_id: Uuid::from_u128(2),
            },
            latest_timestamp: instant,
            last_persisted_at: instant,
            state: Json::from_value(&"x".repeat(state_bytes)).unwrap(),
            metadata: Json::null(),
            created_at: instant,
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_told_apart_and_passes() {
        let (_folder, store) = store();
        let connection = store.connection.lock().await;
        connection
            .pragma_update(None, "max_page_count", 16)
            .unwrap();
        drop(connection);
        let error = store.save_snapshot(snapshot(1 << 20)).await.unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error:?}");
        store.save_snapshot(snapshot(10)).await.unwrap();
    }

    #[tokio::test]
    async fn a_locked_file_is_busy_and_still_readable() {
        let (_folder, store) = store();
        let connection = store.connection.lock().await;
        connection.busy_timeout(Duration::ZERO).unwrap();
        drop(connection);
        let other = Connection::open(store.path()).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = store.save_snapshot(snapshot(10)).await.unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error:?}");
        assert!(store.newest_checkpoints().await.unwrap().is_empty());
        other.execute_batch("ROLLBACK").unwrap();
        store.save_snapshot(snapshot(10)).await.unwrap();
    }

    #[tokio::test]
    async fn a_number_past_what_sqlite_holds_is_refused() {
        let (_folder, store) = store();
        let mut wrong = snapshot(10);
        wrong.checkpoint.position = u64::MAX;
        let error = store.save_snapshot(wrong).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid { field, .. } if field == "position"));
    }
}
