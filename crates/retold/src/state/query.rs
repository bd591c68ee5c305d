//! Asking for a state: which moment, and what to add to it.

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{PointInTime, RecordedEvent, StreamId, Text};

use super::{EventCountReducer, HistoryEntry, MachineReducer, MachineState, State};
use crate::fold::{Folded, Moment, Outcome, Reading, Reducer, point_in_time_methods, start};
use crate::machine::Machine;
use crate::{Error, Retold};

/// A question for a state, to be awaited: [`Retold::state`] and [`Retold::reconstruct`].
#[must_use = "a question is not asked until it is awaited"]
pub struct StateQuery {
    retold: Retold,
    stream: (Text, Text),
    moment: Moment,
    has_history: bool,
    has_transitions: bool,
    counts_later: bool,
}

impl StateQuery {
    pub(crate) fn new(retold: Retold, stream: (Text, Text)) -> StateQuery {
        StateQuery {
            retold,
            stream,
            moment: Moment::default(),
            has_history: false,
            has_transitions: false,
            counts_later: false,
        }
    }

    point_in_time_methods!();

    /// Adds the transitions until then. The stream is read from its beginning for them.
    pub fn with_history(mut self) -> Self {
        self.has_history = true;
        self
    }

    /// Adds what today's machine allows in that state.
    pub fn with_transitions(mut self) -> Self {
        self.has_transitions = true;
        self
    }

    /// Counts the events that a state by `timestamp` leaves out although they are dated at or
    /// before it, because an event dated later came before them. The stream is read to its end.
    pub fn count_later(mut self) -> Self {
        self.counts_later = true;
        self
    }

    async fn run(self) -> Result<State, Error> {
        let point = self.moment.point()?;
        if self.counts_later && !matches!(point, PointInTime::Timestamp(_)) {
            return Err(Error::Store(retold_core::Error::invalid(
                "later",
                "is counted for a state by timestamp only",
            )));
        }
        let stream = StreamId::new(self.stream.0.clone(), self.stream.1.clone())?;
        let inner = self.retold.inner();
        let store = &*inner.store;
        // Read before the stream: once a later persistedAt is visible here, all that was
        // recorded until then is visible there.
        let is_past = match point {
            PointInTime::PersistedAt(instant) => Some(store.head().await?.persisted_at > instant),
            _ => None,
        };
        let reading = inner.reading(&stream, point);
        let machine = inner.machines.get(stream.aggregate_type());
        let mut history = self.has_history.then(Vec::new);
        let outcome = match &machine {
            Some(_) => {
                let note = HistoryEntry::of_transition;
                self.fold(&reading, &MachineReducer, &mut history, note)
                    .await?
            }
            None => {
                let note = |event: &RecordedEvent| Some(HistoryEntry::of_event(event));
                self.fold(&reading, &EventCountReducer, &mut history, note)
                    .await?
            }
        };
        let later_at_or_before = match &outcome.ended_by {
            _ if !self.counts_later => None,
            None => Some(0),
            Some(event) => Some(reading.count_admitted_behind(event).await?),
        };
        let is_final = is_past.map(|is_past| is_past || outcome.ended_by.is_some());
        Ok(State {
            state_history: history,
            later_at_or_before,
            is_final,
            ..self.view(stream, outcome.folded, machine.as_deref())
        })
    }

    async fn fold<R: Reducer<State = MachineState>>(
        &self,
        reading: &Reading<'_>,
        reducer: &R,
        history: &mut Option<Vec<HistoryEntry>>,
        note: impl Fn(&RecordedEvent) -> Option<HistoryEntry>,
    ) -> Result<Outcome<MachineState>, Error> {
        let begin = match history {
            // A snapshot does not hold the history.
            Some(_) => Folded::initial(reducer.initial()),
            None => {
                let side_store = &*self.retold.inner().side_store;
                start(reading, side_store, reducer).await?
            }
        };
        let apply = |state: &mut MachineState, event: &RecordedEvent| {
            if let Some(history) = history {
                history.extend(note(event));
            }
            reducer.apply(state, event)
        };
        let outcome = reading.fold(begin, reducer.name(), apply).await?;
        outcome.of_known(reading.stream)
    }

    fn view(
        &self,
        stream: StreamId,
        folded: Folded<MachineState>,
        machine: Option<&Machine>,
    ) -> State {
        let exists = folded.last.is_some();
        let initial = machine.map(Machine::initial);
        let status = folded.state.status.or(initial.map(str::to_owned));
        let available_transitions = self.has_transitions.then(|| {
            machine
                .zip(status.as_deref())
                .map(|(machine, status)| machine.available_from(status))
                .unwrap_or_default()
        });
        State {
            stream,
            exists,
            status: status.filter(|_| exists),
            transition_count: folded.state.transition_count,
            last_transition_at: folded.state.last_transition_at,
            sequence_number: folded.last.map_or(0, |last| last.sequence_number),
            position: folded.last.map_or(0, |last| last.position),
            state_history: None,
            available_transitions,
            is_final: None,
            later_at_or_before: None,
        }
    }
}

impl IntoFuture for StateQuery {
    type Output = Result<State, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
