//! Runs every example, as a reader would: each asserts what it shows, so one that does not hold
//! fails here. And none is longer than a screen or two.
#![cfg(all(feature = "derive", feature = "engine", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Lines that an example may have.
const LINES_MAX: usize = 80;

/// Those that are run: each file of the folder. What lies in a folder of its own is either
/// shared by several or a tool.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut examples: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
    examples.sort();
    examples
}

/// The program of an example. Cargo builds the examples before it runs tests; they lie beside
/// the folder of this test's own program.
fn program(source: &Path) -> PathBuf {
    let tests = env::current_exe().unwrap();
    let built = tests.parent().and_then(Path::parent).unwrap();
    let name = source.file_stem().unwrap();
    let program = built
        .join("examples")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION);
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let is_current = changed(&program).is_ok_and(|built| built >= changed(source).unwrap());
    assert!(
        is_current,
        "{} is not built; run `cargo build -p retold --examples --all-features`",
        program.display()
    );
    program
}

#[test]
fn each_example_holds() {
    let examples = examples();
    assert!(examples.len() >= 6, "{examples:?}");
    for source in examples {
        let output = Command::new(program(&source)).output().unwrap();
        assert!(
            output.status.success(),
            "{} failed:\n{}{}",
            source.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_scenarios_hold_on_a_real_store_too() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut scenarios = Command::new(program(&folder.join("scenarios.rs")));
    let output = scenarios.env("RETOLD_SCENARIOS", "store").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn each_example_is_short() {
    for source in examples() {
        let lines = fs::read_to_string(&source).unwrap().lines().count();
        assert!(lines < LINES_MAX, "{} has {lines} lines", source.display());
    }
}
