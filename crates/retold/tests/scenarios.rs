//! Given/when/then: what it says when a test fails.
#![cfg(feature = "testing")]

use retold::testing::{event, machine, reducer, transition};
use retold::{BoxError, Machine, MachineReducer, RecordedEvent, Reducer, Refusal};

#[test]
fn a_machine_is_walked_through() {
    machine(&Machine::execution())
        .when("RUNNING", "execute")
        .then("RUNNING")
        .when("FAILED", "fail")
        .then("FAILED")
        .when("RUNNING", "execute")
        .then_refused(Refusal::NoSuchEdge)
        .when("PENDING", "again")
        .then_refused(Refusal::WrongName)
        .when_from("RUNNING", "PENDING", "retry")
        .then_refused(Refusal::StaleFromState)
        .when("PENDING", "retry")
        .then("PENDING");
}

#[test]
#[should_panic(expected = "retry from RUNNING to PENDING is refused: no transition leads there")]
fn a_refusal_is_told() {
    let execution = Machine::execution();
    let scenario = machine(&execution).given("RUNNING");
    scenario.when("PENDING", "retry").then("PENDING");
}

#[test]
#[should_panic(expected = "has no state AJAR; it has PENDING, RUNNING")]
fn an_unknown_state_is_told() {
    let _ = machine(&Machine::execution()).given("AJAR");
}

/// Adds numbers up.
struct Total;

impl Reducer for Total {
    type State = std::collections::BTreeMap<String, i64>;

    fn name(&self) -> &str {
        "total"
    }

    fn initial(&self) -> Self::State {
        Self::State::default()
    }

    fn apply(&self, totals: &mut Self::State, event: &RecordedEvent) -> Result<(), BoxError> {
        let number = event.payload.decode::<i64>()?;
        *totals.entry(event.event_type.to_string()).or_default() += number;
        Ok(())
    }
}

#[test]
fn a_reducer_is_walked_through() {
    reducer(Total)
        .given([event("in", &1), event("out", &2)])
        .when(event("in", &3))
        .then(&serde_json::json!({"in": 4, "out": 2}))
        .when(event("in", &"three"))
        .then_fails("invalid type");
    let moved = transition("TODO", "IN_PROGRESS", "start_work");
    reducer(MachineReducer)
        .given([moved, event("start_work", &1)])
        .then(&serde_json::json!({
            "status": "IN_PROGRESS",
            "transitionCount": 1,
            "lastTransitionAt": "2024-01-01T00:00:00Z",
        }));
}

#[test]
#[should_panic(expected = "  {\n-   \"in\": 2,\n+   \"in\": 1,\n    \"out\": 1\n  }")]
fn the_lines_that_differ_are_shown() {
    reducer(Total)
        .given([event("in", &1), event("out", &1)])
        .then(&serde_json::json!({"in": 2, "out": 1}));
}
