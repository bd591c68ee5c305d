//! One way to count lines, for every library alike: as rustfmt leaves them, without blanks,
//! comments and `use`; tests apart.

use anyhow::ensure;

/// Opens the tests; they are the last of a file.
const TESTS: &str = "#[cfg(test)]";

/// Lines of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) code: usize,
    pub(super) tests: usize,
}

/// Counts a file's lines.
pub(super) fn lines(text: &str) -> anyhow::Result<Lines> {
    ensure!(
        !text.contains("/*"),
        "count lines: write comments with `//`, no other is known here"
    );
    let (code, tests) = split(text)?;
    Ok(Lines {
        code: counted(code).count(),
        tests: counted(tests).count(),
    })
}

/// The code and the tests.
pub(super) fn split(text: &str) -> anyhow::Result<(&str, &str)> {
    let at = text.find(TESTS).unwrap_or(text.len());
    let (code, tests) = text.split_at(at);
    ensure!(
        tests.is_empty() || tests.trim_end().ends_with("\n}") && tests.matches("\n}").count() == 1,
        "count lines: let one module of tests end the file"
    );
    Ok((code, tests))
}

/// The lines that count.
pub(super) fn counted(text: &str) -> impl Iterator<Item = &str> {
    let mut in_use = false;
    text.lines().filter(move |line| {
        let line = line.trim();
        let starts_use = line.starts_with("use ") || line.starts_with("pub use ");
        let is_use = in_use || starts_use;
        if is_use {
            in_use = !line.ends_with(';');
        }
        !is_use && !line.is_empty() && !line.starts_with("//")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"//! A file.

use library::{
    Aggregate, Command,
};

/// An account.
struct Account {
    // In cents.
    balance: u64, // a remark is no line of its own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds() {
        assert!(true);
    }
}
"#;

    #[test]
    fn blanks_comments_and_imports_are_left_out() {
        assert_eq!(lines(FILE).unwrap(), Lines { code: 3, tests: 7 });
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert!(lines("/* a block */\n").is_err());
        let more = format!("{FILE}\nfn hidden() {{\n}}\n");
        assert!(lines(&more).is_err());
    }
}
