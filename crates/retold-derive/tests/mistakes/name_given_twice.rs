//! A variant was copied, and its name not changed; another has fields without names.

use retold::Event;

#[derive(Event)]
enum AccountEvent {
    #[event("account.deposited")]
    Deposited { amount: u64 },
    #[event("account.deposited")]
    Withdrawn { amount: u64 },
    #[event("account.moved", versoin = "2.0.0")]
    Moved { amount: u64 },
    #[event("account.closed")]
    Closed(String, u64),
}

fn main() {}
