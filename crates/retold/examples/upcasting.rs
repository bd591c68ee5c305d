//! A change that really happens: an account was opened by a name, then by a first and a last
//! name, then in a currency. The log keeps what was written; each version brings one function,
//! and today's code knows today's events only.
//!
//! `cargo run -p retold --example upcasting`

use retold::{Aggregate, Event, NewEvent, Retold, StreamId, Upcasters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Account {
    owner: String,
    currency: String,
}

#[derive(Event)]
enum AccountEvent {
    #[event("account.opened", version = "3.0.0")]
    Opened {
        first: String,
        last: String,
        currency: String,
    },
}

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Event = AccountEvent;
    type Command = ();
    type Error = std::convert::Infallible;

    fn decide(&self, (): &()) -> Result<Vec<AccountEvent>, Self::Error> {
        Ok(vec![])
    }

    fn apply(&mut self, event: AccountEvent) {
        let AccountEvent::Opened {
            first,
            last,
            currency,
        } = event;
        self.owner = format!("{first} {last}");
        self.currency = currency;
    }
}

fn upcasters() -> Upcasters {
    Upcasters::of_aggregate::<Account>()
        .change("account.opened", "1.0.0", "2.0.0", |old: Value| {
            let name = old["name"].as_str().ok_or("a name is missing")?;
            let (first, last) = name.split_once(' ').ok_or("a name of one word")?;
            Ok(json!({ "first": first, "last": last }))
        })
        .change("account.opened", "2.0.0", "3.0.0", |mut old: Value| {
            old["currency"] = "EUR".into();
            Ok(old)
        })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The chains are checked here: a version that leads nowhere would be refused.
    let retold = Retold::builder()
        .upcasters(upcasters())
        .open("memory:")
        .await?;
    // What the first version of the program wrote, years ago.
    let alice = StreamId::new("Account", "alice")?;
    let old = NewEvent::new(alice, "account.opened", &json!({ "name": "Alice Ash" }))?;
    retold.append(old.version("1.0.0")).await?;

    let account = retold.load::<Account>("alice").await?.state;
    println!("{}, in {}", account.owner, account.currency);
    assert_eq!((&*account.owner, &*account.currency), ("Alice Ash", "EUR"));
    Ok(())
}
