//! An account in four eras: what happened, and how each era wrote it.

use proptest::prelude::*;
use retold::{BoxError, Part, RecordedEvent, Reducer, Upcasters};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The newest era.
pub(crate) const TODAY: u8 = 4;

/// What happened, whoever wrote it down.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    Opened {
        owner: String,
    },
    Deposited {
        euros: u32,
    },
    Transferred {
        euros: u32,
        fee: u32,
    },
    /// Somebody looked at it, which was once thought worth recording.
    Viewed,
}

pub(crate) fn facts() -> impl Strategy<Value = Fact> {
    prop_oneof![
        "[a-z]{1,8}".prop_map(|owner| Fact::Opened { owner }),
        any::<u16>().prop_map(|euros| Fact::Deposited {
            euros: euros.into()
        }),
        (any::<u16>(), 0..10_u32).prop_map(|(euros, fee)| Fact::Transferred {
            euros: euros.into(),
            fee
        }),
        Just(Fact::Viewed),
    ]
}

/// The events that the code of an era wrote: type, version and payload of each.
pub(crate) fn written(fact: &Fact, era: u8) -> Vec<(&'static str, &'static str, Value)> {
    match fact {
        Fact::Opened { owner } => vec![match era {
            1 => ("account.opened", "1.0.0", json!({"name": owner})),
            2 => ("account.opened", "2.0.0", json!({"owner": owner})),
            _ => (
                "account.opened",
                "3.0.0",
                json!({"owner": owner, "currency": "EUR"}),
            ),
        }],
        Fact::Deposited { euros } => vec![match era {
            1 | 2 => (
                "account.credited",
                "1.0.0",
                json!({"amount": euros.to_string()}),
            ),
            3 => ("account.deposited", "1.0.0", json!({"amount": euros})),
            _ => ("account.deposited", "2.0.0", json!({"cents": euros * 100})),
        }],
        Fact::Transferred { euros, fee } if era < 4 => {
            vec![(
                "account.transferred",
                "1.0.0",
                json!({"amount": euros, "fee": fee}),
            )]
        }
        Fact::Transferred { euros, fee } => {
            let mut events = vec![("account.withdrawn", "1.0.0", json!({"cents": euros * 100}))];
            // Nobody writes down a fee of nothing.
            if *fee > 0 {
                events.push(("account.fee_charged", "1.0.0", json!({"cents": fee * 100})));
            }
            events
        }
        Fact::Viewed if era < 3 => vec![("account.viewed", "1.0.0", json!(null))],
        Fact::Viewed => vec![],
    }
}

#[derive(Deserialize)]
struct Credited {
    amount: String,
}

#[derive(Serialize, Deserialize)]
struct Deposited {
    amount: u32,
}

#[derive(Deserialize)]
struct Transferred {
    amount: u32,
    fee: u32,
}

#[derive(Serialize)]
struct Cents {
    cents: u32,
}

pub(crate) fn upcasters() -> Upcasters {
    Upcasters::of("Account")
        .change("account.opened", "1.0.0", "2.0.0", |old: Value| {
            Ok(json!({"owner": old["name"]}))
        })
        .change("account.opened", "2.0.0", "3.0.0", |old: Value| {
            Ok(json!({"owner": old["owner"], "currency": "EUR"}))
        })
        .rename(
            ("account.credited", "1.0.0"),
            ("account.deposited", "1.0.0"),
            |old: Credited| {
                Ok(Deposited {
                    amount: old.amount.parse()?,
                })
            },
        )
        .change("account.deposited", "1.0.0", "2.0.0", |old: Deposited| {
            Ok(Cents {
                cents: old.amount * 100,
            })
        })
        .split(
            ("account.transferred", "1.0.0"),
            [
                ("account.withdrawn", "1.0.0"),
                ("account.fee_charged", "1.0.0"),
            ],
            |old: Transferred| {
                let cents = |euros: u32| Cents { cents: euros * 100 };
                let mut parts = vec![Part::new(
                    ("account.withdrawn", "1.0.0"),
                    &cents(old.amount),
                )];
                if old.fee > 0 {
                    parts.push(Part::new(("account.fee_charged", "1.0.0"), &cents(old.fee)));
                }
                Ok(parts)
            },
        )
        .discard("account.viewed", "1.0.0")
}

/// What today's code makes of today's events. It knows no other ones.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Balance {
    owner: Option<String>,
    cents: i64,
    fees: i64,
    events: u32,
}

pub(crate) struct Balances;

impl Reducer for Balances {
    type State = Balance;

    fn name(&self) -> &str {
        "balance"
    }

    fn initial(&self) -> Balance {
        Balance::default()
    }

    fn apply(&self, state: &mut Balance, event: &RecordedEvent) -> Result<(), BoxError> {
        let payload: Value = event.payload.decode()?;
        let cents = || payload["cents"].as_i64().ok_or("cents are missing");
        state.events += 1;
        match (&*event.event_type, &*event.metadata.version) {
            ("account.opened", "3.0.0") => {
                let owner = payload["owner"].as_str().ok_or("an owner is missing")?;
                state.owner = Some(owner.to_owned());
            }
            ("account.deposited", "2.0.0") => state.cents += cents()?,
            ("account.withdrawn", "1.0.0") => state.cents -= cents()?,
            ("account.fee_charged", "1.0.0") => state.fees += cents()?,
            (event_type, version) => Err(format!("{event_type} {version} is not of today"))?,
        }
        Ok(())
    }
}
