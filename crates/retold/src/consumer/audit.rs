//! What a consumer should have been given, computed from the log, beside what it finished.
//!
//! A consumer keeps two things about its past that are written by different code: how far it is
//! (a position, and streams that are ahead of it or behind), and a tally of every event that was
//! answered for. The first says which events must have been finished. If one of them was jumped
//! over, the tally lacks it.

use std::collections::{HashMap, HashSet};

use retold_core::{ConsumerProgress, Entry, EventStore, LogQuery, Position, StreamId, Tally};

use super::definition::{Definition, SkippedEvent};
use crate::Error;

/// What an audit of a consumer found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerAudit {
    /// Behind which position it began.
    pub after: Position,
    /// Through which position it says to be complete.
    pub position: Position,
    /// Events of the log that its filter admits, from where it began through its position.
    pub due: u64,
    /// Of those, events that wait in streams whose event failed.
    pub waiting: u64,
    /// Events behind its position that are finished already.
    pub ahead: u64,
    /// Events that must have been finished or passed over: those due and not waiting, and those
    /// ahead.
    pub expected: u64,
    /// Events that were finished or passed over, as counted when they were.
    pub acknowledged: u64,
    /// Whether what was counted is what must have been finished, event by event.
    pub is_complete: bool,
    /// Places of the log that were lost to damage that was accepted: what was there may have been
    /// finished before, so that nothing can be compared.
    pub lost: u64,
    /// What was passed over, and why.
    pub skipped: Vec<SkippedEvent>,
}

/// Reads the log once, from where the consumer began to the last event that it finished.
pub(super) async fn audit(
    store: &dyn EventStore,
    definition: &Definition,
    (position, progress): (Position, &ConsumerProgress),
) -> Result<ConsumerAudit, Error> {
    let streams: HashMap<&StreamId, u64> = progress
        .streams
        .iter()
        .map(|stream| (&stream.stream, stream.next))
        .collect();
    let furthest = progress.streams.iter().map(|stream| stream.through);
    let through = furthest.fold(position, Position::max);
    let mut found = ConsumerAudit {
        after: definition.after,
        position,
        due: 0,
        waiting: 0,
        ahead: 0,
        expected: 0,
        acknowledged: progress.tally.events,
        is_complete: false,
        lost: 0,
        skipped: definition.skipped.clone(),
    };
    let mut finished = Tally::default();
    let mut query =
        LogQuery::after(definition.after.min(through)).filter(definition.settings.filter.clone());
    query.through = through;
    loop {
        let page = store.read_log(query.clone()).await?;
        for entry in page.entries {
            let event = match entry {
                Entry::Event(event) => event,
                Entry::Lost(_) => {
                    found.lost += 1;
                    continue;
                }
            };
            let is_due = event.position <= position;
            let is_finished = match streams.get(&event.stream) {
                Some(next) => event.sequence_number < *next,
                None => is_due,
            };
            found.due += u64::from(is_due);
            found.waiting += u64::from(is_due && !is_finished);
            found.ahead += u64::from(!is_due && is_finished);
            if is_finished {
                finished.add(event.position);
            }
        }
        match page.next {
            Some(next) => query.after = next,
            None => break,
        }
    }
    // A decision that is noted and not carried out yet is not one that was.
    let still_parked: HashSet<_> = progress
        .streams
        .iter()
        .filter_map(|stream| stream.blocked.as_ref().map(|blocked| blocked.event_id))
        .collect();
    found
        .skipped
        .retain(|event| !still_parked.contains(&event.event_id));
    found.expected = finished.events;
    found.is_complete = finished == progress.tally;
    Ok(found)
}
