//! `retold machines`: the state machines, which are data: a few lines of TOML each.

use std::path::PathBuf;

use anyhow::Context;
use axum::http::Method;
use retold::Machine;
use serde_json::Value;

use crate::client::{Client, Failure, Kind, Opening, Path, TOML, parsed};
use crate::output::{Output, Table, shown};

const EXAMPLES: &str = "\
Examples:
  retold machines list
  retold machines show Issue                    its states and transitions
  retold machines show Issue --toml > issue.toml
  retold machines add issue.toml                a new version, for new transitions only";

/// Shows state machines and adds them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Machines {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the aggregate types that have a machine.
    List,
    /// Shows the machine of an aggregate type.
    Show {
        /// The aggregate type.
        aggregate_type: String,
        /// As the file that it was made from.
        #[arg(long)]
        toml: bool,
    },
    /// Adds a machine, or a new version of one.
    Add {
        /// A file in TOML, with type, initial, states, final and [[transition]].
        file: PathBuf,
    },
}

impl Machines {
    /// Adding one makes a store.
    pub(crate) fn opening(&self) -> Opening {
        match self.action {
            Action::List | Action::Show { .. } => Opening::MustExist,
            Action::Add { .. } => Opening::MayMake,
        }
    }

    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        match self.action {
            Action::List => list(client, output).await,
            Action::Show {
                aggregate_type,
                toml,
            } => show(client, output, &aggregate_type, toml).await,
            Action::Add { file } => add(client, output, file).await,
        }
    }
}

async fn list(client: &Client, output: &Output) -> anyhow::Result<()> {
    let machines: Value = client.get_as(Path::new(&["machines"]).as_str()).await?;
    let mut table = Table::new(&["TYPE", "INITIAL", "STATES", "TRANSITIONS"]);
    for machine in machines["machines"].as_array().into_iter().flatten() {
        if output.json {
            output.line(machine.to_string())?;
            continue;
        }
        let count = |name: &str| machine[name].as_array().map_or(0, Vec::len).to_string();
        table.push(vec![
            shown(&machine["type"]),
            shown(&machine["initial"]),
            count("states"),
            count("transitions"),
        ]);
    }
    match output.json {
        true => Ok(()),
        false => output.table(&table),
    }
}

async fn show(
    client: &Client,
    output: &Output,
    aggregate_type: &str,
    toml: bool,
) -> anyhow::Result<()> {
    let path = Path::new(&["machines", aggregate_type]);
    if toml {
        let text = client.get_toml(path.as_str()).await?;
        return output.line(text.trim_ascii_end());
    }
    let answer = client.get(path.as_str()).await?;
    if output.json {
        return output.line(answer);
    }
    let machine: Value = parsed(&answer)?;
    let list = |value: &Value| {
        let texts = value.as_array().into_iter().flatten().map(shown);
        texts.collect::<Vec<_>>().join(", ")
    };
    output.table(&Table::of_fields(vec![
        ("type".into(), shown(&machine["type"])),
        ("initial".into(), shown(&machine["initial"])),
        ("states".into(), list(&machine["states"])),
        ("final".into(), list(&machine["final"])),
        ("snapshot every".into(), shown(&machine["snapshotEvery"])),
    ]))?;
    let mut table = Table::new(&["TRANSITION", "FROM", "TO", "ALSO CALLED"]);
    for rule in machine["transitions"].as_array().into_iter().flatten() {
        table.push(vec![
            shown(&rule["name"]),
            list(&rule["from"]),
            shown(&rule["to"]),
            list(&rule["aliases"]),
        ]);
    }
    output.line("")?;
    output.table(&table)
}

async fn add(client: &Client, output: &Output, file: PathBuf) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&file);
    let text = text.with_context(|| format!("read {}", file.display()))?;
    // Its type is part of the path, so it is read here; the service checks it again.
    let machine = Machine::from_toml(&text)
        .map_err(|error| Failure::new(Kind::Usage, format!("{error} ({})", file.display())))?;
    let path = Path::new(&["machines", machine.aggregate_type()]);
    let answer = client
        .write(Method::PUT, path.as_str(), TOML, text, &[])
        .await?;
    match output.json {
        true => output.line(answer),
        false => output.line(format!(
            "{} has this machine from now on",
            machine.aggregate_type()
        )),
    }
}
