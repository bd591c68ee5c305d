//! The bus: handlers that fail, panic, dawdle and end; patterns; statistics.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use retold::{BusEvent, BusSubscription, Error, Machine, NewEvent, Retold, StreamId, topics};
use support::{block, comment, eventually, in_memory, start_work};
use tokio::sync::{Notify, oneshot};

type Seen = Arc<Mutex<Vec<BusEvent>>>;

async fn collect(retold: &Retold, topic: &str) -> (Seen, BusSubscription) {
    let seen = Seen::default();
    let into = seen.clone();
    let handler = move |event| {
        into.lock().unwrap().push(event);
        async { Ok::<(), Error>(()) }
    };
    let subscription = retold.bus().subscribe(topic, handler).await.unwrap();
    (seen, subscription)
}

fn types(seen: &Seen) -> Vec<String> {
    let seen = seen.lock().unwrap();
    seen.iter().map(|event| event.event_type.clone()).collect()
}

#[tokio::test]
async fn transitions_and_plain_events_come_in_order_from_the_moment_of_subscribing() {
    let retold = in_memory().await;
    retold.append(comment("1")).await.unwrap();
    let (seen, _) = collect(&retold, topics::ISSUE_EVENTS).await;
    retold.transition(start_work("1")).await.unwrap();
    let comment = comment("1").actor("user-1").causation_id("cause");
    retold.append(comment.clone()).await.unwrap();
    retold.transition(block("1")).await.unwrap();
    eventually("delivery", || seen.lock().unwrap().len() == 3).await;
    let changed = "issue.state.changed";
    assert_eq!(types(&seen), [changed, "issue.commented", changed]);
    let plain = seen.lock().unwrap()[1].clone();
    assert_eq!(plain.payload, comment.payload);
    assert_eq!(plain.metadata.user_id.as_deref(), Some("user-1"));
    assert_eq!(plain.metadata.causation_id.as_deref(), Some("cause"));
    assert_eq!(plain.metadata.position, 3);
    assert_eq!(plain.event.sequence_number, 3);
}

