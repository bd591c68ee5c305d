//! Makes the index of a log again, from nothing but the log.

use std::path::Path;
use std::sync::Arc;

use retold_core::Error;

use crate::disk::{Disk, RealDisk};
use crate::evidence;
use crate::heads::Heads;
use crate::index;
use crate::opening;
use crate::options::Options;
use crate::store::EngineStore;

/// Removes the index of the log in a folder and makes it again. No process may have the folder
/// open. A crash on the way does no harm: whoever opens the log next makes what is missing.
///
/// # Errors
/// [`Error::Busy`] when the folder is in use; [`Error::NotFound`] where there is no log;
/// [`Error::Corrupt`] when the log is damaged, or its end is missing: then the index may be the
/// only one to know, and stays.
pub fn rebuild_index(folder: impl AsRef<Path>) -> Result<(), Error> {
    rebuild_index_on(Arc::new(RealDisk), folder)
}

/// The same on another disk.
///
/// # Errors
/// See [`rebuild_index`].
pub fn rebuild_index_on(disk: Arc<dyn Disk>, folder: impl AsRef<Path>) -> Result<(), Error> {
    let folder = folder.as_ref();
    let options = Options::default();
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
    index::remove_all(&*disk, folder).map_err(|error| Error::io("remove the index", error))?;
    drop(lock);
    // Opening a log makes what its index lacks.
    EngineStore::open_on(disk, folder, options).map(drop)
}
