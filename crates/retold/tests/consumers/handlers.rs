//! The kinds of handlers: inside a transaction, of the bus, and for typed events.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use retold::consumer::ConsumerStart;
use retold::{Error, NewEvent, Retold, StreamId};
use retold_sqlite::rusqlite;

use crate::support::{append, quick, stream, until, until_finished};

/// What a handler has written in the transactions that kept its progress.
fn written(connection: &rusqlite::Connection) -> Vec<(String, i64)> {
    let mut statement = connection
        .prepare("SELECT stream, sequence FROM seen ORDER BY stream, sequence")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_writes_is_kept_with_the_progress_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    for _ in 0..5 {
        append(&retold, "a", 1).await;
        append(&retold, "b", 1).await;
    }
    let state = folder.path().join("state.db");
    let own = rusqlite::Connection::open(&state).unwrap();
    own.execute_batch("CREATE TABLE seen (stream TEXT, sequence INTEGER) STRICT")
        .unwrap();
    let consumer = retold.consumer("table", quick()).await.unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let running = tokio::spawn({
        let (consumer, calls) = (consumer.clone(), calls.clone());
        let tried = Mutex::new(std::collections::HashSet::new());
        async move {
            let handler = move |event: &retold::RecordedEvent, db: &rusqlite::Connection| {
                let sequence = event.sequence_number.cast_signed();
                let row = (&**event.stream.aggregate_id(), sequence);
                db.execute("INSERT INTO seen VALUES (?1, ?2)", row)
                    .map_err(|error| error.to_string())?;
                // The first call for each event fails after it has written.
                calls.fetch_add(1, Ordering::SeqCst);
                let is_first = tried.lock().unwrap().insert(event.position);
                match event.sequence_number {
                    4 if is_first => panic!("what now"),
                    _ if is_first => Err("no".to_owned()),
                    _ => Ok(()),
                }
            };
            consumer.run_in_transaction(handler).await
        }
    });
    until_finished(&consumer).await;
    let whole: Vec<_> = ["a", "b"]
        .into_iter()
        .flat_map(|stream| (1..=5).map(move |n| (stream.to_owned(), n)))
        .collect();
    assert_eq!(written(&own), whole);
    assert_eq!(
        calls.load(Ordering::SeqCst),
        20,
        "each event was tried twice"
    );
    let audit = retold.audit_consumer("table").await.unwrap();
    assert!(audit.is_complete && audit.acknowledged == 10, "{audit:?}");
    retold.close().await.unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_more_than_was_committed() {
    const EVENTS: u64 = 300;
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    append(&retold, "a", 300).await;
    let own = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    own.execute_batch("CREATE TABLE seen (stream TEXT, sequence INTEGER) STRICT")
        .unwrap();
    let consumer = retold.consumer("table", quick()).await.unwrap();
    let running = tokio::spawn({
        let consumer = consumer.clone();
        let handler = |event: &retold::RecordedEvent, db: &rusqlite::Connection| {
            let row = ("a", event.sequence_number.cast_signed());
            let insert = db.execute("INSERT INTO seen VALUES (?1, ?2)", row);
            insert.map(|_| ()).map_err(|error| error.to_string())
        };
        async move { consumer.run_in_transaction(handler).await }
    });
    let check = |told: u64, by: &str| {
        let committed = written(&own).len() as u64;
        assert!(told.min(EVENTS) <= committed, "{by}: {told}, {committed}");
    };
    loop {
        let awaited = consumer.position() + 1;
        if awaited > EVENTS {
            break;
        }
        consumer.wait_through(awaited).await;
        check(awaited, "wait_through");
        let status = consumer.status().await.unwrap();
        check(status.position, "status");
        check(status.acknowledged, "acknowledged");
        check(consumer.position(), "position");
    }
    retold.close().await.unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_side_store_without_such_transactions_says_so() {
    let retold = Retold::open("memory:").await.unwrap();
    append(&retold, "a", 1).await;
    let consumer = retold.consumer("table", quick()).await.unwrap();
    let never = |_: &retold::RecordedEvent, _: &rusqlite::Connection| Ok::<_, String>(());
    let error = consumer.run_in_transaction(never).await.unwrap_err();
    assert!(
        matches!(error, Error::Store(retold_core::Error::Unsupported { .. })),
        "{error}"
    );
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_subscription_of_the_bus_is_a_consumer() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    append(&retold, "before", 1).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let fails = Arc::new(AtomicBool::new(true));
    let handler = {
        let (seen, fails) = (seen.clone(), fails.clone());
        move |event: retold::BusEvent| {
            let (seen, fails) = (seen.clone(), fails.clone());
            async move {
                if fails.swap(false, Ordering::SeqCst) {
                    return Err("not yet");
                }
                seen.lock().unwrap().push((event.topic, event.event_type));
                Ok(())
            }
        }
    };
    let subscribe = async |retold: &Retold| {
        let mut settings = quick();
        settings.start = ConsumerStart::Now;
        let bus = retold.bus().subscribe("order.events", handler.clone());
        bus.durable("orders").settings(settings).await.unwrap()
    };
    let subscription = subscribe(&retold).await;
    append(&retold, "1", 1).await;
    let other = NewEvent::new(StreamId::new("Note", "1").unwrap(), "noted", &1).unwrap();
    retold.append(other.clone()).await.unwrap();
    until("the first event", || async {
        let head = retold.store().head().await.unwrap().position;
        let statistics = subscription.statistics();
        statistics.position >= head && statistics.delivered == 1
    })
    .await;
    let statistics = subscription.statistics();
    assert_eq!((statistics.delivered, statistics.failed), (1, 1));
    subscription.unsubscribe().await;
    append(&retold, "2", 1).await;
    assert_eq!(seen.lock().unwrap().len(), 1, "nobody subscribes");
    retold.close().await.unwrap();

    let retold = Retold::open(folder.path()).await.unwrap();
    let _subscription = subscribe(&retold).await;
    until("the event in between", || async {
        seen.lock().unwrap().len() == 2
    })
    .await;
    let expected = ("order.events".to_owned(), "order.changed".to_owned());
    assert_eq!(*seen.lock().unwrap(), [expected.clone(), expected]);
    assert!(retold.audit_consumer("orders").await.unwrap().is_complete);
    retold.close().await.unwrap();
}

#[cfg(feature = "derive")]
mod typed {
    use retold::Upcasters;

    use super::*;

    #[derive(retold::Event)]
    enum OrderEvent {
        #[event("order.placed", version = "2.0.0")]
        Placed { cents: u64 },
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_typed_handler_meets_todays_events() {
        let upcasters = Upcasters::of("Order").change(
            "order.placed",
            "1.0.0",
            "2.0.0",
            |old: serde_json::Value| {
                let euros = old["euros"].as_u64().ok_or("no euros")?;
                Ok(serde_json::json!({"cents": euros * 100}))
            },
        );
        let retold = Retold::builder().upcasters(upcasters);
        let retold = retold.open("memory:").await.unwrap();
        for (id, payload) in [("1", r#"{"euros":7}"#), ("2", r#"{"pounds":7}"#)] {
            let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
            let event = NewEvent::new(stream(id), "order.placed", &payload).unwrap();
            retold.append(event).await.unwrap();
        }
        let consumer = retold.consumer("totals", quick()).await.unwrap();
        let (seen, mut totals) = tokio::sync::mpsc::unbounded_channel();
        let running = consumer.clone();
        tokio::spawn(async move {
            running
                .run_typed(move |OrderEvent::Placed { cents }, recorded| {
                    let sent = seen.send((cents, recorded.position));
                    async move { sent }
                })
                .await;
        });
        assert_eq!(totals.recv().await, Some((700, 1)));
        until("a parked event", || async { consumer.parked().len() == 1 }).await;
        let error = consumer.parked().remove(0).error;
        assert!(error.contains("no euros"), "{error}");
        retold.close().await.unwrap();
    }
}
