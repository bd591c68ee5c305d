//! Upcasters on each kind of read: what is derived meets today's events, what is read of the log
//! is what was written, and what cannot be upcasted is an error that names the event.

#![allow(clippy::unwrap_used)]

mod support;

use retold::{
    BoxError, Error, Filter, NewEvent, Part, RecordedEvent, Retold, StreamId, Subscription,
    Transition, UpcastError, Upcasters,
};
use serde_json::{Value, json};
use support::{issue, start_work};

fn event(event_type: &'static str, version: &'static str, payload: Value) -> NewEvent {
    let stream = StreamId::new("Order", "1").unwrap();
    let event = NewEvent::new(stream, event_type, &payload).unwrap();
    event.version(version)
}

async fn with(upcasters: Upcasters) -> Retold {
    let builder = Retold::builder().builtin_machines().upcasters(upcasters);
    builder.open("memory:").await.unwrap()
}

/// Renames and splits: an order that was placed and paid in one is two events today.
fn order() -> Upcasters {
    let placed = ("order.placed", "2.0.0");
    let paid = ("order.paid", "1.0.0");
    Upcasters::of("Order")
        .split(
            ("order.bought", "1.0.0"),
            [placed, paid],
            move |old: Value| {
                Ok(vec![
                    Part::new(placed, &json!({"item": old["item"]})),
                    Part::new(paid, &json!({"total": old["total"]})),
                ])
            },
        )
        .change("order.placed", "1.0.0", "2.0.0", |old: Value| {
            Ok(json!({"item": old}))
        })
        .discard("order.viewed", "1.0.0")
}

async fn folded(retold: &Retold, at: u64) -> Result<Vec<String>, Error> {
    let note = |seen: &mut Vec<String>, event: &RecordedEvent| {
        let (at, version) = (event.sequence_number, &event.metadata.version);
        seen.push(format!(
            "{at} {} {version} {}",
            event.event_type, event.payload
        ));
    };
    let replay = retold.replay_with("Order", "1", Vec::new(), note);
    Ok(replay.at_sequence(at).await?.state)
}

async fn delivered(subscription: &mut Subscription) -> Result<Vec<String>, Error> {
    let batch = subscription.next().await?;
    let entries = batch
        .entries
        .into_iter()
        .map(|entry| entry.into_event().unwrap());
    Ok(entries
        .map(|event| format!("{} {}", event.position, event.event_type))
        .collect())
}

#[tokio::test]
async fn several_events_of_one_have_its_place() {
    let retold = with(order()).await;
    retold
        .append(event("order.viewed", "1.0.0", json!(null)))
        .await
        .unwrap();
    retold
        .append(event(
            "order.bought",
            "1.0.0",
            json!({"item": "pen", "total": 3}),
        ))
        .await
        .unwrap();
    retold
        .append(event("order.placed", "1.0.0", json!("ink")))
        .await
        .unwrap();
    retold
        .append(event("order.shipped", "0.1", json!({})))
        .await
        .unwrap();
    assert_eq!(folded(&retold, 1).await.unwrap(), [""; 0]);
    assert_eq!(
        folded(&retold, 9).await.unwrap(),
        [
            r#"2 order.placed 2.0.0 {"item":"pen"}"#,
            r#"2 order.paid 1.0.0 {"total":3}"#,
            r#"3 order.placed 2.0.0 {"item":"ink"}"#,
            "4 order.shipped 0.1 {}",
        ]
    );
    let replay = retold.replay_with("Order", "1", 0, |count, _| *count += 1);
    let first = replay.at_sequence(1).await.unwrap();
    assert_eq!(
        (first.state, first.sequence_number, first.position),
        (0, 1, 1)
    );

    let raw = retold.events("Order", "1").all().await.unwrap();
    let raw: Vec<&str> = raw.iter().map(|event| &*event.event_type).collect();
    assert_eq!(
        raw,
        [
            "order.viewed",
            "order.bought",
            "order.placed",
            "order.shipped"
        ]
    );
    let state = retold.reconstruct("Order", "1").await.unwrap();
    assert_eq!((state.transition_count, state.sequence_number), (4, 4));
}

#[tokio::test]
async fn a_subscription_upcasts_when_it_is_asked_to() {
    let retold = with(order()).await;
    retold
        .append(event(
            "order.bought",
            "1.0.0",
            json!({"item": "pen", "total": 3}),
        ))
        .await
        .unwrap();
    retold
        .append(event("order.viewed", "1.0.0", json!(null)))
        .await
        .unwrap();
    let mut raw = retold.subscribe(0, Filter::default());
    assert_eq!(
        delivered(&mut raw).await.unwrap(),
        ["1 order.bought", "2 order.viewed"]
    );
    let mut upcasted = retold.subscribe(0, Filter::default()).upcasted();
    assert_eq!(
        delivered(&mut upcasted).await.unwrap(),
        ["1 order.placed", "1 order.paid"]
    );
    assert_eq!(upcasted.complete_through(), 2);
    // The filter names today's type, which was written under another.
    let filter = Filter {
        event_types: vec!["order.paid".into()],
        ..Filter::default()
    };
    let mut paid = retold.subscribe(0, filter).upcasted();
    assert_eq!(delivered(&mut paid).await.unwrap(), ["1 order.paid"]);
}

