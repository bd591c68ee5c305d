//! Applying events to one view: without a task and without waiting for anything but the disk, so
//! that a test can stop it anywhere.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use retold_core::{
    Checkpoint, Entry, Error, EventId, LogId, Position, RecordedEvent, StreamId, Text,
    ViewProgress, ViewWriter,
};
use sha2::{Digest, Sha256};

use super::Projection;
use super::view::{Cache, View};
use crate::error::panic_text;
use crate::upcasters::Chains;

/// Bytes of rows that are kept in memory while a version is built: the more rows there is room for,
/// the more events share one write of a row. A hundred thousand rows, about.
const BUILDING_BYTES_MAX: usize = 96 << 20;

/// The same once it follows the log: then there are several versions at once, and few rows change.
const FOLLOWING_BYTES_MAX: usize = 8 << 20;

/// How long changes stay uncommitted at most while there is more to read: a crash repeats them, and
/// each commit writes the rows that change all the time once more.
const COMMIT_PAUSE: Duration = Duration::from_secs(2);

/// Applies events to one view.
pub(super) struct Applier {
    projection: Arc<dyn Projection>,
    upcasters: Chains,
    writer: Box<dyn ViewWriter>,
    cache: Cache,
    /// The log's id, for checkpoints.
    log_id: LogId,
    committed: ViewProgress,
    applied: ViewProgress,
    committed_at: Instant,
    pub(super) counts: Counts,
}

/// What was done since the view was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) lost: u64,
    pub(super) batches: u64,
    pub(super) batch_time: Duration,
}

/// Why a batch was not applied to its end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The projection failed on an event. What came before it is applied, and may be undone.
    At(Failed),
    /// The store failed; it may be tried again.
    Trouble(Error),
}

/// An event that a projection failed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) position: Position,
    pub(super) stream: StreamId,
    pub(super) event_type: Text,
    pub(super) event_id: EventId,
    pub(super) error: String,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped::Trouble(error)
    }
}

impl Applier {
    /// Goes on with a view, which is new where nothing was committed.
    pub(super) fn new(
        projection: Arc<dyn Projection>,
        upcasters: Chains,
        mut writer: Box<dyn ViewWriter>,
        log_id: LogId,
    ) -> Result<Applier, Error> {
        let made_by = made_by(&*projection, &upcasters);
        let committed = writer.progress()?.unwrap_or(ViewProgress {
            checkpoint: None,
            complete_through: 0,
            made_by,
            has_caught_up: false,
        });
        for table in projection.tables() {
            writer.declare(&table)?;
        }
        writer.commit(&committed)?;
        let cache = Cache::new(writer.tables()?);
        Ok(Applier {
            projection,
            upcasters,
            writer,
            cache,
            log_id,
            applied: committed.clone(),
            committed,
            committed_at: Instant::now(),
            counts: Counts::default(),
        })
    }

    /// How far the view is, as it was committed.
    pub(super) fn committed(&self) -> &ViewProgress {
        &self.committed
    }

    /// Applies entries in the order of the log; after them everything through
    /// `complete_through` is applied.
    pub(super) fn apply(
        &mut self,
        entries: &[Entry],
        complete_through: Position,
    ) -> Result<(), Stopped> {
        let began = Instant::now();
        for entry in entries {
            match entry {
                Entry::Event(event) => {
                    self.apply_event(event)?;
                    self.counts.events += 1;
                    self.applied.complete_through = event.position;
                    self.applied.checkpoint = Some(Checkpoint {
                        log_id: self.log_id,
                        position: event.position,
                        event_id: event.metadata.event_id,
                    });
                }
                Entry::Lost(_) => self.counts.lost += 1,
            }
            if self.cache.bytes() > self.bytes_max() {
                self.commit()?;
            }
        }
        self.applied.complete_through = self.applied.complete_through.max(complete_through);
        self.counts.batches += 1;
        self.counts.batch_time += began.elapsed();
        Ok(())
    }

    fn apply_event(&mut self, event: &RecordedEvent) -> Result<(), Stopped> {
        let failed = |error: String| {
            Stopped::At(Failed {
                position: event.position,
                stream: event.stream.clone(),
                event_type: event.event_type.clone(),
                event_id: event.metadata.event_id,
                error,
            })
        };
        let upcasted = self.upcasters.upcast(event);
        let upcasted = upcasted.map_err(|error| failed(error.to_string()))?;
        for event in &*upcasted {
            let mut view = View {
                writer: &mut *self.writer,
                cache: &mut self.cache,
                trouble: None,
            };
            // What a panic leaves half done is undone, like everything of a failing event.
            let applied =
                catch_unwind(AssertUnwindSafe(|| self.projection.apply(event, &mut view)));
            if let Some(trouble) = view.trouble.take() {
                return Err(Stopped::Trouble(trouble));
            }
            match applied {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(failed(error.to_string())),
                Err(panic) => return Err(failed(format!("it panicked {}", panic_text(&*panic)))),
            }
        }
        Ok(())
    }

    /// Commits where it is time: at the head of the log, or after a while.
    pub(super) fn commit_if_due(&mut self, is_at_head: bool) -> Result<bool, Error> {
        let is_due = is_at_head || self.committed_at.elapsed() >= COMMIT_PAUSE;
        if is_due && self.applied != self.committed {
            self.commit()?;
        }
        Ok(is_due)
    }

    /// Keeps the rows and how far they go, together.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        self.cache.write(&mut *self.writer)?;
        self.writer.commit(&self.applied)?;
        self.committed = self.applied.clone();
        self.committed_at = Instant::now();
        if self.cache.bytes() > self.bytes_max() {
            self.cache.forget_rows();
        }
        Ok(())
    }

    /// Writes rows as a commit does, for a test in which the process dies before it is one.
    #[cfg(test)]
    pub(super) fn write_without_commit(&mut self) -> Result<(), Error> {
        self.cache.write(&mut *self.writer)
    }

    fn bytes_max(&self) -> usize {
        match self.committed.has_caught_up {
            true => FOLLOWING_BYTES_MAX,
            false => BUILDING_BYTES_MAX,
        }
    }

    /// Makes the indexes, and keeps that readers may read the view.
    pub(super) fn finish_building(&mut self) -> Result<(), Error> {
        // A transaction of its own: to make indexes takes a while.
        self.commit()?;
        self.writer.make_indexes()?;
        self.applied.has_caught_up = true;
        self.commit()
    }

    /// Undoes what was not committed. Tables that an event declared are gone too.
    pub(super) fn undo(&mut self) -> Result<(), Error> {
        self.writer.rollback()?;
        self.applied = self.committed.clone();
        self.cache = Cache::new(self.writer.tables()?);
        Ok(())
    }
}

/// How much of the hash is kept: 128 bits, which nothing but the same declarations has.
const HASH_BYTES: usize = 16;

/// Stands for what a projection makes of a log, as far as it is declared: its version, its tables
/// and the upcasters.
pub(super) fn made_by(projection: &dyn Projection, upcasters: &Chains) -> Text {
    let tables = serde_json::to_string(&projection.tables()).expect("declarations are plain");
    let filter = format!("{:?}", projection.filter());
    let version = projection.version().to_string();
    let mut hash = Sha256::new();
    let own = projection.fingerprint();
    let parts = [projection.name(), &version, &tables, &filter, &own];
    let upcasters = upcasters.all_declared();
    for part in parts
        .into_iter()
        .chain(upcasters.iter().map(String::as_str))
    {
        // Each with its length before it, so that no two lists of parts are one text.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let hex: String = hash[..HASH_BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{version}-{hex}").into()
}
