//! Compares what the reopened store holds with what its clients were told.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use uuid::Uuid;

use super::reader::Reader;
use super::writer::Writer;
use crate::client::{Client, Lines, NDJSON, Path, parsed};

/// Broken promises that are told one by one; the rest is counted.
const BROKEN_SHOWN_MAX: usize = 20;

/// What was found; all zero is what is promised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Broken {
    /// Acknowledged events that are gone, or whose place another one has.
    pub(super) lost: u64,
    /// Events that are there more than once.
    pub(super) duplicated: u64,
    /// Events that are not in the order in which they were acknowledged.
    pub(super) out_of_order: u64,
    /// Events that nobody sent.
    pub(super) stray: u64,
    /// Events that a reader saw and that are gone, or somewhere else.
    pub(super) unseen: u64,
    /// Positions that are missing.
    pub(super) holes: u64,
    /// What exactly, for whoever looks into it.
    pub(super) details: Vec<String>,
}

impl Broken {
    pub(super) fn is_none(&self) -> bool {
        *self == Broken::default()
    }

    fn note(&mut self, detail: String) {
        if self.details.len() < BROKEN_SHOWN_MAX {
            self.details.push(detail);
        }
    }

    /// Adds what was found elsewhere.
    pub(super) fn add(&mut self, other: Broken) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.stray += other.stray;
        self.unseen += other.unseen;
        self.holes += other.holes;
        for detail in other.details {
            self.note(detail);
        }
    }
}

/// What is needed of an event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    aggregate_id: String,
    sequence_number: u64,
    position: u64,
    payload: Payload,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Payload {
    nth: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    event_id: Uuid,
}

/// Reads the whole log and compares it with what every client knows. An event of a call without
/// an answer may be there or not; if it is, it stands behind all that were acknowledged.
pub(super) async fn check(
    client: &Client,
    writers: &[Writer],
    reader: &Reader,
) -> anyhow::Result<Broken> {
    let mut broken = Broken::default();
    let mut streams: HashMap<String, Vec<Uuid>> = HashMap::new();
    let mut ids = HashSet::new();
    let mut next_position = 1;
    let path = Path::new(&["events"]);
    let mut lines = Lines::new(client.read(path.as_str(), NDJSON).await?.into_body());
    while let Some(line) = lines.next().await? {
        let event: Kept = parsed(&line)?;
        let id = event.metadata.event_id;
        if event.position != next_position {
            broken.holes += 1;
            broken.note(format!("position {next_position} is missing"));
        }
        next_position = event.position + 1;
        if !ids.insert(id) {
            broken.duplicated += 1;
            broken.note(format!("event {id} is there again at {}", event.position));
        }
        let at = usize::try_from(event.position - 1)?;
        if reader.seen.get(at).is_some_and(|seen| *seen != id) {
            broken.unseen += 1;
            broken.note(format!(
                "position {} held another event before the kill",
                event.position
            ));
        }
        let stream = streams.entry(event.aggregate_id).or_default();
        stream.push(id);
        let nth = stream.len() as u64;
        if event.sequence_number != nth || event.payload.nth != nth {
            broken.out_of_order += 1;
            broken.note(format!(
                "event {id} is number {} of its stream, and says that it is {}, where {nth} was due",
                event.sequence_number, event.payload.nth
            ));
        }
    }
    let read = usize::try_from(next_position - 1)?;
    if let Some(gone) = reader.seen.len().checked_sub(read).filter(|gone| *gone > 0) {
        broken.unseen += gone as u64;
        broken.note(format!("{gone} events that a reader saw are gone"));
    }
    for writer in writers {
        let stream = streams.remove(&writer.stream.aggregate_id);
        compare(writer, &stream.unwrap_or_default(), &ids, &mut broken);
    }
    for (id, events) in streams {
        broken.stray += events.len() as u64;
        broken.note(format!("nobody wrote {} events of {id}", events.len()));
    }
    Ok(broken)
}

fn compare(writer: &Writer, kept: &[Uuid], ids: &HashSet<Uuid>, broken: &mut Broken) {
    let name = &writer.stream.aggregate_id;
    for (at, id) in writer.acknowledged.iter().enumerate() {
        if kept.get(at) == Some(id) {
            continue;
        }
        match ids.contains(id) {
            true => broken.out_of_order += 1,
            false => broken.lost += 1,
        }
        broken.note(format!(
            "event {id} was acknowledged as number {} of {name} and is not there",
            at + 1
        ));
    }
    let behind = kept.get(writer.acknowledged.len()..).unwrap_or_default();
    // All or nothing: a call without an answer is there as a whole, or not at all.
    if !behind.is_empty() && behind != writer.pending() {
        broken.stray += behind.len() as u64;
        broken.note(format!(
            "{} events of {name} were not sent so",
            behind.len()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(from: u128, to: u128) -> Vec<Uuid> {
        (from..to).map(Uuid::from_u128).collect()
    }

    fn compared(acknowledged: Vec<Uuid>, kept: Vec<Uuid>) -> Broken {
        let mut writer = Writer::new(0, 1);
        writer.acknowledged = acknowledged;
        let mut broken = Broken::default();
        let all = kept.iter().copied().collect();
        compare(&writer, &kept, &all, &mut broken);
        broken.details.clear();
        broken
    }

    #[test]
    fn every_broken_promise_is_counted() {
        let none = Broken::default;
        assert_eq!(compared(ids(1, 4), ids(1, 4)), none());
        assert_eq!(compared(ids(1, 4), ids(1, 3)), Broken { lost: 1, ..none() });
        let mut turned = ids(1, 4);
        turned.swap(0, 1);
        let out_of_order = Broken {
            out_of_order: 2,
            ..none()
        };
        assert_eq!(compared(ids(1, 4), turned), out_of_order);
        assert_eq!(
            compared(ids(1, 4), ids(1, 6)),
            Broken { stray: 2, ..none() }
        );
    }
}
