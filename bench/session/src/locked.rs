//! The version of a library that a program was linked with.

use anyhow::Context;

/// Finds it in what cargo locked.
pub fn locked(lock: &str, package: &str) -> anyhow::Result<String> {
    let mut lines = lock.lines();
    let name = format!("name = \"{package}\"");
    lines.find(|line| *line == name);
    let version = lines
        .next()
        .and_then(|line| line.strip_prefix("version = "));
    let version = version.with_context(|| format!("find the version of {package}"))?;
    Ok(version.trim_matches('"').to_owned())
}
