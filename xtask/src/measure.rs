//! Runs the examples that measure, in release. Each prints its figures beside the limit that
//! it took in the same run: no figure is compared with one of another run.

use clap::Args;

use crate::command;
use crate::workspace::Workspace;

/// What to measure.
#[derive(Args)]
pub(crate) struct What {
    /// Measures the service over HTTP in place of the library and its store
    #[arg(long)]
    service: bool,
    /// Passed on to what measures, such as --folder or --events
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds what measures, and runs it.
pub(crate) fn run(workspace: &Workspace, what: &What) -> anyhow::Result<()> {
    let (package, example) = match what.service {
        true => ("retold-cli", "service"),
        false => ("retold", "measure"),
    };
    if what.service {
        // The example runs the program.
        command::run(&mut workspace.cargo("build --quiet --release --package retold-cli")?)?;
    }
    let run = format!("run --quiet --release --package {package} --example {example} --");
    command::run(workspace.cargo(&run)?.args(&what.arguments))
}
