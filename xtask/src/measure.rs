//! Runs the examples that measure, in release. Each prints its figures beside the limit that
//! it took in the same run: no figure is compared with one of another run.

use crate::command;
use crate::workspace::Workspace;

/// Which examples measure, each with its package.
const EXAMPLES: &[(&str, &str)] = &[("retold", "measure")];

/// Builds and runs them; `arguments` are passed through.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    for (package, example) in EXAMPLES {
        let run = format!("run --quiet --release --package {package} --example {example} --");
        command::run(workspace.cargo(&run)?.args(arguments))?;
    }
    Ok(())
}
