//! `retold snapshots`: kept states, which shorten a replay and never change an answer.

use axum::http::Method;
use serde_json::{Value, json};

use super::append::json_of;
use crate::arguments::Stream;
use crate::client::{Client, Failure, JSON, Kind, Path, parsed};
use crate::output::{Output, Table, shown};

const EXAMPLES: &str = "\
Examples:
  retold snapshots create Issue/42 --force
  retold snapshots list Issue/42
  retold snapshots prune Issue/42 --keep 3
  retold snapshots check --sample 100

They are made by themselves every 50 events of a type with a machine, and can be deleted without
losing anything.";

/// Makes, lists, prunes and checks snapshots.
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
    /// Compares them with a replay of their streams from the first event.
    ///
    /// Each one that is checked costs a replay. Those of machines are checked; those that an
    /// application made with reducers of its own are listed by the reducer's name, for its own
    /// program to check.
    Check {
        /// Checks every one.
        #[arg(long, conflicts_with_all = ["sample", "seed"])]
        all: bool,
        /// Checks so many, drawn by chance; 100 unless told otherwise.
        #[arg(long, value_name = "N")]
        sample: Option<u64>,
        /// Draws the same sample again.
        #[arg(long)]
        seed: Option<u64>,
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
            Action::Check { all, sample, seed } => {
                let path = Path::new(&["snapshots", "check"])
                    .with_some("all", all.then_some(true))
                    .with_some("sample", sample)
                    .with_some("seed", seed);
                check(client, output, &path).await
            }
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

async fn check(client: &Client, output: &Output, path: &Path) -> anyhow::Result<()> {
    let answer = client.get(path.as_str()).await?;
    let report: Value = parsed(&answer)?;
    if output.json {
        output.line(answer)?;
    } else {
        show(output, &report)?;
    }
    match report["differing"].as_u64() {
        Some(0) => Ok(()),
        _ => {
            let differing = &report["differing"];
            let failure = Failure::new(
                Kind::Damage,
                format!("derive what the snapshots say: {differing} of them differ"),
            );
            let hint = "a snapshot may be pruned without losing anything; one that was made \
                        anew and differs again is a fault, please report it";
            Err(failure.hint(hint).into())
        }
    }
}

fn show(output: &Output, report: &Value) -> anyhow::Result<()> {
    let mut table = Table::new(&["STREAM", "#", "FAULT", "KEPT", "DERIVED"]);
    for difference in report["differences"].as_array().into_iter().flatten() {
        let stream = format!(
            "{}/{}",
            shown(&difference["aggregateType"]),
            shown(&difference["aggregateId"])
        );
        let fields = ["sequenceNumber", "fault", "kept", "derived"];
        let fields = fields.iter().map(|name| shown(&difference[*name]));
        table.push(std::iter::once(stream).chain(fields).collect());
    }
    if !table.is_empty() {
        output.table(&table)?;
    }
    let drawn = match &report["seed"] {
        Value::Null => String::new(),
        seed => format!(", drawn with the seed {seed}"),
    };
    output.line(format!(
        "{} snapshots, {} checked{drawn}: {} differ, {} are not used by anybody",
        report["kept"], report["checked"], report["differing"], report["unused"]
    ))?;
    for (reducer, count) in report["unknownReducers"].as_object().into_iter().flatten() {
        output.line(format!(
            "not checked: {count} of the reducer {reducer}, which only its own program knows"
        ))?;
    }
    Ok(())
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
