//! Following the log: history first, then live. `Subscription` reads any store; what a store
//! owes it are honest pages and waits that end.

use std::sync::Arc;
use std::time::Duration;

use retold_core::{Append, Filter, RecordedEvent, Subscription};

use crate::events::{
    assert_invalid, event, issue, numbered, ok, positions, refused, several, stream,
};
use crate::{Places, Subject};

/// Follows a subscription to a position and returns what was delivered.
async fn follow_through(subscription: &mut Subscription, through: u64) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    while subscription.complete_through() < through {
        let before = subscription.complete_through();
        let batch = ok(subscription.next().await);
        assert!(batch.entries.len() <= Subscription::BATCH_ENTRIES);
        assert!(batch.complete_through >= before, "a batch went back");
        for entry in batch.entries {
            let event = ok(entry.into_event());
            assert!(event.position > before && event.position <= batch.complete_through);
            let previous = events.last().map_or(0, |event| event.position);
            assert!(
                event.position > previous,
                "{} after {previous}",
                event.position
            );
            events.push(event);
        }
    }
    events
}

/// Appends numbered events to one stream beside the caller, in calls of one to seven.
fn write_beside(subject: &Subject, count: u64) -> tokio::task::JoinHandle<()> {
    let store = Arc::clone(&subject.store);
    tokio::spawn(async move {
        let stream = issue("live");
        let mut written = 0;
        while written < count {
            let size = (written % 7 + 1).min(count - written);
            let events = (0..size).map(|nth| numbered(&stream, written + nth + 1));
            ok(store.append(Append::new(events.collect())).await);
            written += size;
        }
    })
}

/// History joins live events without a gap and without a repeat, beside a writer.
pub async fn history_and_live_join_without_gap_or_repeat(places: Places) {
    let subject = Subject::new(places).await;
    subject.append(several(&issue("1"), 600)).await;
    let writer = write_beside(&subject, 600);
    let mut subscription = Subscription::new(Arc::clone(&subject.store), 0, Filter::default());
    let events = follow_through(&mut subscription, 1_200).await;
    assert_eq!(positions(&events), (1..=1_200).collect::<Vec<_>>());
    ok(writer.await);
}

/// The head is told once when it is reached, with an empty batch if need be.
pub async fn the_head_is_told_once(places: Places) {
    let subject = Subject::new(places).await;
    let mut subscription = Subscription::new(Arc::clone(&subject.store), 0, Filter::default());
    let batch = ok(subscription.next().await);
    assert!(batch.entries.is_empty() && batch.is_at_head);
    assert_eq!(batch.complete_through, 0);
    let recorded = subject.append_one(event(&issue("1"))).await;
    let batch = ok(subscription.next().await);
    assert_eq!(batch.entries, [retold_core::Entry::Event(recorded)]);
    assert!(batch.is_at_head);
}

/// Each batch says through where it is complete, also when the filter matched nothing.
pub async fn a_filter_that_matches_nothing_moves_on(places: Places) {
    let subject = Subject::new(places).await;
    subject.append(several(&issue("1"), 50)).await;
    for filter in [
        Filter {
            tags: vec!["unknown".into()],
            ..Filter::default()
        },
        Filter {
            actor: Some("nobody".into()),
            ..Filter::default()
        },
    ] {
        let head = ok(subject.head().await).position;
        let mut subscription = Subscription::new(Arc::clone(&subject.store), 0, filter);
        assert!(follow_through(&mut subscription, head).await.is_empty());
        subject.append(several(&issue("1"), 2)).await;
        assert!(follow_through(&mut subscription, head + 2).await.is_empty());
        assert_eq!(subscription.complete_through(), head + 2);
    }
}

/// A subscription starts behind a position, also behind the head.
pub async fn a_subscription_starts_behind_a_position(places: Places) {
    let subject = Subject::new(places).await;
    subject.append(several(&issue("1"), 10)).await;
    for after in [4, 10] {
        let head = ok(subject.head().await).position;
        let mut subscription =
            Subscription::new(Arc::clone(&subject.store), after, Filter::default());
        subject.append_one(event(&issue("1"))).await;
        let events = follow_through(&mut subscription, head + 1).await;
        assert_eq!(
            positions(&events),
            (after + 1..=head + 1).collect::<Vec<_>>()
        );
    }
}

