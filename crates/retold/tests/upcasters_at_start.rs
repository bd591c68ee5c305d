//! Upcasters are checked before anything is opened: each fault with its message.

#![allow(clippy::unwrap_used)]

use retold::{Error, Part, Retold, Upcasters, UpcastersError};
use serde_json::Value;

fn same(value: Value) -> Result<Value, retold::BoxError> {
    Ok(value)
}

async fn refused(sets: impl IntoIterator<Item = Upcasters>) -> UpcastersError {
    let builder = Retold::builder();
    let builder = sets
        .into_iter()
        .fold(builder, |builder, set| builder.upcasters(set));
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("data");
    match builder.open(&location).await {
        Err(Error::Upcasters(error)) => {
            assert!(!location.exists(), "something was opened");
            *error
        }
        other => panic!("opened: {other:?}"),
    }
}

#[tokio::test]
async fn a_gap_is_refused() {
    let gap = Upcasters::of("Account")
        .change("account.opened", "1.0.0", "2.0.0", same)
        .change("account.opened", "3.0.0", "4.0.0", same);
    insta::assert_snapshot!(refused([gap]).await, @"use the upcasters of Account: of account.opened the versions 2.0.0 and 4.0.0 are not taken further, and only one can be today's; add an upcaster of account.opened from each other one to it");
    let not_reached = Upcasters::new()
        .change("account.opened", "1.0.0", "2.0.0", same)
        .current("account.opened", "3.0.0");
    insta::assert_snapshot!(refused([not_reached]).await, @"use the upcasters: of account.opened the versions 2.0.0 and 3.0.0 are not taken further, and only one can be today's; add an upcaster of account.opened from each other one to it");
}

#[tokio::test]
async fn a_loop_is_refused() {
    let round = Upcasters::new()
        .change("account.opened", "1.0.0", "2.0.0", same)
        .rename(
            ("account.opened", "2.0.0"),
            ("account.created", "1.0.0"),
            same,
        )
        .split(
            ("account.created", "1.0.0"),
            [("account.named", "1.0.0"), ("account.opened", "1.0.0")],
            |_: Value| Ok(Vec::<Part>::new()),
        );
    insta::assert_snapshot!(refused([round]).await, @"use the upcasters: they lead in a circle, account.created 1.0.0 → account.opened 1.0.0 → account.opened 2.0.0 → account.created 1.0.0; remove one of them");
    let itself = Upcasters::new().change("account.opened", "1.0.0", "1.0.0", same);
    insta::assert_snapshot!(refused([itself]).await, @"use the upcasters: they lead in a circle, account.opened 1.0.0 → account.opened 1.0.0; remove one of them");
}

#[tokio::test]
async fn an_ambiguity_is_refused() {
    let two = Upcasters::new()
        .change("account.opened", "1.0.0", "2.0.0", same)
        .rename(
            ("account.opened", "1.0.0"),
            ("account.created", "1.0.0"),
            same,
        );
    insta::assert_snapshot!(refused([two]).await, @"use the upcasters: two take account.opened 1.0.0 further, one to account.opened 2.0.0 and one to account.created 1.0.0; keep one of them");
    // One for all types and one for this type are two as well: neither goes before the other.
    let of_all = Upcasters::new().discard("account.opened", "1.0.0");
    let of_one = Upcasters::of("Account").change("account.opened", "1.0.0", "2.0.0", same);
    let error = refused([of_one.clone(), of_all]).await;
    insta::assert_snapshot!(error, @"use the upcasters of Account: two take account.opened 1.0.0 further, one to account.opened 2.0.0 and one to nothing; keep one of them");
    let of_other = Upcasters::of("Order").discard("account.opened", "1.0.0");
    let builder = Retold::builder().upcasters(of_one).upcasters(of_other);
    assert!(builder.open("memory:").await.is_ok());
}

#[tokio::test]
async fn a_current_version_that_is_taken_further_is_refused() {
    let old = Upcasters::new()
        .change("account.opened", "1.0.0", "2.0.0", same)
        .current("account.opened", "1.0.0");
    insta::assert_snapshot!(refused([old]).await, @"use the upcasters: account.opened 1.0.0 is declared to be today's version, and an upcaster takes it to account.opened 2.0.0; declare the newer version instead, or remove the upcaster");
}

#[tokio::test]
async fn names_that_no_event_can_have_are_refused() {
    let own = Upcasters::new().discard("$machine.added", "1.0.0");
    insta::assert_snapshot!(refused([own]).await, @r#"use the upcasters: "$machine.added" is one of Retold's own event types, which start with $; choose another"#);
    let empty = Upcasters::new().change("account.opened", "", "2.0.0", same);
    insta::assert_snapshot!(refused([empty]).await, @r#"use the upcasters: "" is neither an event type nor a version; name one"#);
}
