//! The events were named where the aggregate is meant, and one aggregate where several are.

use retold::{Aggregate, Event, Retold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
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

fn wrong(retold: Retold) {
    retold.load::<AccountEvent>("alice");
    retold.execute_together::<Account>(["alice"]);
}

fn main() {}
