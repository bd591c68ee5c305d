//! `retold index`: what is derived from the log to find events in it.

use retold::recovery::rebuild_index;
use serde_json::json;

use super::verify::is_in_use;
use crate::client::{Failure, Location};
use crate::disk_use;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  retold index rebuild

The index is derived: a part of it that is missing or damaged is made again when the store is
opened. To make all of it again is for when retold verify says that it does not fit the log.";

/// Makes the index again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Index {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Removes the index and makes it again from the log. The store must not be in use.
    Rebuild,
}

impl Index {
    pub(crate) async fn run(self, store: &Location, output: &Output) -> anyhow::Result<()> {
        let Action::Rebuild = self.action;
        let folder = store.existing_folder("make the index again of")?;
        rebuild_index(folder).await.map_err(|error| {
            let is_in_use = is_in_use(&error);
            let failure = Failure::from(error);
            match is_in_use {
                true => failure.hint("end the server or command that has it open first"),
                false => failure,
            }
        })?;
        let files = disk_use::of(folder)?.index;
        output.line(match output.json {
            true => json!({"files": files.count, "bytes": files.bytes}).to_string(),
            false => format!(
                "The index was made again: {} and {} on disk; the newest events are read when the \
                 store is opened.",
                crate::output::counted(files.count, "file", "files"),
                indicatif::BinaryBytes(files.bytes)
            ),
        })
    }
}
