//! Which names a file takes from a library: what a newcomer has to know of it.

use std::collections::BTreeSet;

use anyhow::ensure;

use super::count;

/// The names that the code, its tests aside, imports from these crates, in the order of the
/// alphabet.
pub(super) fn names(text: &str, crates: &[&str]) -> anyhow::Result<BTreeSet<String>> {
    let (code, _) = count::split(text)?;
    let paths: Vec<String> = crates
        .iter()
        .map(|name| format!("{}::", name.replace('-', "_")))
        .collect();
    for line in count::counted(code) {
        ensure!(
            !paths.iter().any(|path| line.contains(path.as_str())),
            "count names: import what `{}` names by its path",
            line.trim()
        );
    }
    let mut names = BTreeSet::new();
    for statement in code.split("\nuse ").skip(1) {
        let tree = statement.split(';').next().unwrap_or_default();
        if paths.iter().any(|path| tree.starts_with(path.as_str())) {
            leaves(tree, &mut names);
        }
    }
    Ok(names)
}

/// Adds the last name of each path of a `use`.
fn leaves(tree: &str, names: &mut BTreeSet<String>) {
    for path in tree.split(['{', '}', ',']) {
        let name = path.trim().rsplit("::").next().unwrap_or_default();
        if !name.is_empty() {
            names.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let names = names(text, &["a-library"]).unwrap();
        names.into_iter().collect()
    }

    #[test]
    fn the_last_name_of_each_path_is_found() {
        let text = "//! A file.\n\nuse a_library::store::{Memory, deep::Deeper};\n\
                    use a_library::{\n    Aggregate,\n    Command,\n};\n\
                    use serde::Serialize;\nuse a_library::Error;\n";
        assert_eq!(
            found(text),
            ["Aggregate", "Command", "Deeper", "Error", "Memory"]
        );
    }

    #[test]
    fn names_of_tests_are_not_counted() {
        let text = "//! A file.\n#[cfg(test)]\nmod tests {\n    use a_library::Harness;\n}\n";
        assert!(found(text).is_empty());
    }

    #[test]
    fn a_name_that_is_not_imported_is_refused() {
        let text = "//! A file.\nfn open() -> a_library::Store {\n}\n";
        assert!(names(text, &["a-library"]).is_err());
    }
}
