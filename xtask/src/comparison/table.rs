//! The table itself: one row a library.

use std::fmt::Write;
use std::fs;

use anyhow::Context;

use super::{LIBRARIES, Library, count, imports};
use crate::workspace::Workspace;

/// The table, as Markdown.
pub(super) fn table(workspace: &Workspace) -> anyhow::Result<String> {
    let mut table = String::from(
        "\n| library | version | lines | lines of tests | names to know |\n|---|---|--:|--:|---|\n",
    );
    for library in LIBRARIES {
        let row = row(workspace, library).with_context(|| format!("compare {}", library.name))?;
        writeln!(table, "{row}").context("write a row")?;
    }
    table.push('\n');
    Ok(table)
}

fn row(workspace: &Workspace, library: &Library) -> anyhow::Result<String> {
    let Library { name, folder, .. } = library;
    let file = format!("bench/comparison/{folder}/src/lib.rs");
    let text =
        fs::read_to_string(workspace.root.join(&file)).with_context(|| format!("read {file}"))?;
    let lock = workspace.root.join(library.workspace).join("Cargo.lock");
    let lock = fs::read_to_string(&lock).with_context(|| format!("read {}", lock.display()))?;
    let versions: Vec<String> = library
        .crates
        .iter()
        .map(|package| Ok(format!("{package} {}", version(&lock, package)?)))
        .collect::<anyhow::Result<_>>()?;
    let count::Lines { code, tests } = count::lines(&text)?;
    let names = imports::names(&text, library.crates)?;
    let named: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Ok(format!(
        "| [{name}](../{file}) | {} | {code} | {tests} | {}: {} |",
        versions.join(", "),
        names.len(),
        named.join(", ")
    ))
}

/// The version that a lock file holds of a package.
fn version<'a>(lock: &'a str, package: &str) -> anyhow::Result<&'a str> {
    lock.split_once(&format!("name = \"{package}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(version, _)| version)
        .with_context(|| format!("find {package} among what is locked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_locked_one() {
        let lock = "[[package]]\nname = \"mire-derive\"\nversion = \"0.4.1\"\n\n\
                    [[package]]\nname = \"mire\"\nversion = \"0.4.0\"\n";
        assert_eq!(version(lock, "mire").unwrap(), "0.4.0");
        assert!(version(lock, "eventually").is_err());
    }
}
