//! What an operator can do about a folder that is not whole: see what is wrong, and decide.
//! The engine does it; here what is kept beside the log comes in as evidence.

use std::path::Path;

use retold_engine::{Recovered, Remedy, Verified};

use crate::Error;
use crate::open::{blocking, existing_side_store};

/// Reads the whole log in a folder and says what is wrong with it. Changes nothing, and may
/// run while the folder is in use.
///
/// # Errors
/// Those of [`retold_engine::verify`].
pub async fn verify(folder: impl AsRef<Path>) -> Result<Verified, Error> {
    let folder = folder.as_ref().to_owned();
    blocking(move || retold_engine::verify(folder)).await
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
    let evidence = match existing_side_store(&folder).await? {
        Some(side_store) => side_store.newest_checkpoints().await?,
        None => Vec::new(),
    };
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
