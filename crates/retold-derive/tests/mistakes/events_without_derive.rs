//! The enum of events was not derived.

use retold::Aggregate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Account;

enum AccountEvent {
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
