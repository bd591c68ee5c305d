//! Events from files: XES, CSV and NDJSON, each also packed with gzip, and NDJSON back out.
//!
//! Every format gives the same: an iterator of lines, each an event or the reason why it was
//! refused. A file is read once from front to back; memory grows with its cases, not with its
//! events. What is done with the events is left to the caller.

mod case;
mod csv;
mod error;
mod identity;
mod instant;
mod limits;
mod lines;
mod ndjson;
mod options;
mod payload;
mod sending;
mod source;
mod xes;

#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use retold::{Expected, NewEvent, Position, RecordedEvent, SequenceNumber, Timestamp};

pub(crate) use error::{LineError, ReadError};
#[cfg(test)]
pub(crate) use ndjson::Export;
pub(crate) use options::{Fields, Format, Options, parse_offset, parse_separator};
pub(crate) use sending::{Event, Item, Items, expected, items, own_metadata};
pub(crate) use source::Progress;

use error::Cause;

/// One event of a file, or why it was refused. An event that is refused does not keep the
/// others from being read.
#[derive(Debug)]
pub(crate) struct Line {
    /// The line of the file on which it begins, counted from 1.
    pub(crate) number: u64,
    /// The event.
    pub(crate) result: Result<ImportEvent, LineError>,
}

/// An event of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImportEvent {
    /// The event, which keeps every limit. It may be of a stream that only Retold writes, or
    /// hold metadata that only Retold adds, where it comes from an export.
    pub(crate) event: NewEvent,
    /// What the line expects of the stream. Only NDJSON says so.
    pub(crate) expected: Option<Expected>,
    /// The place that a store gave it before. Only an export has one.
    pub(crate) place: Option<Place>,
}

/// The place that a store gave to an event which was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its place in its stream, from 1.
    pub(crate) sequence_number: SequenceNumber,
    /// Its place in the log, from 1.
    pub(crate) position: Position,
    /// When the store recorded it.
    pub(crate) persisted_at: Timestamp,
}

impl ImportEvent {
    /// The event as it was recorded, to be restored; none unless the file is an export.
    pub(crate) fn into_recorded(self) -> Option<RecordedEvent> {
        let place = self.place?;
        let (sequence_number, position) = (place.sequence_number, place.position);
        let event = self.event;
        Some(event.record(sequence_number, position, place.persisted_at))
    }
}

/// What a reader of one format gives. After an error there is nothing more.
type LineReader = Box<dyn Iterator<Item = Result<Line, Cause>> + Send>;

/// The events of a file, in order. An error means that the file cannot be read any further;
/// it is the last item.
pub(crate) struct Import {
    file: String,
    progress: Progress,
    lines: LineReader,
    is_over: bool,
}

/// Opens a file. Its format is told by its name (`.xes`, `.csv`, `.tsv`, `.ndjson`, `.jsonl`,
/// each also with `.gz`), unless the options name one.
///
/// # Errors
/// [`ReadError`] when the file cannot be opened, when its format is not known, when the options
/// lack what the format needs, or when a column is missing.
pub(crate) fn open(path: &Path, options: Options) -> Result<Import, ReadError> {
    let file = path.display().to_string();
    let source = std::fs::File::open(path).and_then(|opened| {
        let metadata = opened.metadata()?;
        if metadata.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        // A pipe has no length: progress is then shown without an end.
        let bytes_total = metadata.is_file().then_some(metadata.len());
        Ok((opened, bytes_total))
    });
    let (opened, bytes_total) =
        source.map_err(|error| ReadError::new(&file, Cause::Open(error)))?;
    start(opened, file, bytes_total, options)
}

/// Reads events from anything, such as standard input; `name` is what errors call it.
///
/// # Errors
/// Those of [`open`]; the options must name the format unless `name` tells it.
pub(crate) fn read(
    input: impl Read + Send + 'static,
    name: &str,
    options: Options,
) -> Result<Import, ReadError> {
    start(input, name.to_owned(), None, options)
}

fn start(
    input: impl Read + Send + 'static,
    file: String,
    bytes_total: Option<u64>,
    options: Options,
) -> Result<Import, ReadError> {
    let started = || {
        let format = match options.format {
            Some(format) => format,
            None => Format::of_name(&file).ok_or(Cause::FormatUnknown)?,
        };
        let progress = Progress::new(bytes_total);
        let is_named_gzip = file.to_ascii_lowercase().ends_with(".gz");
        let input = source::read(input, is_named_gzip, &progress)?;
        let lines: LineReader = match format {
            Format::Xes => Box::new(xes::Reader::new(input, &options)?),
            Format::Csv => Box::new(csv::Reader::new(input, &options)?),
            Format::Ndjson => Box::new(ndjson::Reader::new(input, &options)?),
        };
        Ok((progress, lines))
    };
    match started() {
        Ok((progress, lines)) => Ok(Import {
            file,
            progress,
            lines,
            is_over: false,
        }),
        Err(cause) => Err(ReadError::new(&file, cause)),
    }
}

impl Import {
    /// How far the file has been read; to be kept by whoever shows it.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Iterator for Import {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.lines.next();
        self.is_over = !matches!(next, Some(Ok(_)));
        Some(next?.map_err(|cause| ReadError::new(&self.file, cause)))
    }
}
