//! The README's first aggregate: it is the one that is tested, and as short as it is said to be.

use std::fs;
use std::path::Path;

/// Lines that the first aggregate may have, its test included, as rustfmt leaves them, without
/// blank lines, comments and `use`.
const LINES_MAX: usize = 30;

fn first_aggregate() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/first_aggregate.rs");
    let text = fs::read_to_string(file).expect("the file is there");
    let lines = text.lines().skip_while(|line| line.starts_with("//!"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_aggregate_of_the_readme_is_the_one_that_is_tested() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(file).expect("the file is there");
    let block = format!("```rust\n{}\n```", first_aggregate().trim());
    assert!(
        readme.contains(&block),
        "the README does not hold:\n{block}"
    );
}

#[test]
fn the_first_aggregate_is_short() {
    let text = first_aggregate();
    let code = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//") && !line.starts_with("use "));
    let lines = code.count();
    assert!(lines <= LINES_MAX, "{lines} lines");
}
