//! The lines of a text, none longer in memory than the limit.

use std::io::{self, BufRead, Read};

use super::limits::LINE_BYTES_MAX;
use super::source::Input;

/// Reads line after line.
pub(super) struct Lines {
    input: Input,
    number: u64,
}

/// One line.
pub(super) enum RawLine {
    /// Its bytes with what ends it, which the last line may lack.
    Whole(Vec<u8>),
    /// It was longer than the limit and has been passed over.
    TooLong,
}

impl Lines {
    pub(super) fn new(input: Input) -> Lines {
        Lines { input, number: 0 }
    }

    /// The next line and its number, counted from 1; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, RawLine)>> {
        let mut line = Vec::new();
        let limited = &mut self.input.by_ref().take(LINE_BYTES_MAX as u64 + 1);
        limited.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if line.len() <= LINE_BYTES_MAX {
            return Ok(Some((self.number, RawLine::Whole(line))));
        }
        if line.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
        }
        Ok(Some((self.number, RawLine::TooLong)))
    }
}

/// Splits a line into its text and what ends it: nothing, `\n` or `\r\n`.
pub(super) fn split_end(line: &[u8]) -> (&[u8], &[u8]) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = match text.len() < line.len() {
        true => text.strip_suffix(b"\r").unwrap_or(text),
        false => text,
    };
    line.split_at(text.len())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_line_over_the_limit_is_passed_over_and_counted() {
        let text = [
            b"a\r\n".to_vec(),
            vec![b'x'; LINE_BYTES_MAX + 1],
            b"\n".to_vec(),
            vec![b'y'; LINE_BYTES_MAX - 1],
            b"\nz".to_vec(),
        ];
        let mut lines = Lines::new(Box::new(Cursor::new(text.concat())));
        let mut seen = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            seen.push(match line {
                RawLine::Whole(line) => (number, Some(line.len())),
                RawLine::TooLong => (number, None),
            });
        }
        let expected = [
            (1, Some(3)),
            (2, None),
            (3, Some(LINE_BYTES_MAX)),
            (4, Some(1)),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_end_of_a_line_is_told_from_its_text() {
        for (line, text) in [
            ("a\r\n", "a"),
            ("a\n", "a"),
            ("a\r", "a\r"),
            ("\r\n", ""),
            ("a\r\r\n", "a\r"),
        ] {
            assert_eq!(split_end(line.as_bytes()).0, text.as_bytes());
        }
    }
}
