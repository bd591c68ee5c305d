//! SQLite's failures as the errors of the contract: each says what the caller can do.

use std::path::{Path, PathBuf};

use retold_core::{Damage, Error};
use rusqlite::ErrorCode;

/// Why a call on the file failed, before it is known which file that was.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// A row does not hold what was put in; what does not fit.
    Damaged(String),
    /// Anything that is an answer already.
    Told(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Told(error)
    }
}

impl Failure {
    /// The answer to the caller, for what was being done with the file at `path`.
    pub(crate) fn into_error(self, action: &str, path: &Path) -> Error {
        let error = match self {
            Failure::Told(error) => return error,
            Failure::Damaged(reason) => return corrupt(reason, path),
            Failure::Sqlite(error) => error,
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                corrupt(format!("it is no readable database ({error})"), path)
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy {
                reason: format!("another connection holds {}", path.display()),
                event_ids: Vec::new(),
            },
            Some(ErrorCode::DiskFull) => Error::Full {
                event_ids: Vec::new(),
            },
            // SQLite's own text says more than an `io::ErrorKind` could.
            _ => Error::io(
                format!("{action} in {}", path.display()),
                std::io::Error::other(error),
            ),
        }
    }
}

fn corrupt(reason: String, path: &Path) -> Error {
    let damage = Damage {
        place: Some(path.display().to_string()),
        reason,
        ..Damage::default()
    };
    let with_suffix = |suffix: &str| {
        let mut name = PathBuf::from(path).into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    Error::corrupt(
        damage,
        format!(
            "if this is Retold's side store, stop what has it open and delete {}, {} and {}: \
             all that it holds is derived from the log and is made again",
            path.display(),
            with_suffix("-wal").display(),
            with_suffix("-shm").display(),
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: i32) -> Error {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        Failure::from(error).into_error("save a snapshot", Path::new("data/state.db"))
    }

    #[test]
    fn each_failure_says_what_to_do() {
        assert!(matches!(
            answer(rusqlite::ffi::SQLITE_BUSY),
            Error::Busy { .. }
        ));
        assert!(matches!(
            answer(rusqlite::ffi::SQLITE_FULL),
            Error::Full { .. }
        ));
        let corrupt = answer(rusqlite::ffi::SQLITE_CORRUPT);
        assert!(matches!(corrupt, Error::Corrupt { .. }));
        assert!(corrupt.to_string().contains("delete data/state.db, "));
        let other = answer(rusqlite::ffi::SQLITE_IOERR).to_string();
        assert!(
            other.starts_with("save a snapshot in data/state.db: "),
            "{other}"
        );
    }
}