/// A start past the head is invalid: whoever asks for it has seen another log.
pub async fn a_start_past_the_head_is_invalid(places: Places) {
    let subject = Subject::new(places).await;
    subject.append(several(&issue("1"), 3)).await;
    let mut subscription = Subscription::new(Arc::clone(&subject.store), 4, Filter::default());
    assert_invalid(subscription.next().await, "after");
}

/// A slow reader is never dropped and misses nothing: it reads history.
pub async fn a_slow_reader_gets_everything(places: Places) {
    let subject = Subject::new(places).await;
    let mut subscription = Subscription::new(Arc::clone(&subject.store), 0, Filter::default());
    ok(subscription.next().await);
    subject.append(several(&issue("1"), 1_000)).await;
    subject.append(several(&issue("2"), 700)).await;
    let first = ok(subscription.next().await);
    assert!(!first.is_at_head, "a batch is bounded");
    let behind = first.complete_through;
    ok(write_beside(&subject, 300).await);
    let events = follow_through(&mut subscription, 2_000).await;
    assert_eq!(positions(&events), (behind + 1..=2_000).collect::<Vec<_>>());
}

/// Dropping `next` while it waits, or while it reads, loses nothing.
pub async fn a_dropped_next_loses_nothing(places: Places) {
    let subject = Subject::new(places).await;
    let mut subscription = Subscription::new(Arc::clone(&subject.store), 0, Filter::default());
    let writer = write_beside(&subject, 300);
    let mut events = Vec::new();
    let mut waited_micros = 0;
    while subscription.complete_through() < 300 {
        // From no time at all, which drops the future wherever it stands, up to long enough.
        waited_micros = (waited_micros + 170) % 20_000;
        let wait = Duration::from_micros(waited_micros);
        if let Ok(batch) = tokio::time::timeout(wait, subscription.next()).await {
            events.extend(ok(batch).entries);
        }
    }
    ok(writer.await);
    let seen: Vec<u64> = events.iter().map(retold_core::Entry::position).collect();
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
}

/// Reserved streams are left out of a subscription unless asked for; it moves past them.
pub async fn reserved_streams_are_left_out_unless_asked(places: Places) {
    let subject = Subject::new(places).await;
    let reserved = || Append::new(vec![event(&stream("$machine", "1"))]).by_retold();
    subject.append_one(event(&issue("1"))).await;
    ok(subject.store.append(reserved()).await);
    for (include_reserved, expected) in [(false, &[1][..]), (true, &[1, 2])] {
        let filter = Filter {
            include_reserved,
            ..Filter::default()
        };
        let mut subscription = Subscription::new(Arc::clone(&subject.store), 0, filter);
        let events = follow_through(&mut subscription, 2).await;
        assert_eq!(positions(&events), expected);
    }
}

/// A wait ends when the head is past the position, for everyone who waits, and not before.
pub async fn a_wait_ends_when_the_head_is_past(places: Places) {
    let subject = Subject::new(places).await;
    let mut waits = tokio::task::JoinSet::new();
    for nth in 0..30 {
        let store = Arc::clone(&subject.store);
        let position = nth % 10;
        waits.spawn(async move { (position, ok(store.wait_past(position).await)) });
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
        subject.append_one(event(&issue("1"))).await;
    }
    while let Some(waited) = waits.join_next().await {
        let (position, head) = ok(waited);
        assert!(head > position && head <= 10, "past {position} at {head}");
    }
    assert_eq!(ok(subject.wait_past(3).await), 10);
    let wait = tokio::time::timeout(Duration::from_millis(20), subject.wait_past(10));
    assert!(wait.await.is_err(), "nothing is past the head");
}

/// A close ends the waits, which fail.
pub async fn a_close_ends_waits(places: Places) {
    let subject = Subject::new(places).await;
    let store = Arc::clone(&subject.store);
    let wait = tokio::spawn(async move { store.wait_past(0).await });
    tokio::task::yield_now().await;
    ok(subject.close().await);
    refused(ok(wait.await));
}
