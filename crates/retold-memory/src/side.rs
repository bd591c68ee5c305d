//! What is kept beside the log, in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use retold_core::{
    Checkpoint, Error, LogId, PointInTime, ReducerId, SequenceNumber, SideStore, Snapshot,
    SnapshotKey, SnapshotPage, SnapshotQuery, SnapshotScan, SnapshotScanQuery, StreamId, Text,
};

/// A side store in memory.
#[derive(Default)]
pub struct MemorySideStore {
    snapshots: Mutex<BTreeMap<Key, Snapshot>>,
}

/// Stream, sequence number, reducer name, fingerprint: what one snapshot is kept under.
type Key = (StreamId, SequenceNumber, Text, Text);

impl MemorySideStore {
    /// A side store that holds nothing.
    pub fn new() -> MemorySideStore {
        MemorySideStore::default()
    }

    /// No call leaves the map half changed when it panics, so a poisoned lock means nothing.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Snapshot>> {
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshots of a stream, newest first.
    fn newest_first(&self, stream: &StreamId) -> Vec<Snapshot> {
        let first = (stream.clone(), 0, Text::new(), Text::new());
        let snapshots = self.lock();
        let mut of_stream: Vec<Snapshot> = snapshots
            .range(first..)
            .map(|(_, snapshot)| snapshot)
            .take_while(|snapshot| snapshot.stream == *stream)
            .cloned()
            .collect();
        of_stream.reverse();
        of_stream
    }
}

fn key(snapshot: &Snapshot) -> Key {
    (
        snapshot.stream.clone(),
        snapshot.sequence_number,
        snapshot.reducer.name.clone(),
        snapshot.reducer.fingerprint.clone(),
    )
}

#[async_trait]
impl SideStore for MemorySideStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error> {
        self.lock().insert(key(&snapshot), snapshot);
        Ok(())
    }

    async fn snapshots(&self, query: SnapshotQuery) -> Result<SnapshotPage, Error> {
        query.check()?;
        let mut asked_for = self.newest_first(&query.stream);
        asked_for.retain(|snapshot| {
            let of_reducer = |reducer: &ReducerId| *reducer == snapshot.reducer;
            snapshot.sequence_number < query.before && query.reducer.as_ref().is_none_or(of_reducer)
        });
        let mut page = Vec::new();
        let mut is_end = true;
        let same_place = |a: &Snapshot, b: &Snapshot| a.sequence_number == b.sequence_number;
        for group in asked_for.chunk_by(same_place) {
            if !page.is_empty() && page.len() + group.len() > query.limit {
                is_end = false;
                break;
            }
            page.extend_from_slice(group);
        }
        let last = page.last().map(|snapshot| snapshot.sequence_number);
        Ok(SnapshotPage {
            next: last.filter(|_| !is_end),
            snapshots: page,
        })
    }

    async fn snapshots_at(
        &self,
        stream: &StreamId,
        reducer: &ReducerId,
        at: PointInTime,
        limit: usize,
    ) -> Result<Vec<Snapshot>, Error> {
        let mut within = self.newest_first(stream);
        within.retain(|snapshot| snapshot.reducer == *reducer && at.includes_snapshot(snapshot));
        within.truncate(limit);
        Ok(within)
    }

    async fn scan_snapshots(&self, query: SnapshotScanQuery) -> Result<SnapshotScan, Error> {
        query.check()?;
        let after = query.after.map(|key| {
            let SnapshotKey {
                stream,
                reducer,
                sequence_number,
            } = key;
            (stream, sequence_number, reducer.name, reducer.fingerprint)
        });
        let snapshots = self.lock();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = snapshots.range((from, Bound::Unbounded));
        let page: Vec<Snapshot> = rest
            .by_ref()
            .take(query.limit)
            .map(|(_, s)| s.clone())
            .collect();
        let last = page.last().map(Snapshot::key);
        Ok(SnapshotScan {
            next: last.filter(|_| rest.next().is_some()),
            snapshots: page,
        })
    }

    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        reducer_name: &str,
        keep: usize,
    ) -> Result<u64, Error> {
        let mut of_reducer = self.newest_first(stream);
        of_reducer.retain(|snapshot| snapshot.reducer.name == *reducer_name);
        let mut snapshots = self.lock();
        let removed = of_reducer
            .iter()
            .skip(keep)
            .filter_map(|snapshot| snapshots.remove(&key(snapshot)))
            .count();
        Ok(removed as u64)
    }

    async fn newest_checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let mut newest: HashMap<LogId, Checkpoint> = HashMap::new();
        for snapshot in self.lock().values() {
            let checkpoint = snapshot.checkpoint;
            let kept = newest.entry(checkpoint.log_id).or_insert(checkpoint);
            if checkpoint.position > kept.position {
                *kept = checkpoint;
            }
        }
        Ok(newest.into_values().collect())
    }
}
