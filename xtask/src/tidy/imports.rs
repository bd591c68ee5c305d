//! Imports point down only: which of our crates each of them may depend on.

use crate::workspace::Package;

/// What a crate may and may not depend on, tests apart.
struct Rule {
    package: &'static str,
    /// Which of our crates.
    ours: &'static [&'static str],
    /// Which others never.
    never: &'static [&'static str],
}

const fn rule(package: &'static str, ours: &'static [&'static str]) -> Rule {
    Rule {
        package,
        ours,
        never: &[],
    }
}

const RULES: &[Rule] = &[
    Rule {
        package: "retold-core",
        ours: &[],
        // The language knows no runtime, no SQL and no HTTP.
        never: &["axum", "hyper", "rusqlite", "sqlx", "tokio"],
    },
    rule("retold-memory", &["retold-core"]),
    Rule {
        package: "retold-engine",
        ours: &["retold-core"],
        never: &["axum", "rusqlite"],
    },
    rule("retold-sqlite", &["retold-core"]),
    rule("retold-postgres", &["retold-core"]),
    rule("retold-derive", &[]),
    rule("retold-contract", &["retold-core", "retold-memory"]),
    Rule {
        package: "retold",
        ours: &[
            "retold-core",
            "retold-derive",
            "retold-memory",
            "retold-engine",
            "retold-sqlite",
            "retold-postgres",
        ],
        never: &["axum", "clap"],
    },
    rule("retold-server", &["retold-core", "retold"]),
    rule("retold-cli", &["retold-core", "retold", "retold-server"]),
    rule("xtask", &[]),
];

/// Checks the dependencies of every member.
pub(crate) fn check(packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    for package in packages {
        let name = &package.name;
        let Some(rule) = RULES.iter().find(|rule| rule.package == name) else {
            findings.push(format!("{name}: has no rule in xtask/src/tidy/imports.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            let (wanted, is_ours) = (dependency.name.as_str(), dependency.path.is_some());
            let is_for_tests = dependency.kind.as_deref() == Some("dev");
            let is_forbidden = if is_ours {
                wanted == "xtask" || (!is_for_tests && !rule.ours.contains(&wanted))
            } else {
                !is_for_tests && rule.never.contains(&wanted)
            };
            if is_forbidden {
                findings.push(format!("{name}: must not depend on {wanted}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependency: &str, kind: Option<&str>) -> Package {
        let is_ours = dependency.starts_with("retold") || dependency == "xtask";
        Package {
            name: name.to_owned(),
            dependencies: vec![Dependency {
                name: dependency.to_owned(),
                kind: kind.map(str::to_owned),
                path: is_ours.then(|| dependency.into()),
            }],
        }
    }

    #[test]
    fn imports_point_down_only() {
        for (name, dependency, kind, findings) in [
            ("retold-engine", "retold-core", None, 0),
            ("retold-engine", "retold-sqlite", None, 1),
            ("retold-engine", "retold-memory", None, 1),
            ("retold-engine", "retold-memory", Some("dev"), 0),
            ("retold-core", "retold-memory", Some("build"), 1),
            ("retold-core", "tokio", None, 1),
            ("retold-core", "tokio", Some("dev"), 0),
            ("retold-server", "retold", None, 0),
            ("retold", "retold-server", None, 1),
            ("retold", "xtask", Some("dev"), 1),
            ("retold-novelty", "serde", None, 1),
        ] {
            let found = check(&[package(name, dependency, kind)]);
            assert_eq!(found.len(), findings, "{name} on {dependency}: {found:?}");
        }
    }
}
