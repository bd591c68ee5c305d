//! What a source file must look like: a header, a bearable length, no hidden tests.

use std::fs;

use anyhow::Context;

use crate::workspace::Workspace;

/// Lines past which a file is listed: look for the second noun in it.
const LINES_LISTED: usize = 500;

/// Lines past which a file is refused.
const LINES_MAX: usize = 800;

/// Checks every Rust file of the repository.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in workspace.files()? {
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(workspace.root.join(&file))
            .with_context(|| format!("read {}", file.display()))?;
        let name = file.display().to_string();
        let lines = text.lines().count();
        if (LINES_LISTED + 1..=LINES_MAX).contains(&lines) {
            println!("tidy: warning: {name} has {lines} lines, over {LINES_LISTED}");
        }
        findings.extend(findings_in(&text).map(|finding| format!("{name}: {finding}")));
    }
    Ok(findings)
}

fn findings_in(text: &str) -> impl Iterator<Item = String> {
    let header = (!text.starts_with("//!"))
        .then(|| "does not open with a `//!` that says what it is".to_owned());
    let lines = text.lines().count();
    let length = (lines > LINES_MAX).then(|| format!("has {lines} lines, over {LINES_MAX}"));
    // A test that cannot run here prints why, on a line that `cargo xtask test` collects.
    let hidden = text
        .lines()
        .any(|line| line.trim_start().starts_with("#[ignore"))
        .then(|| "hides a test with `#[ignore]`; print `SKIPPED: <why>` and return".to_owned());
    [header, length, hidden].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_a_file_is_found() {
        let found = |text: &str| findings_in(text).count();
        assert_eq!(found("//! A file.\nfn main() {}\n"), 0);
        assert_eq!(found("fn main() {}\n"), 1);
        assert_eq!(found("//! A file.\n    #[ignore = \"slow\"]\n"), 1);
        let long = format!("//! A file.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(found(&long), 1);
        assert_eq!(found(long.trim_end_matches('\n')), 0);
    }
}
