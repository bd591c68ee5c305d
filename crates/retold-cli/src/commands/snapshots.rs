//! `retold snapshots`: kept states, which shorten a replay and never change an answer.

use axum::http::Method;
use serde_json::{Value, json};

use super::append::json_of;
use crate::arguments::Stream;
use crate::client::{Client, JSON, Path, parsed};
use crate::output::{Output, Table, shown};

const EXAMPLES: &str = "\
Examples:
  retold snapshots create Issue/42 --force
  retold snapshots list Issue/42
  retold snapshots prune Issue/42 --keep 3

They are made by themselves every 50 events of a type with a machine, and can be deleted without
losing anything.";

/// Makes, lists and prunes snapshots of a stream.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Snapshots {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Makes one of the current state, unless the last one is recent.
    Create {
        /// The stream, as TYPE/ID.
        stream: Stream,
        /// Also when the last one is recent.
        #[arg(long)]
        force: bool,
        /// What to note with it, as JSON.
        #[arg(long, value_name = "JSON")]
        metadata: Option<String>,
    },
    /// Lists them, newest first.
    List {
        /// The stream, as TYPE/ID.
        stream: Stream,
    },
    /// Deletes all but the newest.
    Prune {
        /// The stream, as TYPE/ID.
        stream: Stream,
        /// How many to keep.
        #[arg(long)]
        keep: usize,
    },
}

impl Snapshots {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        match self.action {
            Action::Create {
                stream,
                force,
                metadata,
            } => create(client, output, &stream, force, metadata).await,
            Action::List { stream } => list(client, output, &stream).await,
            Action::Prune { stream, keep } => {
                let path = Path::of_stream(&stream, &["snapshots"]).with("keep", keep);
                let answer = client.write(Method::DELETE, path.as_str(), JSON, "", &[]);
                answer.await?;
                match output.json {
                    true => output.line(json!({"keep": keep}).to_string()),
                    false => output.line(format!("at most the newest {keep} are left")),
                }
            }
        }
    }
}

async fn create(
    client: &Client,
    output: &Output,
    stream: &Stream,
    force: bool,
    metadata: Option<String>,
) -> anyhow::Result<()> {
    let mut body = format!("{{\"force\":{force}");
    if let Some(metadata) = metadata {
        let metadata = json_of("--metadata", metadata)?;
        body.push_str(&format!(",\"metadata\":{metadata}"));
    }
    body.push('}');
    let path = Path::of_stream(stream, &["snapshots"]);
    let answer = client
        .write(Method::POST, path.as_str(), JSON, body, &[])
        .await?;
    if output.json {
        return output.line(answer);
    }
    let snapshot: Value = parsed(&answer)?;
    output.line(format!(
        "the newest snapshot is at {}: {}",
        shown(&snapshot["sequenceNumber"]),
        snapshot["state"]
    ))
}

async fn list(client: &Client, output: &Output, stream: &Stream) -> anyhow::Result<()> {
    let mut path = Path::of_stream(stream, &["snapshots"]);
    let mut table = Table::new(&["#", "POSITION", "MADE", "STATE", "METADATA"]);
    loop {
        let page: Value = client.get_as(path.as_str()).await?;
        for snapshot in page["snapshots"].as_array().into_iter().flatten() {
            if output.json {
                output.line(snapshot.to_string())?;
                continue;
            }
            let scalars = [
                "sequenceNumber",
                "position",
                "createdAt",
                "state",
                "metadata",
            ];
            table.push(scalars.iter().map(|name| shown(&snapshot[*name])).collect());
        }
        match page["next"].as_str() {
            Some(next) => path = path.next(next),
            None if output.json => return Ok(()),
            None if table.is_empty() => return output.line("there are none"),
            None => return output.table(&table),
        }
    }
}
