//! The snapshots of one stream: making, reading and pruning them. `making` makes them by itself
//! as streams grow.

mod check;
mod making;

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{
    Json, JsonError, PointInTime, ReducerId, SequenceNumber, Snapshot, SnapshotPage, SnapshotQuery,
    StreamId, StreamQuery, Text,
};
use serde::Serialize;

use crate::error::unknown_stream;
use crate::fold::counts;
use crate::machine::SNAPSHOT_EVERY_DEFAULT;
use crate::retold::Inner;
use crate::state::{EventCountReducer, MachineReducer};
use crate::{Error, Retold};

pub use check::{
    CheckSnapshots, DIFFERENCES_KEPT_MAX, SnapshotDifference, SnapshotFault, SnapshotsReport,
};
pub(crate) use making::Making;

/// The snapshots of one stream's state: [`Retold::snapshots`].
///
/// A snapshot only ever shortens a replay. One that does not fit the log as it is now (because
/// the log was replaced, or lost its tail) is passed over as if it were not there. Snapshots of
/// other reducers are made and used by [`Retold::replay`].
///
/// As a stream grows, snapshots are made by themselves: when an append crosses a multiple of the
/// machine's `snapshot_every`, one at the highest multiple crossed, beside the caller's path.
/// Each method here waits for one in progress. Types without a machine get none by themselves.
pub struct Snapshots {
    retold: Retold,
    stream: (Text, Text),
}

impl Snapshots {
    pub(crate) fn new(retold: Retold, stream: (Text, Text)) -> Snapshots {
        Snapshots { retold, stream }
    }

    /// Makes a snapshot of the state now.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) for an unknown stream; those of
    /// [`SideStore::save_snapshot`](retold_core::SideStore::save_snapshot).
    pub fn create(&self) -> CreateSnapshot {
        CreateSnapshot {
            retold: self.retold.clone(),
            stream: self.stream.clone(),
            is_forced: false,
            metadata: Ok(Json::null()),
        }
    }

    /// The newest snapshot; none where there is none.
    ///
    /// # Errors
    /// Those of [`SideStore::snapshots`](retold_core::SideStore::snapshots).
    pub async fn latest(&self) -> Result<Option<Snapshot>, Error> {
        let stream = self.ready().await?;
        latest(self.retold.inner(), &stream).await
    }

    /// A page of the snapshots, newest first: of those before `before`, at most `limit`. A page
    /// may be empty and still have a `next`, which is the `before` of the page after it.
    ///
    /// ```
    /// # async fn example(retold: retold::Retold) -> Result<(), retold::Error> {
    /// let page = retold.snapshots("Issue", "42").list(None, 10).await?;
    /// for snapshot in page.snapshots {
    ///     println!("{} {}", snapshot.sequence_number, snapshot.state);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`SideStore::snapshots`](retold_core::SideStore::snapshots).
    pub async fn list(
        &self,
        before: Option<SequenceNumber>,
        limit: usize,
    ) -> Result<SnapshotPage, Error> {
        let stream = self.ready().await?;
        list(self.retold.inner(), &stream, before, limit).await
    }

    /// Removes all but the newest `keep`; returns how many were removed.
    ///
    /// # Errors
    /// Those of [`SideStore::prune_snapshots`](retold_core::SideStore::prune_snapshots).
    pub async fn prune(&self, keep: usize) -> Result<u64, Error> {
        let stream = self.ready().await?;
        let inner = self.retold.inner();
        let name = inner.state_reducer(&stream).name;
        let removed = inner.side_store.prune_snapshots(&stream, &name, keep);
        Ok(removed.await?)
    }

    async fn ready(&self) -> Result<StreamId, Error> {
        let stream = StreamId::new(self.stream.0.clone(), self.stream.1.clone())?;
        self.retold.inner().making.wait_for(&stream).await;
        Ok(stream)
    }
}

impl Inner {
    /// The reducer whose snapshots are those of a stream's state.
    fn state_reducer(&self, stream: &StreamId) -> ReducerId {
        match self.machines.get(stream.aggregate_type()) {
            Some(_) => self.id_of(&MachineReducer, stream),
            None => self.id_of(&EventCountReducer, stream),
        }
    }
}

async fn list(
    inner: &Inner,
    stream: &StreamId,
    before: Option<SequenceNumber>,
    limit: usize,
) -> Result<SnapshotPage, Error> {
    let mut query = SnapshotQuery::new(stream.clone());
    query.reducer = Some(inner.state_reducer(stream));
    query.before = before.unwrap_or(SequenceNumber::MAX);
    query.limit = limit;
    let page = inner.side_store.snapshots(query).await?;
    let mut snapshots = Vec::with_capacity(page.snapshots.len());
    for snapshot in page.snapshots {
        if counts(&*inner.store, &snapshot).await? {
            snapshots.push(snapshot);
        }
    }
    let next = page.next;
    Ok(SnapshotPage { snapshots, next })
}

async fn latest(inner: &Inner, stream: &StreamId) -> Result<Option<Snapshot>, Error> {
    let mut before = None;
    loop {
        let page = list(inner, stream, before, StreamQuery::DEFAULT_LIMIT).await?;
        if let Some(newest) = page.snapshots.into_iter().next() {
            return Ok(Some(newest));
        }
        before = page.next;
        if before.is_none() {
            return Ok(None);
        }
    }
}

/// Making a snapshot, to be awaited: [`Snapshots::create`].
#[must_use = "no snapshot is made until it is awaited"]
pub struct CreateSnapshot {
    retold: Retold,
    stream: (Text, Text),
    is_forced: bool,
    metadata: Result<Json, JsonError>,
}

/// What [`Snapshots::create`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotCreated {
    /// False when the last one was recent enough.
    pub is_new: bool,
    /// The snapshot.
    pub snapshot: Snapshot,
}

impl CreateSnapshot {
    /// Makes one also when fewer events than an interval (the machine's `snapshot_every`) were
    /// appended since the last one, which is the answer otherwise. At the same sequence number it
    /// takes the place of the last one.
    pub fn force(mut self) -> Self {
        self.is_forced = true;
        self
    }

    /// What to note with it, as JSON.
    pub fn metadata(mut self, metadata: &(impl Serialize + ?Sized)) -> Self {
        self.metadata = Json::from_value(metadata);
        self
    }

    async fn run(self) -> Result<SnapshotCreated, Error> {
        let stream = StreamId::new(self.stream.0, self.stream.1)?;
        let metadata = self
            .metadata
            .map_err(|error| retold_core::Error::invalid("metadata", error.to_string()))?;
        let inner = self.retold.inner();
        inner.making.wait_for(&stream).await;
        let head = inner.store.stream_head(&stream).await?;
        let head = head.ok_or_else(|| unknown_stream(&stream))?;
        if !self.is_forced
            && let Some(last) = latest(inner, &stream).await?
        {
            let machine = inner.machines.get(stream.aggregate_type());
            let interval = machine.map_or(SNAPSHOT_EVERY_DEFAULT, |m| m.snapshot_every());
            if head.sequence_number.saturating_sub(last.sequence_number) < interval {
                return Ok(SnapshotCreated {
                    is_new: false,
                    snapshot: last,
                });
            }
        }
        let made = inner
            .snapshot_state(&stream, PointInTime::Head, metadata)
            .await?;
        let snapshot = made.ok_or_else(|| unknown_stream(&stream))?;
        Ok(SnapshotCreated {
            is_new: true,
            snapshot,
        })
    }
}

impl IntoFuture for CreateSnapshot {
    type Output = Result<SnapshotCreated, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