#[tokio::test]
async fn a_subscription_stops_at_an_event_that_it_cannot_upcast_and_never_passes_over_it() {
    let retold = with(order()).await;
    retold
        .append(event("order.placed", "1.0.0", json!("ink")))
        .await
        .unwrap();
    retold
        .append(event("order.placed", "3.0.0", json!("?")))
        .await
        .unwrap();
    retold
        .append(event("order.placed", "1.0.0", json!("pen")))
        .await
        .unwrap();
    let mut upcasted = retold.subscribe(0, Filter::default()).upcasted();
    assert_eq!(delivered(&mut upcasted).await.unwrap(), ["1 order.placed"]);
    for _ in 0..2 {
        let refused = delivered(&mut upcasted).await;
        assert!(
            matches!(refused, Err(Error::Upcast { position: 2, .. })),
            "{refused:?}"
        );
        assert_eq!(upcasted.complete_through(), 1);
    }
}

#[tokio::test]
async fn a_version_that_is_not_known_is_an_error_and_no_guess() {
    let retold = with(order()).await;
    retold
        .append(event("order.placed", "2.0.0", json!({"item": "pen"})))
        .await
        .unwrap();
    retold
        .append(event("order.placed", "2.0", json!({"item": "pen"})))
        .await
        .unwrap();
    let error = folded(&retold, 9).await.unwrap_err();
    insta::assert_snapshot!(
        error,
        @"upcast event 2 of Order/1 (position 2): order.placed 2.0 is not a version that the upcasters know (1.0.0, 2.0.0); if a newer program wrote it, update this one, else add an upcaster that begins at 2.0"
    );
    assert_eq!(folded(&retold, 1).await.unwrap().len(), 1);
    assert!(retold.state("Order", "1").await.is_err());

    // Of a type that no upcaster names, today's version may be declared.
    let retold = with(order().current("order.shipped", "1.0.0")).await;
    retold
        .append(event("order.shipped", "1.0.0", json!({})))
        .await
        .unwrap();
    assert!(folded(&retold, 9).await.is_ok());
    retold
        .append(event("order.shipped", "2.0.0", json!({})))
        .await
        .unwrap();
    assert!(folded(&retold, 9).await.is_err());
}

#[tokio::test]
async fn an_upcaster_that_fails_says_which() {
    let undeclared = |_: Value| Ok(vec![Part::new(("order.lost", "1.0.0"), &1)]);
    let many = |_: Value| Ok(vec![Part::new(("order.one", "1.0.0"), &1); 1_001]);
    let upcasters = Upcasters::of("Order")
        .change("order.a", "1", "2", |_: Value| {
            Err::<u8, BoxError>("no such item".into())
        })
        .change("order.b", "1", "2", |number: u32| Ok(number))
        .split(("order.c", "1"), [("order.d", "1")], undeclared)
        .split(("order.many", "1"), [("order.one", "1.0.0")], many);
    let retold = with(upcasters).await;
    for event_type in ["order.a", "order.b", "order.c", "order.many"] {
        retold
            .append(event(event_type, "1", json!("x")))
            .await
            .unwrap();
    }
    let report = retold.check_upcasters().await.unwrap();
    let reasons: Vec<&str> = report.failures.iter().map(|f| f.reason.as_str()).collect();
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    the upcaster of order.a 1 failed: no such item
    the upcaster of order.b 1 failed: not valid JSON: invalid type: string "x", expected u32 at line 1 column 3
    the upcaster of order.c 1 made order.lost 1.0.0, which it does not declare; it declares order.d 1
    order.many 1 became more than 1000 events; split it into fewer
    "#);
    let error = folded(&retold, 9).await.unwrap_err();
    let Error::Upcast { source, .. } = error else {
        panic!("{error:?}");
    };
    let UpcastError::Failed { event, .. } = *source else {
        panic!("{source:?}");
    };
    assert_eq!(event.to_string(), "order.a 1");
}

