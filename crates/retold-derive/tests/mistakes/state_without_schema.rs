//! The state was given what serde takes to keep it, and no schema.

use retold::{Aggregate, Event};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Account;

#[derive(Event)]
enum AccountEvent {
    #[event("account.opened")]
    Opened,
}

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Event = AccountEvent;
    type Command = ();
    type Error = ();

    fn decide(&self, _: &()) -> Result<Vec<AccountEvent>, ()> {
        Ok(vec![AccountEvent::Opened])
    }

    fn apply(&mut self, _: AccountEvent) {}
}

fn main() {}
