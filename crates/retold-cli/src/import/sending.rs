//! The events of a file as the service takes them: to be appended, or to be restored.

use std::path::Path;

use anyhow::Context;
use retold::{Expected, Metadata, NewEvent};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Import, ImportEvent, Line, Options, Progress, ReadError};

/// What a file holds at one of its lines.
#[derive(Debug)]
pub(crate) enum Item {
    /// An event; boxed, since it is much larger than the other.
    Event(Box<Event>),
    /// Something that is not an event, and why.
    Refused {
        /// Its line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// An event of a file.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its line, from 1.
    pub(crate) line: u64,
    /// What it says.
    pub(crate) import: ImportEvent,
}

/// The events of a file, in its order. An error ends it: the file cannot be read further.
pub(crate) type Items = Box<dyn Iterator<Item = anyhow::Result<Item>> + Send>;

/// Opens a file; `-` is standard input, which is NDJSON unless the options say otherwise.
pub(crate) fn items(file: &Path, mut options: Options) -> Result<(Items, Progress), ReadError> {
    let import = if file == Path::new("-") {
        options.format.get_or_insert(super::Format::Ndjson);
        super::read(std::io::stdin(), "standard input", options)
    } else {
        super::open(file, options)
    };
    let import = import?;
    let progress = import.progress();
    Ok((Box::new(items_of(import)), progress))
}

fn items_of(import: Import) -> impl Iterator<Item = anyhow::Result<Item>> + Send {
    import.map(|line| {
        let Line { number, result } = line?;
        Ok(match result {
            Ok(import) => Item::Event(Box::new(Event {
                line: number,
                import,
            })),
            Err(error) => Item::Refused {
                line: number,
                reason: error.to_string(),
            },
        })
    })
}

impl Event {
    /// Whether it is of a stream that only Retold writes, so that only a restore may hold it.
    pub(crate) fn is_reserved(&self) -> bool {
        self.import.event.stream.is_reserved()
    }

    /// The event as it was recorded, in one line of JSON; none unless the file is an export.
    pub(crate) fn recorded_line(self) -> anyhow::Result<Option<String>> {
        let recorded = self.import.into_recorded();
        let line = recorded.map(|event| serde_json::to_string(&event));
        line.transpose().context("write an event as JSON")
    }

    /// The event as a line of `POST /v1/events` takes it.
    pub(crate) fn bulk_line(&self) -> anyhow::Result<String> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Fields<'a> {
            aggregate_type: &'a str,
            aggregate_id: &'a str,
            event_type: &'a str,
            payload: &'a retold::Json,
            tags: Vec<&'a str>,
            metadata: Metadata,
            #[serde(skip_serializing_if = "Option::is_none")]
            expected: Option<Value>,
        }
        let event = &self.import.event;
        let fields = Fields {
            aggregate_type: event.stream.aggregate_type(),
            aggregate_id: event.stream.aggregate_id(),
            event_type: &event.event_type,
            payload: &event.payload,
            tags: event.tags.iter().map(|tag| &**tag).collect(),
            metadata: own_metadata(event),
            expected: self.import.expected.map(expected),
        };
        serde_json::to_string(&fields).context("write an event as JSON")
    }
}

/// The metadata without what Retold added elsewhere: it adds that here by itself, or not at all.
pub(crate) fn own_metadata(event: &NewEvent) -> Metadata {
    let mut metadata = event.metadata.clone();
    metadata.extra.retain(|(name, _)| !name.starts_with('$'));
    metadata
}

/// What is expected of a stream, as the interface takes it.
pub(crate) fn expected(expected: Expected) -> Value {
    match expected {
        Expected::Any => json!("any"),
        Expected::NoStream => json!("no_stream"),
        Expected::StreamExists => json!("stream_exists"),
        Expected::Sequence(sequence) => json!(sequence),
    }
}
