//! Makes the index anew, for who does not want to wait until it is needed.

use std::path::Path;
use std::sync::Arc;

use retold_core::{Error, Position};

use crate::disk::{Disk, RealDisk};
use crate::index::{self, Merger};
use crate::visible::Visible;
use crate::{EngineStore, Options, indexing, opening};

/// An index that was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// The newest position of the log.
    pub head: Position,
    /// Sorted files, once merged.
    pub runs: u64,
    /// Their bytes.
    pub run_bytes: u64,
}

/// Removes the index of the log in a folder, which no process may have open, and makes it
/// anew. Tells `progress` again and again through which position the log was read; merging
/// follows.
///
/// # Errors
/// [`Error::Busy`] when the folder is in use; [`Error::Corrupt`] when the log is damaged or has
/// lost its tail, of which the index may be the only sign: nothing is removed then.
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
    let no_log = || Error::NotFound {
        what: "a log in the folder".into(),
    };
    opening::list(&*disk, folder)?.ok_or_else(no_log)?;
    let opened =
        EngineStore::open_unstarted(Arc::clone(&disk), folder.to_owned(), options.clone())?;
    if let Some(refusal) = opened.0.refusal() {
        return Err(refusal.clone());
    }
    drop(opened);
    let lock = opening::lock(&*disk, folder, &options.holder)?;
    index::remove_all(&*disk, folder).map_err(|error| Error::io("remove the index", error))?;
    let progress: indexing::Progress = Arc::new(progress);
    let read = indexing::open(&disk, folder, &options.index, true, Some(progress))?;
    let (survey, mut indexing) = read.ok_or_else(no_log)?;
    indexing.finish(&survey.state.facts);
    let index = Arc::clone(&indexing.index);
    let visible = Visible::new(
        index.log_id,
        indexing.index,
        &survey.state,
        survey.segments,
        Arc::clone(&options.clock),
    );
    let mut merger = Merger::new(Arc::new(visible), Vec::new(), Arc::new(lock));
    while merger.step() {}
    let statistics = index.statistics();
    Ok(Rebuilt {
        head: index.head().position,
        runs: statistics.runs,
        run_bytes: statistics.run_bytes,
    })
}
