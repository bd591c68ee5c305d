//! Builds the simulator with every assertion and runs it: from a seed on, so many seeds or for
//! so long. With `--planted` it is built with bugs that it must find.

use crate::command;
use crate::workspace::Workspace;

/// Builds and runs it; `arguments` are passed through.
pub(crate) fn run(
    workspace: &Workspace,
    planted: bool,
    arguments: &[String],
) -> anyhow::Result<()> {
    let feature = if planted { "planted-bugs" } else { "simulator" };
    let run = format!(
        "run --quiet --profile simulate --package retold-engine --features {feature} --example simulate --"
    );
    let mut simulate = workspace.cargo(&run)?;
    if planted {
        simulate.arg("--planted");
    }
    command::run(simulate.args(arguments))
}
