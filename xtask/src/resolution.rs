//! Shows that an application can have sqlx's SQLite beside `retold-sqlite`. Both link the C
//! library `sqlite3`, which cargo's resolver allows only once, so resolving is the proof.

use std::fs;

use anyhow::Context;

use crate::command;
use crate::workspace::Workspace;

/// Resolves a scratch package that depends on both.
pub(crate) fn sqlx_beside_retold_sqlite(workspace: &Workspace) -> anyhow::Result<()> {
    let folder = workspace.target_directory.join("sqlx-beside-retold-sqlite");
    let source = folder.join("src");
    fs::create_dir_all(&source).context("make the scratch package's folder")?;
    let ours = workspace.root.join("crates").join("retold-sqlite");
    // A JSON string is a TOML basic string too; the path may hold a backslash or a quote.
    let ours = serde_json::to_string(&ours).context("write the path of retold-sqlite")?;
    let manifest = format!(
        r#"[package]
name = "sqlx-beside-retold-sqlite"
version = "0.0.0"
edition = "2024"
publish = false

[workspace]

[dependencies]
retold-sqlite = {{ path = {ours} }}
sqlx = {{ version = "0.9", default-features = false, features = ["sqlite"] }}
"#
    );
    let manifest_path = folder.join("Cargo.toml");
    fs::write(&manifest_path, manifest).context("write the scratch package")?;
    fs::write(source.join("lib.rs"), "//! Only resolved, never built.\n")
        .context("write the scratch package")?;
    let mut resolve = workspace.cargo("generate-lockfile --quiet --manifest-path")?;
    command::run(resolve.arg(manifest_path))
}
