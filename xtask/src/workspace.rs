//! What `cargo metadata` and git say about the project.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use crate::command;

/// The project: where it lies and which packages it has.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    /// The repository's root.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target_directory: PathBuf,
    /// The members.
    pub(crate) packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A line of a member's manifest.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev`, `build`, or none for a normal one.
    pub(crate) kind: Option<String>,
    /// Set for those of the workspace.
    pub(crate) path: Option<PathBuf>,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> anyhow::Result<Workspace> {
        // Asked from where the user stands: a path compiled in would be another checkout's when
        // two share a target directory.
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--format-version", "1", "--no-deps"]);
        let answer = command::output(&mut cargo)?;
        serde_json::from_str(&answer).context("read what cargo says of the workspace")
    }

    /// Where [`crate::setup`] installs what is missing: in the repository whatever
    /// `CARGO_TARGET_DIR` says, so that one build serves every target directory.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join("target").join("tools")
    }

    /// A program of the project's, run in its root and with its tools found first.
    pub(crate) fn command(&self, program: &str) -> anyhow::Result<Command> {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let paths = [self.tools().join("bin")]
            .into_iter()
            .chain(env::split_paths(&inherited));
        let path = env::join_paths(paths).context("put the tools on the PATH")?;
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("PATH", path);
        Ok(command)
    }

    /// `cargo` with arguments separated by spaces.
    pub(crate) fn cargo(&self, arguments: &str) -> anyhow::Result<Command> {
        let mut command = self.command("cargo")?;
        command.args(arguments.split_whitespace());
        Ok(command)
    }

    /// The files of the repository, also those not committed yet, relative to its root.
    pub(crate) fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut git = self.command("git")?;
        git.args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let mut files: Vec<PathBuf> = command::output(&mut git)?
            .split_terminator('\0')
            .map(PathBuf::from)
            .filter(|file| self.root.join(file).is_file())
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}
