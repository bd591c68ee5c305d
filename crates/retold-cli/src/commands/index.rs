//! `retold index`: what is derived from the log to find events in it.

use retold::recovery::rebuild_index;
use serde_json::json;

use super::verify::is_in_use;
use crate::client::{Failure, Location};
use crate::output::{Output, Progress, counted};

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
        let progress = Progress::new(output, "events read:", None);
        let shown = progress.clone();
        let rebuilt = rebuild_index(folder, move |position| shown.set(position)).await;
        drop(progress);
        let rebuilt = rebuilt.map_err(|error| {
            let is_in_use = is_in_use(&error);
            let failure = Failure::from(error);
            match is_in_use {
                true => failure.hint("end the server or command that has it open first"),
                false => failure,
            }
        })?;
        output.line(match output.json {
            true => json!({
                "head": rebuilt.head,
                "files": rebuilt.runs,
                "bytes": rebuilt.run_bytes,
            })
            .to_string(),
            false => format!(
                "The index of {} was made again: {}, {}. What is newest is read from the log when \
                 the store is opened.",
                counted(rebuilt.head, "event", "events"),
                counted(rebuilt.runs, "file", "files"),
                indicatif::BinaryBytes(rebuilt.run_bytes)
            ),
        })
    }
}
