//! Why a file cannot be read, and why one event of it was refused. Each message finishes the
//! sentence "failed to …".

use std::{fmt, io};

use retold::StoreError;

use super::limits;

/// Why a file cannot be read, or not any further.
#[derive(Debug)]
pub(crate) struct ReadError {
    file: String,
    cause: Cause,
}

impl ReadError {
    pub(super) fn new(file: &str, cause: Cause) -> ReadError {
        ReadError {
            file: file.to_owned(),
            cause,
        }
    }

    /// Whether the call was wrong rather than the file: another flag mends it.
    pub(crate) fn is_usage(&self) -> bool {
        match self.cause {
            Cause::FormatUnknown
            | Cause::TypeMissing
            | Cause::TypeInvalid(_)
            | Cause::ColumnMissing { .. } => true,
            Cause::Open(_) | Cause::Io(_) | Cause::Malformed { .. } => false,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match &self.cause {
            Cause::Open(source) => write!(f, "open {file}: {source}"),
            Cause::FormatUnknown => write!(
                f,
                "tell the format of {file} by its name; say --format xes, csv or ndjson"
            ),
            Cause::TypeMissing => write!(
                f,
                "name the streams of {file}; say with --type which aggregate type its cases are"
            ),
            Cause::TypeInvalid(error) => write!(f, "use --type for {file}: failed to {error}"),
            Cause::ColumnMissing {
                role,
                flag,
                asked,
                columns,
            } => {
                write!(f, "find ")?;
                match asked {
                    Some(asked) => write!(f, "the column {asked:?}")?,
                    None => write!(f, "a column with {role}")?,
                }
                write!(f, " in {file}; name one with {flag}, it has {columns}")
            }
            Cause::Io(source) => write!(f, "read {file}: {source}"),
            Cause::Malformed { line, reason } => {
                write!(f, "read {file} from line {line} on: {reason}")
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Cause {
    /// It cannot be opened.
    Open(io::Error),
    /// Its name does not tell its format.
    FormatUnknown,
    /// It is a log of cases, and nothing says of which aggregate type they are.
    TypeMissing,
    /// The aggregate type given is not one.
    TypeInvalid(StoreError),
    /// A column that is needed was not found.
    ColumnMissing {
        /// What it is needed for.
        role: &'static str,
        /// The flag that names it.
        flag: &'static str,
        /// The name that was given by that flag.
        asked: Option<String>,
        /// The columns there are.
        columns: String,
    },
    /// It cannot be read or unpacked.
    Io(io::Error),
    /// Its form is broken so that nothing behind that place can be told apart.
    Malformed {
        /// The line of the file, counted from 1.
        line: u64,
        /// What does not fit.
        reason: String,
    },
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Cause::Io(error)
    }
}

/// Why one event of a file was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LineError {
    /// It is longer than any event can be.
    #[error("read more than {} bytes as one event", limits::LINE_BYTES_MAX)]
    TooLong,
    /// It is not written as its format demands.
    #[error("read it: {0}")]
    Malformed(String),
    /// It lacks something that every event has.
    #[error("find {what}{hint}")]
    Missing {
        /// What is lacking, by its name in the file.
        what: String,
        /// What may help; empty, or it begins with `: `.
        hint: &'static str,
    },
    /// Its instant cannot be told.
    #[error("read {name} {value:?} as an instant: {reason}")]
    Instant {
        /// The name of the column or attribute.
        name: String,
        /// The text, shortened.
        value: String,
        /// What does not fit.
        reason: String,
    },
    /// It breaks a limit of events.
    #[error(transparent)]
    Invalid(#[from] StoreError),
}

impl LineError {
    pub(super) fn malformed(reason: impl AsRef<str>) -> LineError {
        LineError::Malformed(tame(reason.as_ref(), limits::REASON_CHARS_MAX))
    }
}

impl Cause {
    pub(super) fn malformed(line: u64, reason: impl AsRef<str>) -> Cause {
        Cause::Malformed {
            line,
            reason: tame(reason.as_ref(), limits::REASON_CHARS_MAX),
        }
    }
}

/// A name or a value of a file as an error shows it.
pub(super) fn shown(text: &str) -> String {
    tame(text, limits::SHOWN_CHARS_MAX)
}

/// A text from a file for somebody's terminal: bounded, and without what a terminal obeys.
fn tame(text: &str, chars_max: usize) -> String {
    let tamed = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    let mut chars = text.chars();
    let mut tame: String = chars.by_ref().take(chars_max).map(tamed).collect();
    if chars.next().is_some() {
        tame.push('…');
    }
    tame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_cannot_write_to_a_terminal_as_it_likes() {
        assert_eq!(shown("a\u{1b}[2Jé\n"), "a\u{fffd}[2Jé\u{fffd}");
        assert_eq!(shown(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
        let error = LineError::malformed("x\u{9b}".repeat(1_000_000)).to_string();
        assert!(error.len() < 2_000 && !error.contains('\u{9b}'));
    }
}
