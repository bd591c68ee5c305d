//! Given/when/then: what it says when a test fails.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

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

#[cfg(feature = "derive")]
mod aggregates {
    use std::process::Command;

    use retold::testing::given;
    use retold::{Aggregate, Event};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use crate::support::account::{
        Account, Close, Closed, Deposit, DepositEach, Deposited, Refused, Withdraw, Withdrawn,
    };

    #[test]
    fn an_aggregate_is_walked_through() {
        let overdrawn = Refused::Overdrawn {
            balance: 2,
            amount: 3,
        };
        given::<Account>([Deposited { amount: 5 }])
            .when(Withdraw(3))
            .then([Withdrawn { amount: 3 }])
            .when(Withdraw(3))
            .then_error(overdrawn)
            .then_state(&serde_json::json!({"balance": 2, "moves": 2, "is_closed": false}))
            .when(Close)
            .then([Withdrawn { amount: 2 }, Closed])
            .when(Close)
            .then_nothing()
            .when(Deposit(1))
            .then_error(Refused::Closed);
    }

    #[test]
    #[should_panic(
        expected = "what follows is not as expected (- expected, + found):\n  \
                    account.deposited 1.0.0 {\n-   \"amount\": 1\n+   \"amount\": 2\n  }"
    )]
    fn the_events_that_differ_are_shown() {
        let asked = given::<Account>([]).when(DepositEach(vec![2]));
        asked.then([Deposited { amount: 1 }]);
    }

    #[test]
    #[should_panic(expected = "the command was rejected: Overdrawn { balance: 0, amount: 1 }")]
    fn a_rejection_is_told() {
        given::<Account>([]).when(Withdraw(1)).then_nothing();
    }

    #[test]
    #[should_panic(expected = "  Overdrawn {\n-     balance: 1,\n+     balance: 0,\n")]
    fn another_error_is_shown() {
        let expected = Refused::Overdrawn {
            balance: 1,
            amount: 1,
        };
        given::<Account>([]).when(Withdraw(1)).then_error(expected);
    }

    #[test]
    #[should_panic(
        expected = "the command was not rejected with Closed; what follows is:\n\
                               account.deposited 1.0.0 {"
    )]
    fn a_missing_error_is_told() {
        given::<Account>([])
            .when(Deposit(1))
            .then_error(Refused::Closed);
    }

    /// No store takes its type, which a scenario without a store has no reason to notice.
    #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
    struct Misnamed;

    #[derive(Event)]
    enum MisnamedEvent {
        #[event("happened")]
        Happened,
    }

    impl Aggregate for Misnamed {
        const TYPE: &'static str = "no such type";
        type Event = MisnamedEvent;
        type Command = ();
        type Error = ();

        fn decide(&self, (): &()) -> Result<Vec<MisnamedEvent>, ()> {
            Ok(vec![MisnamedEvent::Happened])
        }

        fn apply(&mut self, MisnamedEvent::Happened: MisnamedEvent) {}
    }

    #[test]
    fn what_only_a_store_would_refuse_passes_without_one() {
        if std::env::var_os("RETOLD_SCENARIOS").is_some() && !is_child() {
            return println!("SKIPPED: it is about scenarios without a store");
        }
        let asked = given::<Misnamed>([]).when(());
        asked.then([MisnamedEvent::Happened]);
    }

    const CHILD: &str = "RETOLD_SCENARIOS_CHILD";

    fn is_child() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    /// Runs one test of this file again, with the switch, and gives what it said if it failed.
    fn run_switched(test: &str, switch: &str) -> Result<(), String> {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("aggregates::{test}"), "--nocapture"])
            .env("RETOLD_SCENARIOS", switch)
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("running 1 test"), "{said}");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned() + &said),
        }
    }

    #[test]
    fn the_same_scenarios_run_on_a_real_store() {
        run_switched("an_aggregate_is_walked_through", "store").unwrap();
        run_switched("the_events_that_differ_are_shown", "store").unwrap();
        let refused = "what_only_a_store_would_refuse_passes_without_one";
        let said = run_switched(refused, "store").unwrap_err();
        assert!(said.contains("failed to accept aggregateType"), "{said}");
        let said = run_switched("an_aggregate_is_walked_through", "stor").unwrap_err();
        assert!(said.contains("it must be `store`, or not be set"), "{said}");
    }
}
