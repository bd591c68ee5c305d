//! The same workload against Retold and its peers, in process and over the network, in turn and
//! in one run. Writes a report in Markdown with pictures. `cargo xtask bench peers` builds and
//! installs what is measured, and runs it.

mod contestant;
mod disk;
mod machine;
mod report;
mod run;
mod seat;
mod targets;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::contestant::Contestant;
use crate::report::Report;
use crate::run::Run;

/// As the program of Retold: stores in process and clients of servers allocate alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    about = "The same workload against Retold and its peers",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    run: Run,
    /// Where the report is written
    #[arg(long, default_value = "docs/benchmarks")]
    report: PathBuf,
    /// Where the figures are written as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Part {
    /// Plays the session of one store; the other form starts it
    #[command(hide = true)]
    Session {
        store: Contestant,
        #[command(flatten)]
        arguments: session::Arguments,
    },
    /// Writes the report of figures that were kept as JSON
    Render {
        /// The figures
        json: PathBuf,
        /// Where the report is written
        #[arg(long, default_value = "docs/benchmarks")]
        report: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.part {
        Some(Part::Session { store, arguments }) => store.play(&arguments).await,
        Some(Part::Render { json, report }) => {
            let figures = fs::read(&json).with_context(|| format!("read {}", json.display()))?;
            let figures: Report = serde_json::from_slice(&figures).context("read figures")?;
            figures.write(&report)
        }
        None => {
            let figures = arguments.run.measure()?;
            figures.write(&arguments.report)?;
            match arguments.json {
                Some(json) => fs::write(&json, serde_json::to_vec_pretty(&figures)?)
                    .with_context(|| format!("write {}", json.display())),
                None => Ok(()),
            }
        }
    }
}
