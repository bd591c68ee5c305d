//! The name that an event is recorded under was not said.

use retold::Event;

#[derive(Event)]
enum AccountEvent {
    Opened { owner: String },
    #[event("account.deposited")]
    Deposited { amount: u64 },
}

fn main() {}
