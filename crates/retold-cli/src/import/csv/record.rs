//! CSV records (RFC 4180), found anew after a malformed one.
//!
//! Written here rather than taken from a crate for what happens at a stray quote: it must cost
//! the line it stands on, not everything up to the next quote. So what follows a closing quote
//! is looked at strictly, and the lines behind the first of a record that fails are read again.

use std::collections::VecDeque;
use std::io;

use crate::import::LineError;
use crate::import::limits::{LINE_BYTES_MAX, RECORD_LINES_MAX};
use crate::import::lines::{Lines, RawLine, split_end};
use crate::import::source::Input;

/// The separators that are guessed, the most likely one first.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// A record, or why it is none.
type Record = Result<Vec<String>, LineError>;

/// Reads record after record.
pub(super) struct Records {
    lines: Lines,
    /// Lines to be read before those of the file, in order.
    again: VecDeque<(u64, RawLine)>,
    separator: u8,
}

impl Records {
    /// The separator is guessed by the first line where none is given.
    pub(super) fn new(input: Input, separator: Option<u8>) -> io::Result<Records> {
        let mut records = Records {
            lines: Lines::new(input),
            again: VecDeque::new(),
            separator: separator.unwrap_or(SEPARATORS[0]),
        };
        if separator.is_none()
            && let Some((number, line)) = records.lines.next()?
        {
            if let RawLine::Whole(text) = &line {
                records.separator = guess(text);
            }
            records.again.push_back((number, line));
        }
        Ok(records)
    }

    /// The next record and the number of the line it begins on; none at the end. Empty lines
    /// are passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Record)>> {
        let (number, first) = loop {
            match self.line()? {
                None => return Ok(None),
                Some((number, RawLine::TooLong)) => {
                    return Ok(Some((number, Err(LineError::TooLong))));
                }
                Some((_, RawLine::Whole(line))) if split_end(&line).0.is_empty() => {}
                Some((number, RawLine::Whole(line))) => break (number, line),
            }
        };
        let mut parser = Parser::new(self.separator);
        let mut fed = parser.feed(&first);
        // The lines of this record behind the first one.
        let mut more: Vec<(u64, RawLine)> = Vec::new();
        let failed = loop {
            match fed {
                Ok(true) => return Ok(Some((number, parser.finish()))),
                Err(reason) => break LineError::malformed(reason),
                Ok(false) if more.len() >= RECORD_LINES_MAX => {
                    break LineError::malformed(format!(
                        "a quote is not closed within {RECORD_LINES_MAX} lines"
                    ));
                }
                Ok(false) if parser.bytes > LINE_BYTES_MAX => break LineError::TooLong,
                Ok(false) => {}
            }
            match self.line()? {
                None => break LineError::malformed("a quote is not closed"),
                Some((next, line)) => {
                    fed = match &line {
                        RawLine::Whole(text) => parser.feed(text),
                        RawLine::TooLong => Err("a quote is not closed".to_owned()),
                    };
                    more.push((next, line));
                }
            }
        };
        for line in more.into_iter().rev() {
            self.again.push_front(line);
        }
        Ok(Some((number, Err(failed))))
    }

    fn line(&mut self) -> io::Result<Option<(u64, RawLine)>> {
        match self.again.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next(),
        }
    }
}

