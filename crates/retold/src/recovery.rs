//! What an operator can do about a folder that is not whole: see what is wrong, and decide.
//! The engine does it; here what is kept beside the log comes in as evidence.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use retold_core::Position;
use retold_engine::{Options, Rebuilt, Recovered, Remedy, Verified};

use crate::Error;
use crate::open::{blocking, checkpoints_of_views, existing_side_store};

/// What a look at a whole folder found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Examined {
    /// The log.
    pub log: Verified,
    /// Why what is kept beside the log could not be looked at, where that is so. It holds
    /// nothing that cannot be derived again, but also the signs of a lost end of the log.
    pub side_store: Option<Error>,
}

/// Reads the whole log in a folder and says what is wrong with it, also when it ends before
/// something that was derived from it. Changes nothing, and may run while the folder is in use.
///
/// # Errors
/// Those of [`retold_engine::verify`].
pub async fn verify(folder: impl AsRef<Path>) -> Result<Verified, Error> {
    Ok(examine(folder, Arc::default()).await?.log)
}

/// The same, and whether what is kept beside the log could be looked at. The bytes of the log
/// that were read are counted in `bytes_read` as the work goes on.
///
/// # Errors
/// Those of [`retold_engine::verify`].
pub async fn examine(
    folder: impl AsRef<Path>,
    bytes_read: Arc<AtomicU64>,
) -> Result<Examined, Error> {
    let folder = folder.as_ref().to_owned();
    let evidence = match existing_side_store(&folder, true).await {
        Ok(Some(side_store)) => side_store.newest_checkpoints().await.map_err(Error::from),
        Ok(None) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let (mut evidence, side_store) = match evidence {
        Ok(evidence) => (evidence, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    evidence.extend(checkpoints_of_views(&folder).await);
    let log = blocking(move || retold_engine::verify_whole(folder, &evidence, bytes_read)).await?;
    Ok(Examined { log, side_store })
}

/// Makes the index of a log again, from nothing but the log; tells `progress` through which
/// position it was read.
///
/// # Errors
/// Those of [`retold_engine::rebuild_index`]; the folder must not be in use.
pub async fn rebuild_index(
    folder: impl AsRef<Path>,
    progress: impl Fn(Position) + Send + Sync + 'static,
) -> Result<Rebuilt, Error> {
    let folder = folder.as_ref().to_owned();
    let options = Options::default();
    blocking(move || retold_engine::rebuild_index(folder, &options, progress)).await
}

/// How many snapshots are kept in a folder, in whatever state it is; counts them all.
///
/// # Errors
/// Those of opening what is kept beside the log.
#[cfg(feature = "sqlite")]
pub async fn count_snapshots(folder: impl AsRef<Path>) -> Result<u64, Error> {
    let file = folder.as_ref().join(crate::open::SIDE_STORE_FILE);
    if !file.exists() {
        return Ok(0);
    }
    let opened = blocking(move || retold_sqlite::SqliteSideStore::open_read_only(file)).await?;
    Ok(opened.count_snapshots().await?)
}

/// Accepts that the newest part of the log is gone for good: because a segment is missing, or
/// because an older copy of `log/` lies beside a newer `state.db`. The log goes on under a
/// new id, and what was derived from the lost part is ignored from now on.
///
/// # Errors
/// Those of [`retold_engine::recover`]; the folder must not be in use.
pub async fn accept_loss(
    folder: impl AsRef<Path>,
    reason: impl Into<String>,
) -> Result<Recovered, Error> {
    let folder = folder.as_ref().to_owned();
    let mut evidence = match existing_side_store(&folder, false).await? {
        Some(side_store) => side_store.newest_checkpoints().await?,
        None => Vec::new(),
    };
    evidence.extend(checkpoints_of_views(&folder).await);
    let remedy = Remedy::AcceptLoss {
        reason: reason.into(),
        evidence,
    };
    blocking(move || retold_engine::recover(folder, remedy)).await
}

/// Accepts that damaged places of the log will not be mended: lost events are delivered as
/// lost from now on, and their streams answer `corrupt`.
///
/// # Errors
/// Those of [`retold_engine::recover`]; the folder must not be in use.
pub async fn accept_damage(folder: impl AsRef<Path>) -> Result<Recovered, Error> {
    let folder = folder.as_ref().to_owned();
    blocking(move || retold_engine::recover(folder, Remedy::AcceptDamage)).await
}
