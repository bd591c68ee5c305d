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
    /// Opens a way to the store.
    pub(crate) async fn open(&self, opening: Opening) -> anyhow::Result<Client> {
        let folder = match self {
            Location::Server(url) => return Ok(Client::of_server(url)),
            Location::Folder(folder) => folder,
        };
        let holds_store = folder == Path::new(MEMORY) || folder.join("log").is_dir();
        if opening == Opening::MustExist && !holds_store {
            let message = format!("find a store in the folder {}", folder.display());
            let hint =
                "name another with --store or RETOLD_STORE; append, transition and import make one";
            return Err(Failure::new(Kind::NotFound, message).hint(hint).into());
        }
        let began = Instant::now();
        loop {
            let error = match Retold::builder().builtin_machines().open(folder).await {
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
