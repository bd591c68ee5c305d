//! How the project sets itself up, tests, tidies, soaks and measures: `cargo xtask <command>`.

mod bench;
mod command;
mod comparison;
mod doctest;
mod junit;
mod measure;
mod resolution;
mod setup;
mod simulate;
mod soak;
mod steps;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Sets up, tests, tidies, soaks and measures Retold"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the tests need and is missing, into target/tools
    Setup,
    /// Runs every check; the last line counts the tests
    Test {
        /// Fail when a test was skipped
        #[arg(long)]
        strict: bool,
    },
    /// Checks file headers, lengths of files, imports between crates, reasons of dependencies
    Tidy,
    /// Runs the randomised tests for long
    Soak(soak::Extent),
    /// Drives the whole engine on a simulated disk, from seeds; prints what it met
    Simulate {
        /// Plants bugs and says how many seeds it takes to find each
        #[arg(long)]
        planted: bool,
        /// Passed on, such as --seeds, --from, --seconds, --jobs or --trace
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures the store, or the service, beside the limit of the disk; prints a table
    Measure(measure::What),
    /// Checks the figures of docs/comparison.md against the files they are counted from
    Comparison(comparison::Wish),
    /// Measures beside peers, in the workspace bench; prints tables
    Bench(bench::Wish),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("failed to {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well; what did not has been told.
fn run(command: Command) -> anyhow::Result<bool> {
    let workspace = Workspace::load()?;
    match command {
        Command::Setup => setup::run(&workspace).map(|()| true),
        Command::Test { strict } => test::run(&workspace, strict),
        Command::Tidy => tidy::run(&workspace).map(|()| true),
        Command::Soak(extent) => soak::run(&workspace, &extent).map(|()| true),
        Command::Simulate { planted, arguments } => {
            simulate::run(&workspace, planted, &arguments).map(|()| true)
        }
        Command::Measure(what) => measure::run(&workspace, &what).map(|()| true),
        Command::Comparison(wish) => comparison::run(&workspace, &wish).map(|()| true),
        Command::Bench(wish) => bench::run(&workspace, &wish).map(|()| true),
    }
}