#[tokio::test]
async fn a_topic_is_the_type_in_kebab_case_and_may_be_a_pattern() {
    let retold = in_memory().await;
    let (all, _) = collect(&retold, "*").await;
    let (orders, _) = collect(&retold, "*-order.events").await;
    let (issues, _) = collect(&retold, "issue.events").await;
    let purchase = StreamId::new("PurchaseOrder", "1").unwrap();
    let placed = NewEvent::new(purchase, "placed", &1).unwrap();
    retold.append(vec![comment("1"), placed]).await.unwrap();
    // What Retold writes for itself is not on the bus.
    retold.machines().add(Machine::issue()).await.unwrap();
    retold.append(comment("2")).await.unwrap();
    eventually("delivery", || all.lock().unwrap().len() == 3).await;
    eventually("delivery", || issues.lock().unwrap().len() == 2).await;
    assert_eq!(types(&orders), ["placed"]);
    assert_eq!(orders.lock().unwrap()[0].topic, "purchase-order.events");
    assert_eq!(
        types(&all),
        ["issue.commented", "placed", "issue.commented"]
    );
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_is_counted_and_stops_nobody() {
    let retold = in_memory().await;
    let (seen, well) = collect(&retold, "*").await;
    let failing = |event: BusEvent| async move {
        match event.metadata.position {
            1 => Err("not today"),
            2 => panic!("never"),
            _ => Ok(()),
        }
    };
    let failing = retold.bus().subscribe("*", failing).await.unwrap();
    let at_once = |event: BusEvent| {
        assert_ne!(event.metadata.position, 3, "before the future is made");
        async { Ok::<(), Error>(()) }
    };
    let at_once = retold.bus().subscribe("*", at_once).await.unwrap();
    for _ in 0..4 {
        retold.append(comment("1")).await.unwrap();
    }
    for subscription in [&well, &failing, &at_once] {
        eventually("delivery", || subscription.statistics().position == 4).await;
    }
    assert_eq!(seen.lock().unwrap().len(), 4);
    let failing = failing.statistics();
    assert_eq!((failing.delivered, failing.failed), (2, 2));
    assert_eq!(failing.last_error.as_deref(), Some("panicked: never"));
    let at_once = at_once.statistics();
    assert_eq!((at_once.delivered, at_once.failed), (3, 1));
    assert!(
        at_once
            .last_error
            .unwrap()
            .contains("before the future is made")
    );
    let sum = retold.bus().statistics();
    assert_eq!((sum.delivered, sum.failed, sum.position), (9, 3, 4));
    assert_eq!(well.statistics().last_error, None);
}

#[tokio::test]
async fn a_slow_handler_delays_nobody_and_is_waited_for_when_it_ends() {
    let retold = in_memory().await;
    let (started, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (started, release) = (started.clone(), release.clone());
        move |_| {
            let (started, release) = (started.clone(), release.clone());
            async move {
                started.notify_one();
                release.notified().await;
                Ok::<(), Error>(())
            }
        }
    };
    let slow = retold.bus().subscribe("*", handler).await.unwrap();
    let (seen, _) = collect(&retold, "*").await;
    for _ in 0..3 {
        retold.append(comment("1")).await.unwrap();
    }
    eventually("delivery", || seen.lock().unwrap().len() == 3).await;
    started.notified().await;
    assert_eq!(slow.statistics().delivered, 0);
    let (ended, mut has_ended) = oneshot::channel();
    tokio::spawn(async move {
        slow.unsubscribe().await;
        ended.send(slow.statistics()).unwrap();
    });
    tokio::task::yield_now().await;
    assert!(has_ended.try_recv().is_err());
    release.notify_one();
    let statistics = has_ended.await.unwrap();
    assert_eq!(statistics.delivered, 1);
    assert_eq!(statistics.position, 1);
}

#[tokio::test]
async fn after_unsubscribing_nothing_is_delivered() {
    let retold = in_memory().await;
    let (seen, subscription) = collect(&retold, "*").await;
    let (others, _) = collect(&retold, "*").await;
    retold.append(comment("1")).await.unwrap();
    eventually("delivery", || seen.lock().unwrap().len() == 1).await;
    subscription.unsubscribe().await;
    subscription.unsubscribe().await;
    retold.append(comment("1")).await.unwrap();
    eventually("delivery", || others.lock().unwrap().len() == 2).await;
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_handler_may_end_its_own_subscription_and_use_the_handle() {
    let retold = in_memory().await;
    let own: Arc<Mutex<Option<Arc<BusSubscription>>>> = Arc::default();
    let handler = {
        let (own, retold) = (own.clone(), retold.clone());
        move |event: BusEvent| {
            let (own, retold) = (own.clone(), retold.clone());
            async move {
                let id = event.event.stream.aggregate_id().clone();
                retold.append(comment(&format!("after {id}"))).await?;
                let subscription = own.lock().unwrap().clone();
                subscription.unwrap().unsubscribe().await;
                Ok::<(), Error>(())
            }
        }
    };
    let subscription = Arc::new(retold.bus().subscribe("*", handler).await.unwrap());
    *own.lock().unwrap() = Some(subscription.clone());
    retold.append(comment("1")).await.unwrap();
    eventually("delivery", || subscription.statistics().delivered == 1).await;
    retold.close().await.unwrap();
    assert_eq!(subscription.statistics().delivered, 1);
}

#[tokio::test]
async fn the_last_handle_takes_its_subscriptions_along() {
    let retold = in_memory().await;
    let store = Arc::downgrade(retold.store());
    let (_, subscription) = collect(&retold, "*").await;
    drop(retold);
    eventually("the end of the reader", || store.strong_count() == 0).await;
    drop(subscription);
}

#[tokio::test]
async fn closing_ends_all_subscriptions() {
    let retold = in_memory().await;
    let (_, subscription) = collect(&retold, "*").await;
    retold.append(comment("1")).await.unwrap();
    eventually("delivery", || subscription.statistics().delivered == 1).await;
    retold.close().await.unwrap();
    assert_eq!(retold.bus().statistics(), retold::BusStatistics::default());
}
