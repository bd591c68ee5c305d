//! The trait for all that is kept beside the log. Everything in it can be deleted and made
//! again from the log.

use async_trait::async_trait;

use crate::{
    Checkpoint, ConsumerProgress, Error, PointInTime, ProgressChange, ProgressWork, ReducerId,
    SequenceNumber, Snapshot, SnapshotKey, StreamId, Transacted,
};

/// Which snapshots of a stream to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// The stream.
    pub stream: StreamId,
    /// Only those of this reducer; all when absent.
    pub reducer: Option<ReducerId>,
    /// Only those with a lower sequence number.
    pub before: SequenceNumber,
    /// How many a page holds at most; at least 1.
    pub limit: usize,
}

impl SnapshotQuery {
    /// The newest snapshots of a stream.
    pub fn new(stream: StreamId) -> SnapshotQuery {
        SnapshotQuery {
            stream,
            reducer: None,
            before: SequenceNumber::MAX,
            limit: crate::StreamQuery::DEFAULT_LIMIT,
        }
    }

    /// Checks the form of the query. Every store calls it first.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        crate::query::check_limit(self.limit)
    }
}

/// A page of snapshots, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPage {
    /// The snapshots. A page never ends between two of the same sequence number.
    pub snapshots: Vec<Snapshot>,
    /// The `before` of the next page; none at the end.
    pub next: Option<SequenceNumber>,
}

/// Which part of all snapshots to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotScanQuery {
    /// Only those behind this one; from the first when absent.
    pub after: Option<SnapshotKey>,
    /// How many a part holds at most; at least 1.
    pub limit: usize,
}

impl SnapshotScanQuery {
    /// Checks the form of the query. Every store calls it first.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        crate::query::check_limit(self.limit)
    }
}

/// A part of all snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotScan {
    /// The snapshots. Never empty but at the end.
    pub snapshots: Vec<Snapshot>,
    /// The `after` of the next part; none at the end.
    pub next: Option<SnapshotKey>,
}

/// All that is kept beside the log: snapshots, and how far consumers have come.
///
/// A side store may lose what it acknowledged (its caller derives it again); it never answers
/// with something that was not put in.
#[async_trait]
pub trait SideStore: Send + Sync + 'static {
    /// Keeps a snapshot, in place of one of the same stream, reducer and sequence number.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), Error>;

    /// Lists snapshots of a stream, newest first.
    async fn snapshots(&self, query: SnapshotQuery) -> Result<SnapshotPage, Error>;

    /// The snapshots that hold only events of the prefix `at`, newest first: at most `limit`.
    /// The caller takes the first that belongs to the log's history.
    async fn snapshots_at(
        &self,
        stream: &StreamId,
        reducer: &ReducerId,
        at: PointInTime,
        limit: usize,
    ) -> Result<Vec<Snapshot>, Error>;

    /// A part of all snapshots, of every stream and reducer. The order is the store's own and
    /// stays the same; one that is saved or removed meanwhile may be met or not, each other one
    /// is met once.
    async fn scan_snapshots(&self, query: SnapshotScanQuery) -> Result<SnapshotScan, Error>;

    /// Removes all but the newest `keep` snapshots of a stream and a reducer name; returns how
    /// many were removed.
    async fn prune_snapshots(
        &self,
        stream: &StreamId,
        reducer_name: &str,
        keep: usize,
    ) -> Result<u64, Error>;

    /// Takes a consumer over, in whichever process it ran: from now on only changes under the
    /// epoch returned are kept. It is at least `epoch_min`, and higher than any before.
    async fn claim_consumer(&self, consumer: &str, epoch_min: u32) -> Result<u32, Error>;

    /// How far a consumer has come; none where nothing was kept of it.
    async fn consumer_progress(&self, consumer: &str) -> Result<Option<ConsumerProgress>, Error>;

    /// Keeps how far a consumer has come. False, and nothing is kept, where it was taken over
    /// under a higher epoch.
    async fn save_progress(&self, change: ProgressChange) -> Result<bool, Error>;

    /// Keeps how far a consumer has come in one transaction with whatever `work` writes beside it.
    /// It is given the store's own connection, of a type that the store's documents name, and says
    /// what is to be kept; where it says nothing, all that it wrote is undone.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the store has no transactions that others can take part in;
    /// that is the default.
    async fn transact_progress(&self, work: ProgressWork) -> Result<Transacted, Error> {
        drop(work);
        Err(Error::Unsupported {
            what: "writing in the transaction that keeps a consumer's progress".to_owned(),
        })
    }

    /// Removes all that is kept of a consumer but its epoch.
    async fn forget_consumer(&self, consumer: &str) -> Result<(), Error>;

    /// For each log that anything kept here was derived from, the newest place. A log that
    /// ends before one of them has lost its tail, or is another one.
    async fn newest_checkpoints(&self) -> Result<Vec<Checkpoint>, Error>;
}