#[tokio::test]
async fn a_check_goes_on_after_failures_and_keeps_so_many() {
    let upcasters = Upcasters::of("Order").change("order.placed", "1.0.0", "2.0.0", |n: u32| {
        assert_ne!(n, 7, "seven");
        if n.is_multiple_of(2) {
            Ok(n)
        } else {
            Err("odd".into())
        }
    });
    let retold = with(upcasters).await;
    let events: Vec<_> = (0..1_000)
        .map(|n| event("order.placed", "1.0.0", json!(n)))
        .collect();
    retold.append(events).await.unwrap();
    retold
        .append(event("order.other", "1.0.0", json!(0)))
        .await
        .unwrap();
    let (heard, progress) = std::sync::mpsc::channel();
    let report = retold
        .check_upcasters()
        .failures_kept(5)
        .also(|event| match &*event.event_type {
            "order.other" => Err("nobody reads it".into()),
            _ => Ok(()),
        })
        .on_progress(move |report| heard.send(report.complete_through).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (report.events, report.upcasted, report.failed),
        (1_001, 500, 501)
    );
    assert_eq!((report.complete_through, report.head), (1_001, 1_001));
    let positions: Vec<u64> = report.failures.iter().map(|f| f.position).collect();
    assert_eq!(positions, [2, 4, 6, 8, 10]);
    assert!(
        report.failures[3].reason.contains("seven"),
        "{:?}",
        report.failures[3]
    );
    let progress: Vec<u64> = progress.iter().collect();
    assert!(
        progress.is_sorted() && progress.last() == Some(&1_001),
        "{progress:?}"
    );
    let rest = retold.check_upcasters().after(998).await.unwrap();
    assert_eq!(
        (rest.events, rest.failed, rest.failures[0].position),
        (3, 1, 1_000)
    );
}

#[tokio::test]
async fn a_machines_state_is_that_of_todays_transitions() {
    let renamed = |old: Value| {
        let mut new = old.clone();
        if old["toState"] == "IN_PROGRESS" {
            new["toState"] = json!("BLOCKED");
        }
        Ok(new)
    };
    let upcasters = Upcasters::of("Issue").change("start_work", "1.0.0", "1.1.0", renamed);
    let retold = with(upcasters).await;
    let taken = retold.transition(start_work("1")).await.unwrap();
    assert_eq!(taken.status, "IN_PROGRESS", "what was written");
    assert_eq!(taken.event.metadata.version, "1.0.0");
    // From the cache of hot states, from the log, and from a snapshot.
    let unblock = Transition::new("Issue", "1")
        .from("BLOCKED")
        .to("IN_PROGRESS")
        .event("unblock");
    retold.transition(unblock).await.unwrap();
    let first = retold
        .reconstruct("Issue", "1")
        .at_sequence(1)
        .await
        .unwrap();
    assert_eq!(first.status.as_deref(), Some("BLOCKED"));
    assert_eq!(
        first.state_history.unwrap()[0].to.as_deref(),
        Some("BLOCKED")
    );
    retold
        .snapshots("Issue", "1")
        .create()
        .force()
        .await
        .unwrap();
    let report = retold.check_snapshots().await.unwrap();
    assert_eq!((report.checked, report.differing), (1, 0));
    let raw = retold.events("Issue", "1").all().await.unwrap();
    assert!(raw[0].payload.as_str().contains("IN_PROGRESS"));
}

#[tokio::test]
async fn upcasters_of_one_type_leave_others_and_retolds_own_events_alone() {
    let upcasters = Upcasters::of("Order").discard("noted", "1.0.0");
    let builder = Retold::builder().upcasters(upcasters);
    let builder = builder.upcasters(Upcasters::new().discard("viewed", "1.0.0"));
    let retold = builder.open("memory:").await.unwrap();
    for id in ["Order", "Issue"] {
        let stream = StreamId::new(id, "1").unwrap();
        for event_type in ["noted", "viewed", "kept"] {
            retold
                .append(NewEvent::new(stream.clone(), event_type, &1).unwrap())
                .await
                .unwrap();
        }
    }
    let mut upcasted = retold.subscribe(0, Filter::default()).upcasted();
    assert_eq!(
        delivered(&mut upcasted).await.unwrap(),
        ["3 kept", "4 noted", "6 kept"]
    );
    assert_eq!(
        retold
            .state("Issue", issue("1").aggregate_id().clone())
            .await
            .unwrap()
            .transition_count,
        2
    );
}

#[tokio::test]
async fn a_transition_that_was_written_is_not_told_as_refused() {
    let fails = |_: Value| Err::<Value, BoxError>("not today".into());
    let retold = with(Upcasters::of("Issue").change("start_work", "1.0.0", "2.0.0", fails)).await;
    assert!(retold.transition(start_work("1")).await.unwrap().is_new);
    let error = retold.state("Issue", "1").await.unwrap_err();
    assert!(matches!(error, Error::Upcast { .. }), "{error}");
}
