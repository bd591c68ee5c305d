//! Where a store is, and opening it: a server's address, a folder, or a folder that a server
//! holds, which is reached through that server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use retold::{Retold, StoreError};

use super::{Client, Failure, Kind};

/// How long a folder that another command holds is waited for: most take less than a second.
const HOLDER_WAIT: Duration = Duration::from_secs(5);

/// The pause between two looks at such a folder.
const HOLDER_LOOK: Duration = Duration::from_millis(50);

/// The location of a store that is gone with the process.
const MEMORY: &str = "memory:";

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A server.
    Server(String),
    /// A folder.
    Folder(PathBuf),
}

/// What a command may do to a folder that does not hold a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Make one there.
    MayMake,
    /// Nothing: who reads a store that is not there has mistyped its name.
    MustExist,
    /// Nothing either; and projections are carried on for as long as it is open.
    WithProjections,
    /// Nothing either, and others must be able to write it meanwhile.
    MustExistForLong,
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Location, String> {
        match text.split_once("://") {
            Some(("http", host)) if !host.is_empty() => Ok(Location::Server(text.to_owned())),
            Some((scheme, _)) => Err(format!(
                "{scheme}:// is not spoken; give a folder, or a server as http://host:port"
            )),
            None if text.is_empty() => Err("give a folder, or a server's address".into()),
            None => Ok(Location::Folder(text.into())),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Server(url) => f.write_str(url),
            Location::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

impl Location {
    /// The folder, where it is one.
    pub(crate) fn as_folder(&self) -> Option<&Path> {
        match self {
            Location::Folder(folder) => Some(folder),
            Location::Server(_) => None,
        }
    }

    /// The folder that a command works on by itself.
    ///
    /// # Errors
    /// A failure where it is a server's address.
    pub(crate) fn folder(&self, command: &str) -> anyhow::Result<&Path> {
        match self {
            Location::Folder(folder) if folder != Path::new(MEMORY) => Ok(folder),
            _ => {
                let message = format!("{command} {self}: it works on a folder");
                let hint = "name the folder with --store, where it is";
                Err(Failure::new(Kind::Usage, message).hint(hint).into())
            }
        }
    }

    /// The same, where the folder must hold a store.
    ///
    /// # Errors
    /// Also a failure where it does not.
    pub(crate) fn existing_folder(&self, command: &str) -> anyhow::Result<&Path> {
        let folder = self.folder(command)?;
        match folder.join("log").is_dir() {
            true => Ok(folder),
            false => Err(no_store(folder)),
        }
    }

    /// Opens a way to the store.
    pub(crate) async fn open(&self, opening: Opening) -> anyhow::Result<Client> {
        let folder = match self {
            Location::Server(url) => return Ok(Client::of_server(url)),
            Location::Folder(folder) => folder,
        };
        let holds_store = folder == Path::new(MEMORY) || folder.join("log").is_dir();
        if opening != Opening::MayMake && !holds_store {
            return Err(no_store(folder));
        }
        let began = Instant::now();
        let is_read_only = opening != Opening::MayMake && !is_writable(folder);
        if is_read_only {
            eprintln!(
                "{} cannot be written; reading what is in it",
                folder.display()
            );
        }
        loop {
            let mut builder = Retold::builder().builtin_machines();
            if opening == Opening::WithProjections {
                builder = builder.builtin_projections();
            }
            if is_read_only {
                builder = builder.read_only();
            }
            let error = match builder.open(folder).await {
                Ok(retold) if opening == Opening::MustExistForLong && !is_read_only => {
                    // Opening it has tidied up behind a crash, if there was one; to go on
                    // looking takes no lock.
                    retold.close().await.map_err(Failure::from)?;
                    let looking = Retold::builder().builtin_machines().read_only();
                    let retold = looking.open(folder).await.map_err(Failure::from)?;
                    return Ok(Client::of_store(retold));
                }
                Ok(retold) => return Ok(Client::of_store(retold)),
                Err(error) => error,
            };
            let is_held = matches!(&error, retold::Error::Store(StoreError::Busy { .. }));
            if is_held && let Some(url) = url_of_holder(folder) {
                eprintln!(
                    "{} is held by a server; going through {url}",
                    folder.display()
                );
                return Ok(Client::of_server(&url));
            }
            if !is_held || began.elapsed() > HOLDER_WAIT {
                return Err(Failure::from(error).into());
            }
            tokio::time::sleep(HOLDER_LOOK).await;
        }
    }
}

/// Whether this process may change the files of a folder.
fn is_writable(folder: &Path) -> bool {
    let may_write = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    folder == Path::new(MEMORY) || (may_write(folder) && may_write(&folder.join("log")))
}

fn no_store(folder: &Path) -> anyhow::Error {
    let message = format!("find a store in the folder {}", folder.display());
    let hint = "name another with --store or RETOLD_STORE; append, transition and import make one";
    Failure::new(Kind::NotFound, message).hint(hint).into()
}

/// The address of the server that a folder's LOCK names.
fn url_of_holder(folder: &Path) -> Option<String> {
    let holder = retold::engine::holder(folder)?;
    let url = holder.lines().find(|line| line.starts_with("http://"))?;
    Some(url.to_owned())
}

/// What a server writes into a folder's LOCK.
pub(crate) fn holder_of_server(url: &str) -> String {
    format!("process {}\n{url}\n", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_an_address_is_never_a_folder() {
        let parsed = |text: &str| text.parse::<Location>();
        assert_eq!(parsed("./data"), Ok(Location::Folder("./data".into())));
        let url = "http://127.0.0.1:1";
        assert_eq!(parsed(url), Ok(Location::Server(url.into())));
        for text in ["https://host", "http://", "postgres://host", ""] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
