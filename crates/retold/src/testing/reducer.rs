//! Folding events with a reducer and looking at the state.

use retold_core::{Json, NewEvent, RecordedEvent, SequenceNumber, StreamId, Timestamp};
use serde::Serialize;

use super::diff::{assert_same, pretty};
use crate::transition::{MACHINE_KEY, TRUSTED};
use crate::{BoxError, Reducer};

/// 2024-01-01T00:00:00Z, in microseconds: what events are dated that are not dated otherwise, so
/// that a test says the same every day.
const EVENT_TIME_MICROS: i64 = 1_704_067_200_000_000;

/// An event of the stream `Test/1`, dated 2024-01-01T00:00:00Z unless its builder says otherwise.
///
/// # Panics
/// When `payload` cannot be written as JSON.
#[track_caller]
pub fn event(event_type: &str, payload: &(impl Serialize + ?Sized)) -> NewEvent {
    let stream = StreamId::new("Test", "1").expect("a well-formed name");
    match NewEvent::new(stream, event_type, payload) {
        Ok(event) => event.timestamp(event_time()),
        Err(error) => panic!("failed to {error}"),
    }
}

/// A recorded transition of the stream `Test/1`, as a machine would have recorded it.
pub fn transition(from: &str, to: &str, name: &str) -> NewEvent {
    let payload = serde_json::json!({"fromState": from, "toState": to, "event": name});
    let by = Json::from_value(TRUSTED).expect("a text can be written as JSON");
    event(name, &payload).extra(MACHINE_KEY, by)
}

fn event_time() -> Timestamp {
    Timestamp::from_micros(EVENT_TIME_MICROS).expect("2024 is within range")
}

/// Begins with the initial state of a reducer.
#[must_use = "a scenario says something only with `then`"]
pub fn reducer<R: Reducer>(reducer: R) -> ReducerScenario<R> {
    ReducerScenario {
        outcome: Ok(reducer.initial()),
        reducer,
        folded: 0,
    }
}

/// A reducer and the state that it has come to: [`reducer`](fn@reducer).
pub struct ReducerScenario<R: Reducer> {
    reducer: R,
    outcome: Result<R::State, BoxError>,
    folded: SequenceNumber,
}

impl<R: Reducer> ReducerScenario<R> {
    /// The events that happened before; they are numbered from 1.
    ///
    /// # Panics
    /// When the reducer fails.
    #[track_caller]
    #[must_use = "a scenario says something only with `then`"]
    pub fn given(mut self, events: impl IntoIterator<Item = NewEvent>) -> Self {
        for event in events {
            self = self.when(event);
            if let Err(error) = &self.outcome {
                panic!("the reducer failed on event {}: {error}", self.folded);
            }
        }
        self
    }

    /// The event that happens now.
    #[must_use = "a scenario says something only with `then`"]
    pub fn when(mut self, event: NewEvent) -> Self {
        self.folded += 1;
        let event = record(event, self.folded);
        self.outcome = self.outcome.and_then(|mut state| {
            self.reducer.apply(&mut state, &event)?;
            Ok(state)
        });
        self
    }

    /// The state is as expected, compared as JSON; the scenario goes on from there.
    ///
    /// # Panics
    /// When it is not, with the lines that differ; and when the reducer failed.
    #[track_caller]
    pub fn then(self, expected: &(impl Serialize + ?Sized)) -> Self {
        let state = match &self.outcome {
            Ok(state) => state,
            Err(error) => panic!("the reducer failed on event {}: {error}", self.folded),
        };
        let what = format!("the state after event {}", self.folded);
        assert_same(&what, &pretty(expected), &pretty(state));
        self
    }

    /// The reducer failed on the last event, and says so with a text that holds `message`.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn then_fails(self, message: &str) {
        match self.outcome {
            Ok(_) => panic!("the reducer did not fail on event {}", self.folded),
            Err(error) => assert!(
                error.to_string().contains(message),
                "the reducer failed with {error:?}, which does not hold {message:?}"
            ),
        }
    }
}

fn record(event: NewEvent, nth: SequenceNumber) -> RecordedEvent {
    let timestamp = event.metadata.timestamp;
    event.record(nth, nth, timestamp)
}
