//! What a location means: a folder with the embedded engine and its side store, or memory.

use std::path::Path;
use std::sync::Arc;

use retold_core::{Clock, EventStore, SideStore, ViewStore};
use retold_memory::{MemorySideStore, MemoryStore, MemoryViews};

use crate::Error;

/// The location of a log that is gone with the process.
const MEMORY: &str = "memory:";

/// The stores that a location holds.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) side_store: Arc<dyn SideStore>,
    pub(crate) views: Arc<dyn ViewStore>,
}

/// How a location is opened.
#[cfg_attr(
    not(feature = "engine"),
    expect(dead_code, reason = "memory has no holder, and nothing to protect")
)]
pub(crate) struct How {
    pub(crate) clock: Arc<dyn Clock>,
    /// Takes the place of the location's own.
    pub(crate) side_store: Option<Arc<dyn SideStore>>,
    pub(crate) holder: Option<String>,
    pub(crate) read_only: bool,
}

/// Opens a location.
pub(crate) async fn open(location: &Path, how: How) -> Result<Opened, Error> {
    if location == Path::new(MEMORY) {
        return Ok(Opened {
            store: Arc::new(MemoryStore::with_clock(how.clock)),
            side_store: how
                .side_store
                .unwrap_or_else(|| Arc::new(MemorySideStore::new())),
            views: Arc::new(MemoryViews::new()),
        });
    }
    // A mistyped address must not become a folder of that name.
    if location.to_str().is_some_and(|text| text.contains("://")) {
        return Err(Error::Store(retold_core::Error::invalid(
            "location",
            "must be a folder or memory:; for another store call build with it",
        )));
    }
    folder(location, how).await
}

#[cfg(not(feature = "engine"))]
async fn folder(_location: &Path, _how: How) -> Result<Opened, Error> {
    Err(Error::Store(retold_core::Error::Unsupported {
        what: "a folder, which needs the feature `engine`".into(),
    }))
}

#[cfg(feature = "engine")]
async fn folder(location: &Path, how: How) -> Result<Opened, Error> {
    use retold_engine::{EngineStore, Options};

    let folder = location.to_owned();
    // A side store that is there already is opened first: what was derived from the log tells
    // whether the log has lost its tail. A new folder is left for the engine to make.
    let early = match how.side_store {
        Some(given) => Some(given),
        None => existing_side_store(&folder, how.read_only).await?,
    };
    let mut evidence = match &early {
        Some(side_store) => side_store.newest_checkpoints().await?,
        None => Vec::new(),
    };
    evidence.extend(checkpoints_of_views(&folder).await);
    let options = Options {
        evidence,
        clock: how.clock,
        holder: how.holder.unwrap_or_else(|| Options::default().holder),
        read_only: how.read_only,
        ..Options::default()
    };
    let store = {
        let folder = folder.clone();
        blocking(move || EngineStore::open(folder, options)).await?
    };
    let side_store = match early {
        Some(side_store) => side_store,
        None if how.read_only => Arc::new(MemorySideStore::new()),
        None => new_side_store(&folder).await?,
    };
    Ok(Opened {
        store: Arc::new(store),
        side_store,
        views: views_of(location),
    })
}

/// The side store that belongs to a folder, by its name in it.
#[cfg(feature = "sqlite")]
pub(crate) const SIDE_STORE_FILE: &str = "state.db";

#[cfg(feature = "sqlite")]
pub(crate) async fn existing_side_store(
    folder: &Path,
    read_only: bool,
) -> Result<Option<Arc<dyn SideStore>>, Error> {
    let file = folder.join(SIDE_STORE_FILE);
    if !file.exists() {
        return Ok(None);
    }
    if !read_only {
        return new_side_store(folder).await.map(Some);
    }
    let opened = blocking(move || retold_sqlite::SqliteSideStore::open_read_only(file)).await?;
    Ok(Some(Arc::new(opened)))
}

#[cfg(feature = "sqlite")]
async fn new_side_store(folder: &Path) -> Result<Arc<dyn SideStore>, Error> {
    let file = folder.join(SIDE_STORE_FILE);
    let side_store = blocking(move || retold_sqlite::SqliteSideStore::open(file)).await?;
    Ok(Arc::new(side_store))
}

#[cfg(all(feature = "engine", not(feature = "sqlite")))]
pub(crate) async fn existing_side_store(
    _folder: &Path,
    _read_only: bool,
) -> Result<Option<Arc<dyn SideStore>>, Error> {
    Ok(None)
}

#[cfg(all(feature = "engine", not(feature = "sqlite")))]
async fn new_side_store(_folder: &Path) -> Result<Arc<dyn SideStore>, Error> {
    Ok(Arc::new(MemorySideStore::new()))
}

/// The folder of the views that belong to a log, by its name in the log's folder.
#[cfg(feature = "sqlite")]
const VIEWS_FOLDER: &str = "views";

#[cfg(feature = "sqlite")]
fn views_of(folder: &Path) -> Arc<dyn ViewStore> {
    Arc::new(retold_sqlite::SqliteViews::new(folder.join(VIEWS_FOLDER)))
}

#[cfg(all(feature = "engine", not(feature = "sqlite")))]
fn views_of(_folder: &Path) -> Arc<dyn ViewStore> {
    Arc::new(MemoryViews::new())
}

/// The last events that views were made of. What cannot be read is no sign of anything: it is
/// made again.
#[cfg(feature = "engine")]
pub(crate) async fn checkpoints_of_views(folder: &Path) -> Vec<retold_core::Checkpoint> {
    let views = views_of(folder);
    let checkpoints = blocking(move || {
        let ids = views.views()?.into_iter();
        let progress = |id| {
            views
                .reader(&id)
                .and_then(|reader| reader.progress())
                .ok()?
        };
        Ok(ids.filter_map(|id| progress(id)?.checkpoint).collect())
    });
    checkpoints.await.unwrap_or_default()
}

/// Runs what waits for the disk where it keeps no other task waiting.
#[cfg(feature = "engine")]
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, retold_core::Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(stopped) => Err(Error::Store(retold_core::Error::io(
                "open the store",
                std::io::Error::other(stopped),
            ))),
        },
    }
}
