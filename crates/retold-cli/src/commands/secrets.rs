//! `retold secrets`: the secrets that webhooks are signed with. Each lies in a file of its own
//! that only its owner may read; none is ever in the log.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::client::{Failure, Kind, Location};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  retold secrets create mailer                  prints it once, for the receiver
  retold secrets rotate mailer                  signs with a new one and the old one
  retold secrets retire mailer                  signs with the new one only
  RETOLD_SECRET_MAILER=whsec_… retold serve     from the environment, without a file

Messages are signed as the Standard Webhooks specification says (HMAC-SHA256).";

/// The folder of the secrets, in that of the store.
pub(crate) const FOLDER: &str = "secrets";

/// Bytes of a key: as many as the digest that it is used with.
const KEY_BYTES: usize = 32;

/// Makes, rotates and lists the secrets that webhooks are signed with.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Secrets {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Makes one and prints it.
    Create {
        /// Its id: lower-case letters, digits, - and _.
        id: String,
    },
    /// Adds a new one before the old: messages carry a signature of each.
    Rotate {
        /// Its id.
        id: String,
    },
    /// Drops all but the newest.
    Retire {
        /// Its id.
        id: String,
    },
    /// Deletes one: messages are signed with it no more, and wait.
    Delete {
        /// Its id.
        id: String,
    },
    /// Lists the ids.
    List,
}

impl Secrets {
    pub(crate) fn run(self, store: &Location, output: &Output) -> anyhow::Result<()> {
        let folder = store.folder("keep secrets of")?.join(FOLDER);
        match self.action {
            Action::Create { id } => {
                let path = path_of(&folder, &id)?;
                if path.exists() {
                    let message = format!("make the secret {id}: it exists");
                    let hint = format!("retold secrets rotate {id} adds a new one to it");
                    return Err(Failure::new(Kind::Conflict, message).hint(hint).into());
                }
                let secret = new_secret()?;
                write(&folder, &path, &[&secret])?;
                told(output, &id, Some(&secret))
            }
            Action::Rotate { id } => {
                let path = path_of(&folder, &id)?;
                let secret = new_secret()?;
                let kept = read(&path, &id)?;
                let mut secrets = vec![secret.as_str()];
                secrets.extend(kept.iter().map(String::as_str));
                write(&folder, &path, &secrets)?;
                told(output, &id, Some(&secret))
            }
            Action::Retire { id } => {
                let path = path_of(&folder, &id)?;
                let kept = read(&path, &id)?;
                let newest = kept.first().map(String::as_str);
                write(&folder, &path, newest.as_slice())?;
                told(output, &id, None)
            }
            Action::Delete { id } => {
                let path = path_of(&folder, &id)?;
                read(&path, &id)?;
                fs::remove_file(path).context("delete the secret's file")?;
                told(output, &id, None)
            }
            Action::List => list(&folder, output),
        }
    }
}

fn path_of(folder: &Path, id: &str) -> anyhow::Result<PathBuf> {
    if retold_server::is_secret_id(id) {
        return Ok(folder.join(id));
    }
    let message = format!("use the id {id}: it must be lower-case letters, digits, - and _");
    Err(Failure::new(Kind::Usage, message).into())
}

fn new_secret() -> anyhow::Result<String> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).context("draw a secret from the system")?;
    Ok(format!("whsec_{}", STANDARD.encode(key)))
}

fn read(path: &Path, id: &str) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        let failure = Failure::new(kind, format!("read the secret {id}: {error}"));
        failure.hint("retold secrets list says which there are")
    })?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// Writes a secret whole or not at all, for its owner's eyes only.
fn write(folder: &Path, path: &Path, secrets: &[&str]) -> anyhow::Result<()> {
    let mut made = fs::DirBuilder::new();
    made.recursive(true).mode(0o700);
    made.create(folder)
        .with_context(|| format!("make the folder {}", folder.display()))?;
    let next = path.with_extension("new");
    let written = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&next)?;
        for secret in secrets {
            writeln!(file, "{secret}")?;
        }
        file.sync_all()?;
        fs::rename(&next, path)?;
        fs::File::open(folder)?.sync_all()
    };
    written().with_context(|| format!("write {}", path.display()))
}

fn told(output: &Output, id: &str, secret: Option<&str>) -> anyhow::Result<()> {
    match (output.json, secret) {
        (true, secret) => output.line(json!({"id": id, "secret": secret}).to_string()),
        (false, Some(secret)) => {
            output.note("give this to the receiver; it is not shown again:");
            output.line(secret)
        }
        (false, None) => output.line(format!("{id} is changed")),
    }
}

fn list(folder: &Path, output: &Output) -> anyhow::Result<()> {
    let mut ids = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("read {}", folder.display())),
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if retold_server::is_secret_id(&name) {
            ids.push(name);
        }
    }
    ids.sort();
    for id in ids {
        match output.json {
            true => output.line(json!({"id": id}).to_string())?,
            false => output.line(id)?,
        }
    }
    Ok(())
}
