//! Reads NDJSON: a line is an event with `aggregateType`, `aggregateId` and perhaps `expected`,
//! as for the bulk call; or an event with its place in a log, as an export writes it.

use retold::{Expected, Json, Metadata, NewEvent, StreamId, Text, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::import::error::{Cause, LineError};
use crate::import::identity::{self, Ordinals};
use crate::import::lines::{Lines, RawLine};
use crate::import::source::Input;
use crate::import::{ImportEvent, Line, Options, Place};

/// Reads the events of a file.
pub(in crate::import) struct Reader {
    lines: Lines,
    ordinals: Ordinals,
    /// The type of lines that name none.
    fallback_type: Option<Text>,
}

/// A line as it is written. What HTTP does not know is refused here as well: a misspelt field
/// must not be lost without a word.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    aggregate_type: Option<String>,
    aggregate_id: String,
    event_type: String,
    payload: Json,
    #[serde(default)]
    tags: Vec<String>,
    metadata: Option<Json>,
    expected: Option<WrittenExpected>,
    sequence_number: Option<u64>,
    position: Option<u64>,
    persisted_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenExpected {
    Sequence(u64),
    Name(String),
}

/// Which of the metadata were given that are made up otherwise.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Given {
    event_id: Option<IgnoredAny>,
    correlation_id: Option<IgnoredAny>,
}

impl Reader {
    /// # Errors
    /// An aggregate type in the options must be one.
    pub(in crate::import) fn new(input: Input, options: &Options) -> Result<Reader, Cause> {
        let fallback_type = match options.aggregate_type {
            Some(_) => Some(options.required_type()?),
            None => None,
        };
        Ok(Reader {
            lines: Lines::new(input),
            ordinals: Ordinals::default(),
            fallback_type,
        })
    }

    fn event(&mut self, text: &str) -> Result<ImportEvent, LineError> {
        let malformed = |error: serde_json::Error| LineError::malformed(error.to_string());
        let written: Written = serde_json::from_str(text).map_err(malformed)?;
        let aggregate_type = match (written.aggregate_type, &self.fallback_type) {
            (Some(aggregate_type), _) => Text::from(aggregate_type),
            (None, Some(fallback)) => fallback.clone(),
            (None, None) => {
                return Err(LineError::Missing {
                    what: "aggregateType".to_owned(),
                    hint: ": name it in the line, or with --type for all lines without",
                });
            }
        };
        let stream = StreamId::new(aggregate_type, written.aggregate_id)?;
        let ordinal = self.ordinals.next(&stream);
        let metadata = metadata(written.metadata.as_ref(), &stream, ordinal)?;
        let event = NewEvent {
            stream,
            event_type: written.event_type.into(),
            payload: written.payload,
            tags: written.tags.into_iter().map(Text::from).collect(),
            metadata,
        };
        event.check()?;
        let place = match (
            written.sequence_number,
            written.position,
            written.persisted_at,
        ) {
            (Some(sequence_number), Some(position), Some(persisted_at)) => Some(Place {
                sequence_number,
                position,
                persisted_at,
            }),
            (None, None, None) => None,
            _ => {
                return Err(LineError::malformed(
                    "an exported event has sequenceNumber, position and persistedAt, any other \
                     none of them",
                ));
            }
        };
        Ok(ImportEvent {
            event,
            expected: written.expected.map(expected).transpose()?,
            place,
        })
    }
}

/// The metadata of a line; ids that it does not give are the same whenever it is read.
fn metadata(
    written: Option<&Json>,
    stream: &StreamId,
    ordinal: u64,
) -> Result<Metadata, LineError> {
    let malformed =
        |error: retold::JsonError| LineError::malformed(format!("metadata are {error}"));
    let (mut metadata, given) = match written {
        None => (Metadata::default(), Given::default()),
        Some(json) => (
            json.decode::<Metadata>().map_err(malformed)?,
            json.decode::<Given>().map_err(malformed)?,
        ),
    };
    if given.event_id.is_none() {
        metadata.event_id = identity::event_id(stream, ordinal);
    }
    if given.correlation_id.is_none() {
        metadata.correlation_id = identity::correlation_id(stream);
    }
    Ok(metadata)
}

fn expected(written: WrittenExpected) -> Result<Expected, LineError> {
    match written {
        WrittenExpected::Sequence(sequence) => Ok(Expected::Sequence(sequence)),
        WrittenExpected::Name(name) => match name.as_str() {
            "any" => Ok(Expected::Any),
            "no_stream" => Ok(Expected::NoStream),
            "stream_exists" => Ok(Expected::StreamExists),
            _ => Err(LineError::malformed(
                "expected must be any, no_stream, stream_exists or a sequence number",
            )),
        },
    }
}

impl Iterator for Reader {
    type Item = Result<Line, Cause>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, line) = match self.lines.next() {
                Ok(next) => next?,
                Err(error) => return Some(Err(error.into())),
            };
            let result = match line {
                RawLine::TooLong => Err(LineError::TooLong),
                RawLine::Whole(line) if line.trim_ascii().is_empty() => continue,
                RawLine::Whole(line) => match std::str::from_utf8(&line) {
                    Ok(text) => self.event(text),
                    Err(_) => Err(LineError::malformed("it is not UTF-8")),
                },
            };
            return Some(Ok(Line { number, result }));
        }
    }
}
