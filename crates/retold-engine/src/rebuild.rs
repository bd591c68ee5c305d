//! Makes the index of a log again, from nothing but the log.

use std::path::Path;
use std::sync::Arc;

use retold_core::{Error, Position};

use crate::disk::{Disk, RealDisk};
use crate::evidence;
use crate::heads::Heads;
use crate::index;
use crate::opening;
use crate::options::Options;
use crate::store::EngineStore;

/// What making the index again came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// The newest position of the log.
    pub head: Position,
    /// Files of the index.
    pub runs: u64,
    /// Their bytes.
    pub run_bytes: u64,
}

/// Removes the index of the log in a folder, which no process may have open, and makes it
/// again; tells `progress` through which position the log was read. A crash on the way does no
/// harm: whoever opens the log next makes what is missing.
///
/// # Errors
/// [`Error::Busy`] when the folder is in use; [`Error::NotFound`] where there is no log;
/// [`Error::Corrupt`] when the log is damaged, or its end is missing: then the index may be the
/// only one to know, and stays.
pub fn rebuild_index(
    folder: impl AsRef<Path>,
    options: &Options,
    progress: impl Fn(Position) + Send + Sync + 'static,
) -> Result<Rebuilt, Error> {
    rebuild_index_on(Arc::new(RealDisk), folder, options, progress)
}

/// The same on another disk.
///
/// # Errors
/// See [`rebuild_index`].
pub fn rebuild_index_on(
    disk: Arc<dyn Disk>,
    folder: impl AsRef<Path>,
    options: &Options,
    progress: impl Fn(Position) + Send + Sync + 'static,
) -> Result<Rebuilt, Error> {
    let folder = folder.as_ref();
    let lock = opening::lock(&*disk, folder, &options.holder)?;
    let mut heads = Heads::watching(Default::default());
    let survey = opening::survey(&*disk, folder, &mut heads)?;
    let survey = survey.ok_or_else(|| Error::NotFound {
        what: "a log in the folder".into(),
    })?;
    if let Some(damage) = survey.lost_tail {
        return Err(evidence::lost_tail_error(damage));
    }
    if let Some(damage) = survey.state.unaccepted().next() {
        return Err(damage.to_error());
    }
    let log_id = survey.segments.first().map(|segment| segment.log_id);
    let head = survey.state.head.position;
    index::remove_all(&*disk, folder).map_err(|error| Error::io("remove the index", error))?;
    drop(lock);
    // Opening a log makes what its index lacks.
    EngineStore::open_on(Arc::clone(&disk), folder, options.clone()).map(drop)?;
    progress(head);
    let known = log_id.map(|log_id| index::load(&*disk, folder, log_id));
    let runs = known.map_or(Vec::new(), |known| known.candidates);
    Ok(Rebuilt {
        head,
        runs: runs.len() as u64,
        run_bytes: runs.iter().map(|run| run.header.file_bytes()).sum(),
    })
}
