//! A state together with the place in its stream that it was derived at.

use std::sync::Arc;

use retold_core::{EventId, Json, Position, RecordedEvent, SequenceNumber, Snapshot, Timestamp};
use serde::Serialize;

use super::Reducer;
use crate::upcasters::Chains;
use crate::{BoxError, Error};

/// A state, and the last event folded into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folded<S> {
    pub(crate) state: S,
    pub(crate) last: Option<Last>,
}

/// The last event folded in, and the latest date among all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) sequence_number: SequenceNumber,
    pub(crate) position: Position,
    pub(crate) event_id: EventId,
    pub(crate) persisted_at: Timestamp,
    /// A caller dates events as it likes, so that of the last event may be earlier.
    pub(crate) latest_timestamp: Timestamp,
}

impl<S> Folded<S> {
    /// The state before the first event.
    pub(crate) fn initial(state: S) -> Folded<S> {
        Folded { state, last: None }
    }

    /// The state that a snapshot holds.
    pub(crate) fn of_snapshot(state: S, snapshot: &Snapshot) -> Folded<S> {
        let last = Last {
            sequence_number: snapshot.sequence_number,
            position: snapshot.checkpoint.position,
            event_id: snapshot.checkpoint.event_id,
            persisted_at: snapshot.last_persisted_at,
            latest_timestamp: snapshot.latest_timestamp,
        };
        Folded {
            state,
            last: Some(last),
        }
    }

    /// The sequence number of the last event folded in; 0 before the first.
    pub(crate) fn sequence_number(&self) -> SequenceNumber {
        self.last.map_or(0, |last| last.sequence_number)
    }

    /// The same with the state as JSON, which is what a snapshot keeps.
    pub(crate) fn to_json(&self) -> Result<Folded<Json>, Error>
    where
        S: Serialize,
    {
        let state = Json::from_value(&self.state)
            .map_err(|error| retold_core::Error::invalid("state", error.to_string()))?;
        Ok(Folded {
            state,
            last: self.last,
        })
    }

    /// Folds the next event in, as what today's code would have written.
    pub(crate) fn apply<R: Reducer<State = S>>(
        &mut self,
        reducer: &R,
        upcasters: &Chains,
        event: &RecordedEvent,
    ) -> Result<(), Error> {
        self.apply_with(
            reducer.name(),
            upcasters,
            &mut |state, event| reducer.apply(state, event),
            event,
        )
    }

    /// The same with the function of a reducer of that name.
    pub(crate) fn apply_with(
        &mut self,
        name: &str,
        upcasters: &Chains,
        apply: &mut (impl FnMut(&mut S, &RecordedEvent) -> Result<(), BoxError> + ?Sized),
        event: &RecordedEvent,
    ) -> Result<(), Error> {
        debug_assert_eq!(event.sequence_number, self.sequence_number() + 1);
        for upcasted in upcasters.upcast(event)?.iter() {
            apply(&mut self.state, upcasted).map_err(|source| Error::Reducer {
                reducer: name.to_owned(),
                stream: event.stream.clone(),
                sequence_number: event.sequence_number,
                source: Arc::from(source),
            })?;
        }
        // The place is that of the recorded event, whatever it became: what it became has none
        // of its own, and an event that became nothing was read all the same.
        let timestamp = event.metadata.timestamp;
        self.last = Some(Last {
            sequence_number: event.sequence_number,
            position: event.position,
            event_id: event.metadata.event_id,
            persisted_at: event.persisted_at,
            latest_timestamp: self
                .last
                .map_or(timestamp, |last| last.latest_timestamp.max(timestamp)),
        });
        Ok(())
    }
}
