//! A restore: recorded events, written as they are into a log that holds nothing else.

use std::collections::hash_map::Entry;

use retold_core::{
    Error, LogId, Position, RecordedEvent, RestoreBatch, SequenceNumber, StreamId, limits,
};

use super::settled;
use crate::fast_map::FastMap;
use crate::log::control::RestoreBegun;
use crate::log::frame::Kind;
use crate::state::{Restore, damaged_stream};
use crate::visible::Visible;
use crate::write::group::ids_of;
use crate::write::writer::Writer;

/// Writes a batch; `restore` is the restore that the log began with, if it began with one.
pub(super) async fn restore(
    visible: &Visible,
    writer: &Writer,
    restore: &mut Option<Restore>,
    batch: RestoreBatch,
) -> Result<Position, Error> {
    let head = visible.head();
    let not_empty = Err(Error::NotEmpty {
        head: head.position,
    });
    match *restore {
        Some(begun) if begun.origin != batch.origin => return not_empty,
        Some(Restore { is_done: true, .. }) => {
            // The answer to the last batch may have been lost; what is new is refused.
            let last = batch.events.last().map_or(0, |event| event.position);
            if last > head.position {
                return not_empty;
            }
            return compare(visible, &batch.events).map(|()| head.position);
        }
        Some(_) => {}
        None if head.position == 0 => {
            begin_restore(visible, writer, batch.origin).await?;
            *restore = Some(Restore {
                origin: batch.origin,
                is_done: false,
            });
        }
        None => return not_empty,
    }
    batch.check_follows(head.position)?;
    let kept = batch
        .events
        .partition_point(|event| event.position <= head.position);
    let mut events = batch.events;
    let new = events.split_off(kept);
    compare(visible, &events)?;
    check_restored(visible, &new)?;
    for part in parts(new) {
        let ids = ids_of(&part);
        let index_keys = visible.keys();
        let keys = part.iter().map(|event| {
            let stream = index_keys.stream(&event.stream);
            let (id, correlation_id) = (&event.metadata.event_id, &event.metadata.correlation_id);
            index_keys.of(id, stream, correlation_id, &event.tags)
        });
        let keys = keys.collect();
        settled(writer.restore(part, keys), &ids).await?;
    }
    if batch.is_last {
        settled(writer.decide(Kind::RestoreDone, b"{}"), &[]).await?;
        writer.queue().is_restoring = false;
        if let Some(restore) = restore {
            restore.is_done = true;
        }
    }
    Ok(visible.head().position)
}

/// Compares restored events with those that the store has already.
fn compare(visible: &Visible, events: &[RecordedEvent]) -> Result<(), Error> {
    let positions: Vec<Position> = events.iter().map(|event| event.position).collect();
    for (event, kept) in events.iter().zip(visible.events(&positions)) {
        if kept?.digest() != event.digest() {
            return Err(Error::invalid(
                "position",
                format!(
                    "must not repeat {}, which holds another event already",
                    event.position
                ),
            ));
        }
    }
    Ok(())
}

/// Cuts restored events into calls of the usual size.
fn parts(events: Vec<RecordedEvent>) -> Vec<Vec<RecordedEvent>> {
    let mut parts: Vec<Vec<RecordedEvent>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        bytes += event.bytes();
        match parts.last_mut() {
            Some(part)
                if part.len() < limits::EVENTS_PER_APPEND_MAX
                    && bytes <= limits::APPEND_BYTES_MAX =>
            {
                part.push(event);
            }
            _ => {
                bytes = event.bytes();
                parts.push(vec![event]);
            }
        }
    }
    parts
}

/// Checks that restored events go on where the log ends.
fn check_restored(visible: &Visible, events: &[RecordedEvent]) -> Result<(), Error> {
    let head = visible.head();
    if events
        .first()
        .is_some_and(|event| event.persisted_at < head.persisted_at)
    {
        return Err(Error::invalid("persistedAt", "must not run backwards"));
    }
    let mut heads: FastMap<&StreamId, SequenceNumber> = FastMap::default();
    for event in events {
        let event_id = event.metadata.event_id;
        let candidates = visible.ask(|view| view.positions_of(&event_id))?;
        if visible.event_of(event_id, &candidates)?.is_some() {
            return Err(Error::invalid(
                "metadata.eventId",
                "must not be the same for two events",
            ));
        }
        let head = match heads.entry(&event.stream) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let info = visible.ask(|view| view.stream(&event.stream))?;
                if let Some(hole) = info.and_then(|info| info.hole) {
                    return Err(damaged_stream(&event.stream, hole));
                }
                unknown.insert(info.map_or(0, |info| info.head.sequence_number))
            }
        };
        *head += 1;
        if event.sequence_number != *head {
            return Err(Error::invalid(
                "sequenceNumber",
                format!(
                    "must be {head} for the event at position {}, not {}",
                    event.position, event.sequence_number
                ),
            ));
        }
    }
    Ok(())
}

/// From here on only the restore may write, also after a crash.
async fn begin_restore(visible: &Visible, writer: &Writer, origin: LogId) -> Result<(), Error> {
    let begun = serde_json::to_vec(&RestoreBegun { origin });
    let begun = begun.expect("a log id can be written as JSON");
    writer.queue().is_restoring = true;
    let outcome = settled(writer.decide(Kind::RestoreBegun, &begun), &[]).await;
    let head = visible.head().position;
    match outcome {
        Ok(_) if head == 0 => Ok(()),
        Ok(_) => {
            // An append was quicker: the frame stands behind an event, and counts for nothing.
            writer.queue().is_restoring = false;
            Err(Error::NotEmpty { head })
        }
        Err(error) => {
            writer.queue().is_restoring = false;
            Err(error)
        }
    }
}
