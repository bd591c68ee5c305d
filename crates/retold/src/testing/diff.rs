//! Comparing what a person reads: the lines in which two texts differ, by their longest common subsequence. For states that a
//! person reads: the table takes the product of both numbers of lines.

use serde::Serialize;

/// # Panics
/// When the texts differ, with the lines that do.
#[track_caller]
pub(super) fn assert_same(what: &str, expected: &str, found: &str) {
    assert!(
        expected == found,
        "{what} is not as expected (- expected, + found):\n{}",
        diff(expected, found)
    );
}

/// As JSON with sorted keys, so that the order in which fields are declared does not matter.
#[track_caller]
pub(super) fn pretty(value: &(impl Serialize + ?Sized)) -> String {
    let written = serde_json::to_value(value).and_then(|json| serde_json::to_string_pretty(&json));
    match written {
        Ok(text) => text,
        Err(error) => panic!(
            "failed to write {} as JSON: {error}",
            std::any::type_name_of_val(value)
        ),
    }
}

/// Lines of `expected` that are missing begin with `-`, those of `found` alone with `+`.
fn diff(expected: &str, found: &str) -> String {
    let expected: Vec<&str> = expected.lines().collect();
    let found: Vec<&str> = found.lines().collect();
    let common = common_lengths(&expected, &found);
    let mut lines = Vec::new();
    let (mut e, mut f) = (0, 0);
    while e < expected.len() || f < found.len() {
        if e < expected.len() && f < found.len() && expected[e] == found[f] {
            lines.push(format!("  {}", expected[e]));
            (e, f) = (e + 1, f + 1);
        } else if f == found.len() || e < expected.len() && common[e + 1][f] >= common[e][f + 1] {
            lines.push(format!("- {}", expected[e]));
            e += 1;
        } else {
            lines.push(format!("+ {}", found[f]));
            f += 1;
        }
    }
    lines.join("\n")
}

/// How many lines the tails from `[e]` and `[f]` on have in common, in order.
fn common_lengths(expected: &[&str], found: &[&str]) -> Vec<Vec<usize>> {
    let mut lengths = vec![vec![0; found.len() + 1]; expected.len() + 1];
    for e in (0..expected.len()).rev() {
        for f in (0..found.len()).rev() {
            lengths[e][f] = if expected[e] == found[f] {
                lengths[e + 1][f + 1] + 1
            } else {
                lengths[e + 1][f].max(lengths[e][f + 1])
            };
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn only_the_lines_that_differ_are_marked() {
        let differing = diff("a\nb\nc\nd", "a\nx\nc\nd\ne");
        assert_eq!(differing, "  a\n- b\n+ x\n  c\n  d\n+ e");
        assert_eq!(diff("a", ""), "- a");
        assert_eq!(diff("", "a"), "+ a");
    }
}
