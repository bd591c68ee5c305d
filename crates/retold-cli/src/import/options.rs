//! What a caller says about a file: its format, and which of its fields are what.

use jiff::tz::Offset;

use super::error::Cause;
use retold::{StoreError, StreamId, Text};

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// An event log as IEEE 1849 defines it.
    Xes,
    /// A table with a header: one event a row, and a column that names its case.
    Csv,
    /// One event a line as JSON: as for the bulk call, or as an export writes it.
    Ndjson,
}

impl Format {
    /// The format that a file's name tells.
    pub(crate) fn of_name(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        let (_, extension) = name.trim_end_matches(".gz").rsplit_once('.')?;
        match extension {
            "xes" => Some(Format::Xes),
            "csv" | "tsv" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            _ => None,
        }
    }
}

/// How a file is to be read. The default knows nothing and guesses what can be guessed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// The format; told by the name where absent.
    pub(crate) format: Option<Format>,
    /// The aggregate type of the cases. XES and CSV need it; in NDJSON it is that of the lines
    /// which name none.
    pub(crate) aggregate_type: Option<String>,
    /// Which columns or attributes are what; NDJSON does not look at it.
    pub(crate) fields: Fields,
    /// The byte between the fields of a CSV record; guessed by the header where absent.
    pub(crate) separator: Option<u8>,
    /// The offset of instants that have none; without it they are refused.
    pub(crate) offset: Option<Offset>,
    /// How instants are written (strftime's directives); RFC 3339 or ISO 8601 where absent.
    pub(crate) time_format: Option<String>,
}

/// The names of the columns (CSV) or attributes (XES) that become fields of an event. Every
/// other one becomes a field of the payload.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    /// The case, which becomes the aggregate id: `case:concept:name`; of a trace `concept:name`.
    pub(crate) case: Option<String>,
    /// The event type: `concept:name`.
    pub(crate) event_type: Option<String>,
    /// When it happened: `time:timestamp`.
    pub(crate) timestamp: Option<String>,
    /// Who did it, where somebody did: `org:resource`.
    pub(crate) actor: Option<String>,
}

impl Options {
    /// The aggregate type for a log of cases.
    pub(super) fn required_type(&self) -> Result<Text, Cause> {
        let given = self.aggregate_type.as_ref().ok_or(Cause::TypeMissing)?;
        // The type is checked once for the file, with any id, rather than with each event.
        let stream = StreamId::new(given.as_str(), "1").map_err(Cause::TypeInvalid)?;
        if stream.is_reserved() {
            return Err(Cause::TypeInvalid(StoreError::invalid(
                "aggregateType",
                "must not start with $: such streams are written by Retold only",
            )));
        }
        Ok(stream.aggregate_type().clone())
    }
}

/// Reads an offset from UTC, such as `Z`, `+02:00` or `-0330`: for a flag.
///
/// # Errors
/// A text that says how to write one.
pub(crate) fn parse_offset(text: &str) -> Result<Offset, String> {
    if text.eq_ignore_ascii_case("z") {
        return Ok(Offset::UTC);
    }
    // The parser of instants knows every form of an offset.
    let instant = jiff::fmt::temporal::DateTimeParser::new();
    let pieces = format!("2000-01-01T00:00:00{text}");
    let offset = instant
        .parse_time_zone(text)
        .ok()
        .filter(|_| instant.parse_timestamp(&pieces).is_ok())
        .and_then(|zone| zone.to_fixed_offset().ok());
    offset.ok_or_else(|| format!("not an offset: {text:?} (write it like +02:00, or Z)"))
}

/// Reads the separator of a CSV file: one ASCII character, or `tab`: for a flag.
///
/// # Errors
/// A text that says how to write one.
pub(crate) fn parse_separator(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err(format!(
            "not a separator: {text:?} (one character such as , or ; or the word tab)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_tells_its_format() {
        for (name, format) in [
            ("a.xes", Some(Format::Xes)),
            ("dir.csv/a.XES.GZ", Some(Format::Xes)),
            ("a.csv", Some(Format::Csv)),
            ("a.tsv.gz", Some(Format::Csv)),
            ("a.ndjson", Some(Format::Ndjson)),
            ("a.jsonl.gz", Some(Format::Ndjson)),
            ("a.json", None),
            ("a.gz", None),
            ("csv", None),
            ("-", None),
        ] {
            assert_eq!(Format::of_name(name), format, "{name}");
        }
    }

    #[test]
    fn an_offset_is_fixed_and_a_separator_one_character() {
        let hours = |hours: i8| Offset::from_hours(hours).unwrap();
        for (text, offset) in [
            ("Z", hours(0)),
            ("+02:00", hours(2)),
            ("-0500", hours(-5)),
            ("+01", hours(1)),
        ] {
            assert_eq!(parse_offset(text), Ok(offset), "{text}");
        }
        for text in ["", "2", "Europe/Berlin", "+99:00", "+02:00 "] {
            assert!(parse_offset(text).is_err(), "{text}");
        }
        assert_eq!(parse_separator(";"), Ok(b';'));
        assert_eq!(parse_separator("tab"), Ok(b'\t'));
        assert!(parse_separator("\"").is_err() && parse_separator("é").is_err());
    }
}
