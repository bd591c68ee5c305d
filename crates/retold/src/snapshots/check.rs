//! Comparing snapshots with what their streams come to when they are replayed from zero.

use std::collections::BTreeMap;
use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{
    Json, PointInTime, ReducerId, SequenceNumber, Snapshot, SnapshotKey, SnapshotQuery,
    SnapshotScanQuery, StreamId, Text,
};
use serde_json::Value;

use crate::fold::{Folded, Reading, Reducer, counts};
use crate::retold::Inner;
use crate::state::{EventCountReducer, MachineReducer};
use crate::{Error, Retold};

/// How many differences are kept, with both states of each: what a person reads, and a bounded
/// amount of memory. All of them are counted.
pub const DIFFERENCES_KEPT_MAX: usize = 100;

/// Snapshots read at a time; the store bounds the bytes.
const BATCH: usize = 100;

/// A check of snapshots, to be awaited: [`Retold::check_snapshots`].
#[must_use = "nothing is checked until it is awaited"]
pub struct CheckSnapshots {
    retold: Retold,
    reducers: Vec<Box<dyn Replayable>>,
    sample: Option<usize>,
    seed: Option<u64>,
}

/// What a check of snapshots came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SnapshotsReport {
    /// How many there are.
    pub kept: u64,
    /// How many were compared with a replay.
    pub checked: u64,
    /// How many of those met are not used by anybody: of another log, of another fingerprint.
    pub unused: u64,
    /// How many differ from the replay.
    pub differing: u64,
    /// The first of those that differ.
    pub differences: Vec<SnapshotDifference>,
    /// The reducers that are not known here, with how many of the snapshots met are theirs.
    pub unknown_reducers: BTreeMap<Text, u64>,
    /// What the sample was drawn with; none where all were met.
    pub seed: Option<u64>,
}

/// A snapshot that is not what a replay comes to. It may be pruned without losing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotDifference {
    /// The stream.
    pub stream: StreamId,
    /// The reducer's name.
    pub reducer: Text,
    /// The last event that was folded into it.
    pub sequence_number: SequenceNumber,
    /// What differs.
    pub fault: SnapshotFault,
}

/// What is wrong with a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// The state is another one.
    State {
        /// What the snapshot says.
        kept: Json,
        /// What the replay comes to.
        derived: Json,
    },
    /// The latest of the dates folded in is another one, so that a question for a moment could
    /// be answered from the wrong snapshot.
    Dates,
    /// The stream cannot be replayed so far.
    Replay {
        /// Why.
        error: String,
    },
}

impl CheckSnapshots {
    pub(crate) fn new(retold: Retold) -> CheckSnapshots {
        CheckSnapshots {
            retold,
            reducers: vec![Box::new(MachineReducer), Box::new(EventCountReducer)],
            sample: None,
            seed: None,
        }
    }

    /// Also checks snapshots of this reducer. Those of machines are checked without it.
    pub fn reducer(mut self, reducer: impl Reducer) -> Self {
        self.reducers.push(Box::new(reducer));
        self
    }

    /// Checks so many, drawn by chance, instead of all. Each one costs a replay of its stream.
    pub fn sample(mut self, snapshots: usize) -> Self {
        self.sample = Some(snapshots);
        self
    }

    /// Draws the same sample again: the report says with which seed it was drawn.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    async fn run(self) -> Result<SnapshotsReport, Error> {
        let inner = self.retold.inner().clone();
        inner.making.wait_for_all().await;
        let mut report = SnapshotsReport::default();
        let mut drawn = self.sample.map(|size| {
            let seed = self.seed.unwrap_or_else(new_seed);
            report.seed = Some(seed);
            Sample::new(size, seed)
        });
        let mut after = None;
        loop {
            let query = SnapshotScanQuery {
                after,
                limit: BATCH,
            };
            let part = inner.side_store.scan_snapshots(query).await?;
            for snapshot in part.snapshots {
                report.kept += 1;
                match &mut drawn {
                    Some(drawn) => drawn.offer(|| snapshot.key()),
                    None => self.check(&inner, &snapshot, &mut report).await?,
                }
            }
            after = part.next;
            if after.is_none() {
                break;
            }
        }
        for key in drawn.into_iter().flat_map(|drawn| drawn.kept) {
            // One that was removed meanwhile is no longer anybody's.
            if let Some(snapshot) = read(&inner, &key).await? {
                self.check(&inner, &snapshot, &mut report).await?;
            }
        }
        Ok(report)
    }

    /// The reducer that made a snapshot and would use it; where there is none, that is noted.
    fn reducer_of(
        &self,
        inner: &Inner,
        snapshot: &Snapshot,
        report: &mut SnapshotsReport,
    ) -> Option<&dyn Replayable> {
        let name = &snapshot.reducer.name;
        let mut is_known = false;
        for reducer in self.reducers.iter().filter(|one| one.name() == &**name) {
            // One name may have been given twice, with two versions.
            is_known = true;
            if reducer.id(inner, &snapshot.stream) == snapshot.reducer {
                return Some(&**reducer);
            }
        }
        if is_known {
            report.unused += 1;
        } else {
            *report.unknown_reducers.entry(name.clone()).or_default() += 1;
        }
        None
    }

    async fn check(
        &self,
        inner: &Inner,
        snapshot: &Snapshot,
        report: &mut SnapshotsReport,
    ) -> Result<(), Error> {
        let name = &snapshot.reducer.name;
        let Some(reducer) = self.reducer_of(inner, snapshot, report) else {
            return Ok(());
        };
        if !counts(&*inner.store, snapshot).await? {
            report.unused += 1;
            return Ok(());
        }
        report.checked += 1;
        let point = PointInTime::Sequence(snapshot.sequence_number);
        let reading = inner.reading(&snapshot.stream, point);
        let fault = match reducer.replay(&reading).await {
            Ok(derived) => fault(snapshot, derived),
            // What is wrong with the log is no answer about a snapshot.
            Err(Error::Store(error)) => return Err(Error::Store(error)),
            Err(error) => Some(SnapshotFault::Replay {
                error: error.to_string(),
            }),
        };
        if let Some(fault) = fault {
            report.differing += 1;
            if report.differences.len() < DIFFERENCES_KEPT_MAX {
                report.differences.push(SnapshotDifference {
                    stream: snapshot.stream.clone(),
                    reducer: name.clone(),
                    sequence_number: snapshot.sequence_number,
                    fault,
                });
            }
        }
        Ok(())
    }
}

