//! What is kept beside the log, in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use retold_core::{
    Checkpoint, ConsumerProgress, Error, LogId, PointInTime, ProgressChange, ReducerId,
    SequenceNumber, SideStore, Snapshot, SnapshotKey, SnapshotPage, SnapshotQuery, SnapshotScan,
    SnapshotScanQuery, StreamId, StreamProgress, Tally, Text,
};

/// A side store in memory.
#[derive(Default)]
pub struct MemorySideStore {
    snapshots: Mutex<BTreeMap<Key, Snapshot>>,
    consumers: Mutex<HashMap<String, Consumer>>,
}

/// What is kept of a consumer.
#[derive(Default)]
struct Consumer {
    epoch: u32,
    progress: Option<Progress>,
}

struct Progress {
    checkpoint: Option<Checkpoint>,
    streams: BTreeMap<StreamId, StreamProgress>,
    tally: Tally,
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

    fn consumers(&self) -> MutexGuard<'_, HashMap<String, Consumer>> {
        self.consumers
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

    async fn claim_consumer(&self, consumer: &str, epoch_min: u32) -> Result<u32, Error> {
        let mut consumers = self.consumers();
        let kept = consumers.entry(consumer.to_owned()).or_default();
        kept.epoch = epoch_min.max(kept.epoch + 1);
        Ok(kept.epoch)
    }

    async fn consumer_progress(&self, consumer: &str) -> Result<Option<ConsumerProgress>, Error> {
        let consumers = self.consumers();
        let progress = consumers.get(consumer).and_then(|c| c.progress.as_ref());
        Ok(progress.map(|progress| ConsumerProgress {
            checkpoint: progress.checkpoint,
            streams: progress.streams.values().cloned().collect(),
            tally: progress.tally,
        }))
    }

    async fn save_progress(&self, change: ProgressChange) -> Result<bool, Error> {
        let mut consumers = self.consumers();
        let kept = consumers.entry(change.consumer.to_string()).or_default();
        if change.epoch != kept.epoch {
            return Ok(false);
        }
        let progress = kept.progress.get_or_insert_with(|| Progress {
            checkpoint: None,
            streams: BTreeMap::new(),
            tally: Tally::default(),
        });
        progress.checkpoint = change.checkpoint;
        progress.tally = change.tally;
        for stream in &change.removed {
            progress.streams.remove(stream);
        }
        for stream in change.kept {
            progress.streams.insert(stream.stream.clone(), stream);
        }
        Ok(true)
    }

    async fn forget_consumer(&self, consumer: &str) -> Result<(), Error> {
        if let Some(kept) = self.consumers().get_mut(consumer) {
            kept.progress = None;
        }
        Ok(())
    }

    async fn newest_checkpoints(&self) -> Result<Vec<Checkpoint>, Error> {
        let of_snapshots: Vec<Checkpoint> = self.lock().values().map(|s| s.checkpoint).collect();
        let consumers = self.consumers();
        let progress = consumers.values().filter_map(|c| c.progress.as_ref());
        let of_consumers = progress.filter_map(|progress| progress.checkpoint);
        let mut newest: HashMap<LogId, Checkpoint> = HashMap::new();
        for checkpoint in of_snapshots.into_iter().chain(of_consumers) {
            let kept = newest.entry(checkpoint.log_id).or_insert(checkpoint);
            if checkpoint.position > kept.position {
                *kept = checkpoint;
            }
        }
        Ok(newest.into_values().collect())
    }
}
