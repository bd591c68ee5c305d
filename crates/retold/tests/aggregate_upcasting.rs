//! Aggregates meet the events of earlier versions as today's.
#![cfg(feature = "derive")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;

use retold::{Error, EventStore, ExecuteError, NewEvent, Part, Retold, StreamId, Upcasters};
use retold_memory::MemoryStore;
use serde_json::{Value, json};
use support::account::{Account, Closed, Deposit, Withdraw, Withdrawn};

/// What was recorded as one event, of 1.0.0, is two of today's.
fn upcasters() -> Upcasters {
    Upcasters::of_aggregate::<Account>()
        .split(
            ("account.emptied", "1.0.0"),
            [("account.withdrawn", "1.0.0"), ("account.closed", "2.0.0")],
            |old: Value| {
                let withdrawn = json!({"amount": old["left"]});
                Ok(vec![
                    Part::new(("account.withdrawn", "1.0.0"), &withdrawn),
                    Part::new(("account.closed", "2.0.0"), &json!({})),
                ])
            },
        )
        .change("account.closed", "1.0.0", "2.0.0", |_: Value| Ok(json!({})))
}

async fn open(store: &Arc<MemoryStore>, upcasters: Upcasters) -> Retold {
    let builder = Retold::builder().store(store.clone()).upcasters(upcasters);
    builder.build().await.unwrap()
}

#[tokio::test]
async fn a_command_is_decided_over_what_today_would_have_been_written() {
    let store = Arc::new(MemoryStore::new());
    let retold = open(&store, upcasters()).await;
    retold.execute::<Account>("a", Deposit(5)).await.unwrap();
    let stream = StreamId::new("Account", "a").unwrap();
    let emptied = NewEvent::new(stream, "account.emptied", &json!({"left": 5})).unwrap();
    retold.append(emptied).await.unwrap();
    let now = retold.load::<Account>("a").await.unwrap();
    assert!(now.state.is_closed && now.state.balance == 0);
    // Two of the three events folded in are one of the stream's.
    assert_eq!((now.state.moves, now.sequence_number), (3, 2));
    let refused = retold.execute::<Account>("a", Withdraw(1)).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(_))));
}

#[tokio::test]
async fn what_an_earlier_program_recorded_under_a_key_is_answered_in_todays_events() {
    let store = Arc::new(MemoryStore::new());
    let retold = open(&store, upcasters()).await;
    let first = retold.execute::<Account>("a", Deposit(5));
    let first = first.idempotency_key("k").await.unwrap();
    // The same place of another log, where an earlier program wrote otherwise.
    let store = Arc::new(MemoryStore::new());
    let retold = open(&store, upcasters()).await;
    let mut earlier = first.recorded[0].clone().into_new();
    earlier.event_type = "account.emptied".into();
    earlier.payload = retold::Json::parse(r#"{"left":0}"#).unwrap();
    retold.append(earlier).await.unwrap();
    let again = retold.execute::<Account>("a", Deposit(5));
    let again = again.idempotency_key("k").await.unwrap();
    assert!(!again.is_new && again.state.is_closed);
    assert_eq!(again.events, [Withdrawn { amount: 0 }, Closed]);
    assert_eq!(again.recorded[0].event_type, "account.emptied");
}

#[tokio::test]
async fn an_event_that_would_be_read_as_another_version_is_not_written() {
    // Not declared as those of the aggregate, so nobody has noticed where they lead.
    let further =
        Upcasters::of("Account").change("account.deposited", "1.0.0", "2.0.0", |same: Value| {
            Ok(same)
        });
    let store = Arc::new(MemoryStore::new());
    let retold = open(&store, further).await;
    match retold.execute::<Account>("a", Deposit(5)).await {
        Err(ExecuteError::Failed(error)) => {
            let told = error.to_string();
            assert!(told.contains("was recorded in version 2.0.0"), "{told}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.head().await.unwrap().position, 0);
}

#[tokio::test]
async fn chains_must_lead_to_the_versions_of_the_aggregate() {
    let past = Upcasters::of_aggregate::<Account>().change(
        "account.deposited",
        "1.0.0",
        "2.0.0",
        |same: Value| Ok(same),
    );
    let opened = Retold::builder().upcasters(past).open("memory:").await;
    assert!(matches!(opened, Err(Error::Upcasters(_))), "{opened:?}");
}

#[cfg(feature = "testing")]
#[test]
fn the_shapes_of_an_aggregates_events_can_be_locked() {
    use retold::EventShape;
    use retold::testing::events_lock;

    let folder = tempfile::tempdir().unwrap();
    let lock = || {
        let lock = events_lock(folder.path().join("events.lock"));
        lock.shapes(EventShape::of_aggregate_events::<Account>())
            .upcasters(upcasters())
    };
    let new = lock().update(false).try_check().unwrap_err();
    assert!(
        new.contains("account.deposited 1.0.0 of Account is new"),
        "{new}"
    );
    lock().update(true).try_check().unwrap();
    lock().update(false).try_check().unwrap();
    let changed = EventShape::of::<u64>("account.closed", "2.0.0").of_aggregate("Account");
    let others = EventShape::of_aggregate_events::<Account>();
    let shapes = others.into_iter().take(2).chain([changed]);
    let changed = events_lock(folder.path().join("events.lock")).shapes(shapes);
    let changed = changed.upcasters(upcasters()).update(false);
    let found = changed.try_check().unwrap_err();
    assert!(
        found.contains("account.closed 2.0.0 of Account changed"),
        "{found}"
    );
}