impl IntoFuture for CheckSnapshots {
    type Output = Result<SnapshotsReport, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

fn fault(snapshot: &Snapshot, derived: Folded<Json>) -> Option<SnapshotFault> {
    if !is_same(&snapshot.state, &derived.state) {
        return Some(SnapshotFault::State {
            kept: snapshot.state.clone(),
            derived: derived.state,
        });
    }
    let is_dated_alike = derived.last.is_some_and(|last| {
        last.latest_timestamp == snapshot.latest_timestamp
            && last.persisted_at == snapshot.last_persisted_at
    });
    (!is_dated_alike).then_some(SnapshotFault::Dates)
}

/// Whether two states are the same value: the order of keys means nothing, since that of a hash
/// map changes with each run.
fn is_same(a: &Json, b: &Json) -> bool {
    let values = || Some((a.decode::<Value>().ok()?, b.decode::<Value>().ok()?));
    a == b || values().is_some_and(|(a, b)| a == b)
}

async fn read(inner: &Inner, key: &SnapshotKey) -> Result<Option<Snapshot>, Error> {
    let mut query = SnapshotQuery::new(key.stream.clone());
    query.reducer = Some(key.reducer.clone());
    query.before = key.sequence_number.saturating_add(1);
    query.limit = 1;
    let page = inner.side_store.snapshots(query).await?;
    let mut found = page.snapshots.into_iter();
    Ok(found.next().filter(|snapshot| snapshot.key() == *key))
}

/// A reducer whose type was forgotten.
trait Replayable: Send + Sync {
    fn name(&self) -> &str;
    fn id(&self, inner: &Inner, stream: &StreamId) -> ReducerId;
    fn replay<'a>(&'a self, reading: &'a Reading<'a>)
    -> BoxFuture<'a, Result<Folded<Json>, Error>>;
}

impl<R: Reducer> Replayable for R {
    fn name(&self) -> &str {
        Reducer::name(self)
    }

    fn id(&self, inner: &Inner, stream: &StreamId) -> ReducerId {
        inner.id_of(self, stream)
    }

    fn replay<'a>(
        &'a self,
        reading: &'a Reading<'a>,
    ) -> BoxFuture<'a, Result<Folded<Json>, Error>> {
        let replay = async move {
            let begin = Folded::initial(self.initial());
            reading.fold_reducer(begin, self).await?.folded.to_json()
        };
        replay.boxed()
    }
}

fn new_seed() -> u64 {
    // Short enough to be typed again, and for the numbers of every JSON reader.
    let (bits, _) = uuid::Uuid::new_v4().as_u64_pair();
    bits >> 32
}

/// Keeps a number of what is offered, each with the same chance: reservoir sampling, algorithm R
/// (Vitter, 1985).
struct Sample {
    size: usize,
    offered: u64,
    kept: Vec<SnapshotKey>,
    state: u64,
}

impl Sample {
    fn new(size: usize, seed: u64) -> Sample {
        Sample {
            size,
            offered: 0,
            kept: Vec::new(),
            state: seed,
        }
    }

    fn offer(&mut self, key: impl FnOnce() -> SnapshotKey) {
        self.offered += 1;
        if self.kept.len() < self.size {
            self.kept.push(key());
            return;
        }
        let at = self.random() % self.offered;
        if let Some(place) = usize::try_from(at)
            .ok()
            .and_then(|at| self.kept.get_mut(at))
        {
            *place = key();
        }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
