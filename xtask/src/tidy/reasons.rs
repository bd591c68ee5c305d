//! Every direct dependency has a line in ARCHITECTURE.md that says why it is there.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::Context;

use crate::workspace::{Package, Workspace};

/// Checks the document against the manifests.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let document = match fs::read_to_string(workspace.root.join("ARCHITECTURE.md")) {
        Ok(document) => document,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context("read ARCHITECTURE.md"),
    };
    Ok(unnamed(&document, &workspace.packages))
}

fn unnamed(document: &str, packages: &[Package]) -> Vec<String> {
    let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|one| one.path.is_none()) {
            let users = wanted.entry(&dependency.name).or_default();
            if !users.contains(&package.name.as_str()) {
                users.push(&package.name);
            }
        }
    }
    wanted
        .into_iter()
        .filter(|(name, _)| !document.contains(&format!("`{name}`")))
        .map(|(name, users)| {
            let users = users.join(", ");
            format!("ARCHITECTURE.md: does not say why `{name}` is there (for {users})")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    #[test]
    fn a_dependency_without_a_reason_is_found_once() {
        let dependency = |name: &str, path: Option<&str>| Dependency {
            name: name.to_owned(),
            kind: None,
            path: path.map(Into::into),
        };
        let package = |name: &str| Package {
            name: name.to_owned(),
            dependencies: vec![
                dependency("serde", None),
                dependency("serde_json", None),
                dependency("retold-core", Some("crates/retold-core")),
            ],
        };
        let found = unnamed("- `serde_json`: JSON", &[package("a"), package("b")]);
        assert_eq!(
            found,
            ["ARCHITECTURE.md: does not say why `serde` is there (for a, b)"]
        );
    }
}
