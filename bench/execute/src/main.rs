//! Measures commands on aggregates: beside cqrs-es on SQLite, beside the disk's own limit, and on
//! aggregates with histories of several lengths. Prints tables in Markdown.
//! `cargo xtask bench execute` builds both sides and runs it.

mod account;
mod depth;
mod report;
mod versus;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use measuring::{Limit, Round, Step};
use retold::Retold;

use crate::account::{Account, AccountCommand};
use crate::report::Table;
use crate::versus::Versus;

#[derive(Parser)]
#[command(
    about = "Measures commands on aggregates, beside cqrs-es on SQLite and beside the disk",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    versus: Option<Versus>,
    /// Where folders for the stores are made, on the disk that is to be measured; below the
    /// folder in which cargo builds unless given
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// Plays one round of Retold; prints its figures as JSON
    Round(Round),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Round(round)) = arguments.part {
        return play(&round).await;
    }
    let versus = arguments
        .versus
        .context("name the peer's program with --peer")?;
    let parent = match arguments.folder {
        Some(folder) => folder,
        None => std::env::current_dir()?.join("target/execute"),
    };
    fs::create_dir_all(&parent).context("make a folder for the stores")?;
    let folder = tempfile::tempdir_in(parent).context("make a folder for the stores")?;
    let limit = Limit::new(folder.path())?;

    let mut beside = Table::new(
        "Commands of one event, each durable, over many aggregates:",
        [
            "callers",
            "library",
            "events/s",
            "p50",
            "p99",
            "ratio of events/s",
            "overwrite 4 KiB, fdatasync",
            "events an overwrite",
        ],
    );
    versus.measure(folder.path(), &limit, &mut beside)?;
    let mut lengths = Table::new(
        "One command of Retold on one aggregate, one caller:",
        ["events", "snapshots", "state", "commands", "p50", "p99"],
    );
    depth::measure(folder.path(), &mut lengths).await?;
    println!("{beside}{lengths}");
    Ok(())
}

/// One round of Retold.
async fn play(round: &Round) -> anyhow::Result<()> {
    let retold = Retold::open(&round.folder).await.context("open the log")?;
    let store = retold.clone();
    let execute = move |id: String, step: Step| {
        let retold = store.clone();
        async move {
            let command = match step {
                Step::Open => AccountCommand::Open,
                Step::Deposit { amount, note } => AccountCommand::Deposit {
                    amount,
                    note: note.to_owned(),
                },
            };
            retold
                .execute::<Account<{ retold::SNAPSHOT_EVERY_DEFAULT }>>(id, command)
                .await
                .context("execute a command")?;
            Ok(())
        }
    };
    let figures = round.play(execute).await?;
    retold.close().await.context("close the log")?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}
