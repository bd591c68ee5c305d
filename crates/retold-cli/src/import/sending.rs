//! The events of a file as the service takes them: to be appended, or to be restored.

use std::path::Path;

use anyhow::Context;
use retold::{Expected, Metadata, NewEvent};
use serde::Serialize;

use super::{Import, ImportEvent, Line, Options, Progress, ReadError};

/// What a file holds at one of its lines.
#[derive(Debug)]
pub(crate) enum Item {
    /// An event.
    Event(Event),
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
    /// As a line of `POST /v1/events` takes it, in one line of JSON; none for an event of
    /// Retold's own, which only a restore may write.
    pub(crate) new: Option<String>,
    /// As it was recorded, where the file is an export: in one line of JSON.
    pub(crate) recorded: Option<String>,
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
    Ok((Box::new(spelled(import)), progress))
}

fn spelled(import: Import) -> impl Iterator<Item = anyhow::Result<Item>> + Send {
    import.map(|line| {
        let Line { number, result } = line?;
        match result {
            Ok(event) => spell(number, event).map(Item::Event),
            Err(error) => Ok(Item::Refused {
                line: number,
                reason: error.to_string(),
            }),
        }
    })
}

fn spell(line: u64, event: ImportEvent) -> anyhow::Result<Event> {
    let new = match event.event.stream.is_reserved() {
        true => None,
        false => Some(bulk_line(&event.event, event.expected)?),
    };
    let recorded = event.into_recorded();
    let recorded = recorded
        .map(|event| serde_json::to_string(&event))
        .transpose();
    Ok(Event {
        line,
        new,
        recorded: recorded.context("write an event as JSON")?,
    })
}

fn bulk_line(event: &NewEvent, expected: Option<Expected>) -> anyhow::Result<String> {
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
        expected: Option<serde_json::Value>,
    }
    let mut metadata = event.metadata.clone();
    // What Retold added elsewhere it adds here by itself, or not at all.
    metadata.extra.retain(|(name, _)| !name.starts_with('$'));
    let fields = Fields {
        aggregate_type: event.stream.aggregate_type(),
        aggregate_id: event.stream.aggregate_id(),
        event_type: &event.event_type,
        payload: &event.payload,
        tags: event.tags.iter().map(|tag| &**tag).collect(),
        metadata,
        expected: expected.map(|expected| match expected {
            Expected::Any => "any".into(),
            Expected::NoStream => "no_stream".into(),
            Expected::StreamExists => "stream_exists".into(),
            Expected::Sequence(sequence) => sequence.into(),
        }),
    };
    serde_json::to_string(&fields).context("write an event as JSON")
}
