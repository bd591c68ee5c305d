//! Every check of the project, as named steps. The last line counts the tests.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::doctest::Counts;
use crate::junit::{self, TestCase};
use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{command, comparison, resolution, setup, tidy};

/// How many of the slowest tests are listed.
const SLOWEST_LISTED: usize = 10;

/// Runs all steps. Gives whether everything holds; with `strict` a skipped test does not.
pub(crate) fn run(workspace: &Workspace, strict: bool) -> anyhow::Result<bool> {
    let mut steps = Steps::default();
    let mut cases = Vec::new();
    let mut doc_tests = Counts::default();

    steps.run("setup", || setup::run(workspace));
    steps.run("rustfmt", || {
        command::run(&mut workspace.cargo("fmt --all --check")?)
    });
    steps.run("clippy", || {
        let arguments = "clippy --workspace --all-targets --all-features -- -D warnings";
        command::run(&mut workspace.cargo(arguments)?)
    });
    steps.run("clippy of retold without features", || {
        let arguments = "clippy --package retold --no-default-features -- -D warnings";
        command::run(&mut workspace.cargo(arguments)?)
    });
    steps.run("tidy", || tidy::run(workspace));
    steps.run("figures of the comparison with other libraries", || {
        comparison::check(workspace)
    });
    steps.run("licences, bans and sources of dependencies", || {
        let arguments = "check --hide-inclusion-graph licenses bans sources";
        let mut deny = workspace.command("cargo-deny")?;
        command::run(deny.args(arguments.split_whitespace()))
    });
    steps.run("documents", || {
        let mut doc = workspace.cargo("doc --no-deps --workspace --all-features")?;
        command::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
    let tests_are_well = steps.run("tests", || nextest(workspace, &mut cases));
    let doc_tests_are_well = steps.run("doc tests", || {
        let mut test = workspace.cargo("test --doc --workspace --all-features --no-fail-fast")?;
        command::listen(&mut test, |line| doc_tests.hear(line))
    });
    steps.run("sqlx beside retold-sqlite", || {
        resolution::sqlx_beside_retold_sqlite(workspace)
    });

    list_slowest(&cases);
    let skipped = list_skipped(&cases, &doc_tests, strict);
    steps.summarise();
    let mut failed_tests = cases.iter().filter(|case| case.failed).count();
    // A step without a test to blame counts as one, so that the last line never says
    // "0 failed" of a run that failed.
    failed_tests += steps.failed()
        - usize::from(!tests_are_well && failed_tests > 0)
        - usize::from(!doc_tests_are_well && doc_tests.failed > 0);
    let failed = failed_tests + doc_tests.failed;
    let passed = cases
        .iter()
        .filter(|case| !case.failed && case.skipped.is_none())
        .count()
        + doc_tests.passed;
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    Ok(failed == 0 && !(strict && skipped > 0))
}

/// Runs the tests, and fills `cases` also when some fail.
fn nextest(workspace: &Workspace, cases: &mut Vec<TestCase>) -> anyhow::Result<()> {
    // Where nextest keeps its reports, whatever `CARGO_TARGET_DIR` says.
    let report = workspace.root.join("target/nextest/ci/junit.xml");
    // An older report must not pass for this run's when nothing could be built.
    if report.exists() {
        fs::remove_file(&report).context("remove the last junit file")?;
    }
    let mut run: Command =
        workspace.cargo("nextest run --workspace --all-features --profile ci")?;
    let outcome = command::run(&mut run);
    if report.exists() {
        let report = fs::read_to_string(&report).context("read the junit file")?;
        *cases = junit::parse(&report)?;
    }
    outcome?;
    ensure!(!cases.is_empty(), "find a test in {}", report.display());
    Ok(())
}

fn list_slowest(cases: &[TestCase]) {
    let mut slowest: Vec<&TestCase> = cases.iter().collect();
    slowest.sort_by_key(|case| std::cmp::Reverse(case.took));
    slowest.truncate(SLOWEST_LISTED);
    println!("\nSlowest tests:");
    for case in slowest {
        println!("  {:>7.2} s  {}", case.took.as_secs_f64(), case.name);
    }
    let sum: Duration = cases.iter().map(|case| case.took).sum();
    println!("  {:>7.2} s  all {} tests", sum.as_secs_f64(), cases.len());
}

/// Prints what was skipped and why; gives how many were.
fn list_skipped(cases: &[TestCase], doc_tests: &Counts, strict: bool) -> usize {
    let mut lines: Vec<String> = cases
        .iter()
        .filter(|case| !case.failed)
        .filter_map(|case| Some(format!("{}: {}", case.name, case.skipped.as_ref()?)))
        .collect();
    let skipped = lines.len() + doc_tests.ignored;
    if doc_tests.ignored > 0 {
        lines.push(format!("{} doc tests: marked `ignore`", doc_tests.ignored));
    }
    if !lines.is_empty() {
        let verdict = if strict {
            ", which --strict refuses"
        } else {
            ""
        };
        println!("\nSkipped{verdict}:");
    }
    for line in lines {
        println!("  {line}");
    }
    skipped
}
