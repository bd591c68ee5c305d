//! Runs programs: shown to the user, captured, or both.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, bail};

/// Runs a program to its end; what it says goes to the terminal.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| start(command))?;
    check(command, status)
}

/// Runs a program to its end and gives what it said on its standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| start(command))?;
    check(command, output.status)?;
    String::from_utf8(output.stdout).context("read an answer as UTF-8")
}

/// Runs a program to its end; each line of its standard output goes to the terminal and to
/// `heard`.
pub(crate) fn listen(command: &mut Command, mut heard: impl FnMut(&str)) -> anyhow::Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| start(command))?;
    let stdout = child.stdout.take().expect("stdout was piped just above");
    for line in BufReader::new(stdout).lines() {
        let line = line.with_context(|| format!("read what {} says", shown(command)))?;
        println!("{line}");
        heard(&line);
    }
    let status = child.wait().with_context(|| start(command))?;
    check(command, status)
}

fn check(command: &Command, status: ExitStatus) -> anyhow::Result<()> {
    if !status.success() {
        bail!("run {} ({status})", shown(command));
    }
    Ok(())
}

fn start(command: &Command) -> String {
    format!("start {}", shown(command))
}

/// The command as a user would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
