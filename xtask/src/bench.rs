//! Runs what is measured beside peers. Each measurement is a program of the workspace `bench`;
//! a peer that cannot be linked into it is a program of its own, whose path is passed on.

mod peers;

use clap::{Args, ValueEnum};

use crate::command;
use crate::workspace::Workspace;

/// Which measurement is run, and how.
#[derive(Args)]
pub(crate) struct Wish {
    /// Which one
    what: Measurement,
    /// Passed on to what measures
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Measurement {
    /// Commands on aggregates, beside cqrs-es on SQLite
    Execute,
    /// The same workload against all peers, in process and over the network; writes
    /// docs/benchmarks
    Peers,
}

/// Builds both sides in release, and runs.
pub(crate) fn run(workspace: &Workspace, wish: &Wish) -> anyhow::Result<()> {
    match wish.what {
        Measurement::Peers => peers::run(workspace, &wish.arguments),
        Measurement::Execute => {
            let bench = workspace.root.join("bench");
            let mut peer = workspace.cargo("build --locked --release -p execute-cqrs-es")?;
            peer.arg("--target-dir").arg(bench.join("target"));
            command::run(peer.current_dir(bench.join("sqlx-0.8")))?;
            let mut execute = workspace.cargo("run --locked --release -p execute")?;
            execute.arg("--target-dir").arg(bench.join("target"));
            execute.args(["--", "--peer"]);
            execute.arg(bench.join("target/release/execute-cqrs-es"));
            execute.args(&wish.arguments);
            command::run(execute.current_dir(&bench))
        }
    }
}
