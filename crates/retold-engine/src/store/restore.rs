//! A restore: recorded events, written as they are into a log that holds nothing else.

use retold_core::{Error, LogId, Position, RecordedEvent, RestoreBatch, limits};

use super::look_up::heads;
use super::settled;
use crate::log::control::RestoreBegun;
use crate::log::frame::Kind;
use crate::visible::Visible;
use crate::write::group::ids_of;
use crate::write::writer::Writer;

/// Writes a batch; `restoring` is the origin of the restore that is not finished.
pub(super) async fn restore(
    visible: &Visible,
    writer: &Writer,
    restoring: &mut Option<LogId>,
    batch: RestoreBatch,
) -> Result<Position, Error> {
    let head = visible.head();
    match *restoring {
        Some(origin) if origin == batch.origin => {}
        None if head.position == 0 => {
            begin_restore(visible, writer, batch.origin).await?;
            *restoring = Some(batch.origin);
        }
        _ => {
            let head = head.position;
            return Err(Error::NotEmpty { head });
        }
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
        settled(writer.restore(part), ids).await?;
    }
    if batch.is_last {
        settled(writer.decide(Kind::RestoreDone, b"{}"), Vec::new()).await?;
        writer.queue().is_restoring = false;
        *restoring = None;
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
    let index = visible.index();
    let head = index.head();
    if events
        .first()
        .is_some_and(|event| event.persisted_at < head.persisted_at)
    {
        return Err(Error::invalid("persistedAt", "must not run backwards"));
    }
    let mut heads = heads(&index, events.iter().map(|event| &event.stream))?.heads;
    for event in events {
        if index.position_of(event.metadata.event_id).is_some() {
            return Err(Error::invalid(
                "metadata.eventId",
                "must not be the same for two events",
            ));
        }
        let head = heads.entry(event.stream.clone()).or_default();
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
    let outcome = settled(writer.decide(Kind::RestoreBegun, &begun), Vec::new()).await;
    let head = visible.head().position;
    match outcome {
        Ok(_) if head == 0 => Ok(()),
        Ok(_) => {
            // An append was quicker.
            settled(writer.decide(Kind::RestoreDone, b"{}"), Vec::new()).await?;
            writer.queue().is_restoring = false;
            Err(Error::NotEmpty { head })
        }
        Err(error) => {
            writer.queue().is_restoring = false;
            Err(error)
        }
    }
}
