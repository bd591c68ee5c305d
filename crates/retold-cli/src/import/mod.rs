//! Files of events, read one event after the other. Each format is a file of its own beside this
//! one; what a format gives is sent by `commands/import.rs`, which knows none of them.

mod ndjson;

use std::path::Path;

use anyhow::Context;

/// What a file holds at one of its lines (or, where a format has no lines, records).
#[derive(Debug, PartialEq, Eq)]
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
#[derive(Debug, PartialEq, Eq)]
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

/// Opens a file by its name's ending; `-` is standard input with lines of JSON.
pub(crate) fn read(file: &Path) -> anyhow::Result<Items> {
    if file == Path::new("-") {
        return Ok(Box::new(ndjson::read(std::io::stdin())));
    }
    let opened = std::fs::File::open(file).with_context(|| format!("read {}", file.display()))?;
    Ok(Box::new(ndjson::read(opened)))
}
