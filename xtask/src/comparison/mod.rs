//! The figures of docs/comparison.md: counted from the files they speak of, and written or
//! checked; and the tests of those files, which need the peers built.

mod count;
mod imports;
mod table;

use std::fs;

use anyhow::{Context, ensure};
use clap::Args;

use crate::command;
use crate::workspace::Workspace;

/// The document, and where in it the table stands.
const DOCUMENT: &str = "docs/comparison.md";
const BEGIN: &str = "<!-- Written by `cargo xtask comparison --write`. -->\n";
const END: &str = "<!-- End of what is written. -->\n";

/// The workspaces that are measured apart, below the root.
const WORKSPACES: &[&str] = &["bench", "bench/sqlx-0.8"];

/// Names a PostgreSQL that the tests of disintegrate may write to.
const DATABASE: &str = "DATABASE_URL";

/// A library that is compared.
struct Library {
    /// As it calls itself.
    name: &'static str,
    /// Its crates that the account needs.
    crates: &'static [&'static str],
    /// The folder of its account, below `bench/comparison`.
    folder: &'static str,
    /// The workspace that locks it.
    workspace: &'static str,
}

const LIBRARIES: &[Library] = &[
    Library {
        name: "Retold",
        crates: &["retold"],
        folder: "retold",
        workspace: "bench",
    },
    Library {
        name: "mire",
        crates: &["mire"],
        folder: "mire",
        workspace: "bench",
    },
    Library {
        name: "eventually",
        crates: &["eventually"],
        folder: "eventually",
        workspace: "bench",
    },
    Library {
        name: "cqrs-es",
        crates: &["cqrs-es", "sqlite-es"],
        folder: "cqrs-es",
        workspace: "bench/sqlx-0.8",
    },
    Library {
        name: "disintegrate",
        crates: &["disintegrate", "disintegrate-postgres"],
        folder: "disintegrate",
        workspace: "bench/sqlx-0.8",
    },
];

/// What is done with the comparison.
#[derive(Args)]
pub(crate) struct Wish {
    /// Write the table instead of checking it
    #[arg(long)]
    write: bool,
    /// Run the tests of the accounts too; builds the peers, and needs DATABASE_URL to name a
    /// PostgreSQL
    #[arg(long)]
    run: bool,
}

/// Writes or checks the table, and runs the tests where that is wished.
pub(crate) fn run(workspace: &Workspace, wish: &Wish) -> anyhow::Result<()> {
    if wish.write {
        write(workspace)?;
    } else {
        check(workspace)?;
    }
    if wish.run {
        ensure!(
            std::env::var_os(DATABASE).is_some(),
            "run the tests of disintegrate: set {DATABASE} to a PostgreSQL that they may write \
             to, such as postgres://postgres@127.0.0.1:5432/postgres"
        );
        for folder in WORKSPACES {
            let mut test = workspace.cargo("test --locked --workspace")?;
            command::run(test.current_dir(workspace.root.join(folder)))?;
        }
    }
    Ok(())
}

/// Fails when a figure is not what the files say, or a file is not as rustfmt leaves it. Builds
/// nothing.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    for folder in WORKSPACES {
        let mut format = workspace.cargo("fmt --all --check")?;
        command::run(format.current_dir(workspace.root.join(folder)))?;
    }
    let document = read(workspace)?;
    let (_, written, _) = parts(&document)?;
    ensure!(
        written == table::table(workspace)?,
        "find the figures of {DOCUMENT} in the files: run `cargo xtask comparison --write`"
    );
    Ok(())
}

fn write(workspace: &Workspace) -> anyhow::Result<()> {
    let document = read(workspace)?;
    let (before, _, after) = parts(&document)?;
    let document = format!("{before}{BEGIN}{}{END}{after}", table::table(workspace)?);
    fs::write(workspace.root.join(DOCUMENT), document).context("write the comparison")
}

fn read(workspace: &Workspace) -> anyhow::Result<String> {
    fs::read_to_string(workspace.root.join(DOCUMENT)).with_context(|| format!("read {DOCUMENT}"))
}

/// What stands before the table, the table, and what stands behind.
fn parts(document: &str) -> anyhow::Result<(&str, &str, &str)> {
    document
        .split_once(BEGIN)
        .and_then(|(before, rest)| {
            let (table, after) = rest.split_once(END)?;
            Some((before, table, after))
        })
        .with_context(|| format!("find the place of the table in {DOCUMENT}"))
}
