//! Tests without a store: what happened before, what is asked for, what follows. In a program of
//! your own each function is a `#[test]`; here `main` calls them.
//!
//! `cargo run -p retold --features testing --example scenarios`, and once more with
//! `RETOLD_SCENARIOS=store` in the environment: the same scenarios on a real store.

mod account;

use account::{Account, Deposit, Deposited, Overdrawn, Withdraw, Withdrawn};
use retold::testing::given;

fn what_is_there_can_be_withdrawn() {
    given::<Account>([Deposited { amount: 10 }])
        .when(Withdraw { amount: 10 })
        .then([Withdrawn { amount: 10 }]);
}

fn what_is_not_there_cannot() {
    given::<Account>([Deposited { amount: 10 }, Withdrawn { amount: 7 }])
        .when(Withdraw { amount: 7 })
        .then_error(Overdrawn { balance: 3 });
}

/// A scenario goes on: what followed has happened.
fn a_refusal_changes_nothing() {
    given::<Account>([])
        .when(Withdraw { amount: 1 })
        .then_error(Overdrawn { balance: 0 })
        .when(Deposit { amount: 1 })
        .then([Deposited { amount: 1 }])
        .then_state(&serde_json::json!({ "balance": 1 }));
}

/// What a scenario says when it does not hold: the lines that differ.
fn a_failure_shows_the_difference() {
    let failed = std::panic::catch_unwind(|| {
        let asked = given::<Account>([]).when(Deposit { amount: 1 });
        asked.then([Deposited { amount: 2 }]);
    });
    let message = failed.expect_err("1 is not 2");
    let message = message.downcast_ref::<String>().expect("a text");
    assert!(message.contains("-   \"amount\": 2\n+   \"amount\": 1"));
}

fn main() {
    what_is_there_can_be_withdrawn();
    what_is_not_there_cannot();
    a_refusal_changes_nothing();
    a_failure_shows_the_difference();
}
