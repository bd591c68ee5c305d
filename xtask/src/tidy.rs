//! Tidiness as a test: each check gives its findings, and any finding fails.

mod files;
mod imports;
mod reasons;

use anyhow::ensure;

use crate::workspace::Workspace;

/// Runs all checks.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut findings = files::check(workspace)?;
    findings.extend(imports::check(&workspace.packages));
    findings.extend(reasons::check(workspace)?);
    for finding in &findings {
        println!("tidy: {finding}");
    }
    ensure!(
        findings.is_empty(),
        "keep the project tidy: {} findings",
        findings.len()
    );
    Ok(())
}