/// The separator that the header holds most often outside quotes.
fn guess(header: &[u8]) -> u8 {
    let mut counts = [0_usize; SEPARATORS.len()];
    let mut is_quoted = false;
    for byte in header {
        is_quoted ^= *byte == b'"';
        if let Some(nth) = SEPARATORS.iter().position(|separator| separator == byte)
            && !is_quoted
        {
            counts[nth] += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    let nth = counts.iter().position(|count| *count == most);
    SEPARATORS[nth.unwrap_or_default()]
}

/// Takes one record apart, line by line.
struct Parser {
    separator: u8,
    fields: Vec<Vec<u8>>,
    field: Vec<u8>,
    state: State,
    /// Bytes of the lines so far.
    bytes: usize,
}

enum State {
    /// At the beginning of a field.
    Start,
    /// In a field without quotes, in which a quote means itself.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that closes the field, or is the first of two that mean one.
    Closing,
}

impl Parser {
    fn new(separator: u8) -> Parser {
        Parser {
            separator,
            fields: Vec::new(),
            field: Vec::new(),
            state: State::Start,
            bytes: 0,
        }
    }

    /// Takes in a line; true when it ends the record.
    fn feed(&mut self, line: &[u8]) -> Result<bool, String> {
        self.bytes += line.len();
        let (text, end) = split_end(line);
        for &byte in text {
            self.state = match self.state {
                State::Start if byte == b'"' => State::Quoted,
                State::Start | State::Plain | State::Closing if byte == self.separator => {
                    self.fields.push(std::mem::take(&mut self.field));
                    State::Start
                }
                State::Quoted if byte == b'"' => State::Closing,
                State::Closing if byte != b'"' => {
                    return Err(format!(
                        "field {} goes on behind its closing quote",
                        self.fields.len() + 1
                    ));
                }
                State::Start | State::Plain => {
                    self.field.push(byte);
                    State::Plain
                }
                State::Quoted | State::Closing => {
                    self.field.push(byte);
                    State::Quoted
                }
            };
        }
        if matches!(self.state, State::Quoted) {
            self.field.extend_from_slice(end);
            return Ok(false);
        }
        self.fields.push(std::mem::take(&mut self.field));
        Ok(true)
    }

    fn finish(self) -> Record {
        let texts = self.fields.into_iter().enumerate().map(|(nth, field)| {
            let text = String::from_utf8(field);
            text.map_err(|_| LineError::malformed(format!("field {} is not UTF-8", nth + 1)))
        });
        texts.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn records(text: impl Into<Vec<u8>>) -> Vec<(u64, Result<Vec<String>, String>)> {
        let input = Box::new(Cursor::new(text.into()));
        let mut records = Records::new(input, None).unwrap();
        let next = || records.next().unwrap();
        let all = std::iter::from_fn(next);
        all.map(|(number, record)| (number, record.map_err(|error| error.to_string())))
            .collect()
    }

    fn fields(number: u64, fields: &[&str]) -> (u64, Result<Vec<String>, String>) {
        (
            number,
            Ok(fields.iter().map(|field| field.to_string()).collect()),
        )
    }

    #[test]
    fn quotes_hold_separators_line_ends_and_quotes() {
        let text = "a,b\r\n\"1,\"\"2\"\"\",\"x\r\ny\nz\"\n\n,\"\"\n5\" disk,é";
        let expected = [
            fields(1, &["a", "b"]),
            fields(2, &["1,\"2\"", "x\r\ny\nz"]),
            fields(6, &["", ""]),
            fields(7, &["5\" disk", "é"]),
        ];
        assert_eq!(records(text), expected);
    }

    #[test]
    fn the_separator_is_guessed_by_the_header() {
        for (text, expected) in [
            ("a;b\n1,5;2", ["1,5", "2"]),
            ("a\tb\n1,5\t2", ["1,5", "2"]),
            ("\"a;a;a\",b\n1;5,2", ["1;5", "2"]),
        ] {
            assert_eq!(records(text)[1], fields(2, &expected), "{text}");
        }
        assert_eq!(records("alone\n1;2")[1], fields(2, &["1;2"]));
    }

    /// A stray quote once swallowed every line up to the next quote of the file.
    #[test]
    fn a_stray_quote_costs_one_line() {
        let text = "a,b\n1,\"x\n2,y\n3,\"z\"\n4,\"never closed\n5,w\n";
        let found = records(text);
        assert_eq!(found.len(), 6, "{found:?}");
        assert!(found[1].0 == 2 && found[1].1.is_err());
        assert_eq!(found[2], fields(3, &["2", "y"]));
        assert_eq!(found[3], fields(4, &["3", "z"]));
        assert!(found[4].0 == 5 && found[4].1.is_err());
        assert_eq!(found[5], fields(6, &["5", "w"]));
    }

    #[test]
    fn bytes_that_are_not_utf_8_cost_their_line() {
        let found = records(b"a,b\n1,\xe9\n2,y".to_vec());
        assert_eq!(found[1].1, Err("read it: field 2 is not UTF-8".to_owned()));
        assert_eq!(found[2], fields(3, &["2", "y"]));
    }

    #[test]
    fn a_record_is_bounded_in_bytes_and_lines() {
        let line = "x".repeat(LINE_BYTES_MAX / 2 + 1);
        let found = records(format!("a,b\n\"{line}\n{line}\n{line}\",1\n2,y"));
        assert!(
            found[1]
                .1
                .as_ref()
                .unwrap_err()
                .contains("bytes as one event")
        );
        assert_eq!(found.last().unwrap(), &fields(5, &["2", "y"]));
        let found = records(format!(
            "a,b\n\"{}\",1\n",
            "\n".repeat(RECORD_LINES_MAX + 1)
        ));
        assert!(
            found[1]
                .1
                .as_ref()
                .unwrap_err()
                .contains("within 10000 lines")
        );
    }

    proptest::proptest! {
        #[test]
        fn what_was_quoted_is_read_back(rows in proptest::collection::vec(
            proptest::collection::vec("(?s).{0,8}", 2..4), 1..4))
        {
            let quote = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let lines = rows.iter().map(|row| {
                row.iter().map(quote).collect::<Vec<_>>().join(",")
            });
            let text = lines.collect::<Vec<_>>().join("\n");
            let input = Box::new(Cursor::new(text.into_bytes()));
            let mut records = Records::new(input, Some(b',')).unwrap();
            for row in rows {
                assert_eq!(records.next().unwrap().unwrap().1.unwrap(), row);
            }
            assert!(records.next().unwrap().is_none());
        }
    }
}
