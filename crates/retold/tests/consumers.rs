//! Consumers of the library: handlers, answers by hand, restarts, parked events.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use retold::consumer::{Consumer, ConsumerSettings, ConsumerStart};
use retold::{Error, NewEvent, Retold, StreamId, StreamQuery};
use retold_sqlite::rusqlite;

const PATIENCE: Duration = Duration::from_secs(20);

fn stream(id: impl ToString) -> StreamId {
    StreamId::new("Order", id.to_string()).unwrap()
}

async fn append(retold: &Retold, id: impl ToString, count: usize) {
    for nth in 0..count {
        let event = NewEvent::new(stream(id.to_string()), "order.changed", &nth).unwrap();
        retold.append(event).await.unwrap();
    }
}

fn quick() -> ConsumerSettings {
    let mut settings = ConsumerSettings::default();
    settings.retry_backoff_ms = 1;
    settings.retry_backoff_max_ms = 5;
    settings.attempts_max = 3;
    settings
}

/// Waits until something holds.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what} does not come to pass");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_finished(consumer: &Consumer) {
    until("the end of the log", || async {
        let status = consumer.status().await.unwrap();
        status.position >= status.head && status.in_flight == 0 && status.waiting_streams == 0
    })
    .await;
}

/// What a handler has seen, and in which order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<String, Vec<u64>>>>);

impl Seen {
    fn note(&self, event: &retold::RecordedEvent) {
        let mut seen = self.0.lock().unwrap();
        let of_stream = seen.entry(event.stream.aggregate_id().to_string());
        of_stream.or_default().push(event.sequence_number);
    }

    fn all(&self) -> HashMap<String, Vec<u64>> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_handled_once_and_in_the_order_of_its_stream() {
    let retold = Retold::open("memory:").await.unwrap();
    for _ in 0..20 {
        for id in 0..10 {
            append(&retold, id, 1).await;
        }
    }
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    let (seen, at_work, most) = (
        Seen::default(),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let handler = {
        let (seen, at_work, most) = (seen.clone(), at_work.clone(), most.clone());
        move |event: retold::RecordedEvent| {
            let (seen, at_work, most) = (seen.clone(), at_work.clone(), most.clone());
            async move {
                most.fetch_max(at_work.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                seen.note(&event);
                at_work.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Error>(())
            }
        }
    };
    let running = tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.run(handler).await }
    });
    append(&retold, 3, 5).await;
    until_finished(&consumer).await;
    for (id, sequences) in seen.all() {
        let count = if id == "3" { 25 } else { 20 };
        assert_eq!(sequences, Vec::from_iter(1..=count), "stream {id}");
    }
    assert!(
        most.load(Ordering::SeqCst) > 1,
        "streams are handled side by side"
    );
    retold.close().await.unwrap();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_goes_on_where_it_was_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    append(&retold, "a", 3).await;
    append(&retold, "b", 2).await;
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    let first = consumer.fetch(10, PATIENCE).await;
    assert_eq!(first.len(), 2, "one event of each stream");
    let b = first
        .iter()
        .find(|d| d.event.stream == stream("b"))
        .unwrap();
    consumer.acknowledge([b.fence]).await.unwrap();
    retold.close().await.unwrap();
    drop((consumer, retold));

    let retold = Retold::open(folder.path()).await.unwrap();
    let consumer = retold.existing_consumer("mailer").await.unwrap();
    let again = consumer.fetch(10, PATIENCE).await;
    let mut places: Vec<_> = again
        .iter()
        .map(|d| {
            (
                d.event.stream.aggregate_id().to_string(),
                d.event.sequence_number,
            )
        })
        .collect();
    places.sort();
    assert_eq!(places, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert!(
        again
            .iter()
            .all(|d| first.iter().all(|f| d.fence > f.fence))
    );
    consumer.acknowledge([first[0].fence]).await.unwrap_err();
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_of_the_side_store_is_repeated_and_not_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    append(&retold, "a", 3).await;
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    for _ in 0..2 {
        let delivery = consumer.fetch(1, PATIENCE).await.remove(0);
        consumer.acknowledge([delivery.fence]).await.unwrap();
    }
    retold.close().await.unwrap();
    drop((consumer, retold));
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.path().join(format!("state.db{end}")));
    }
    let retold = Retold::open(folder.path()).await.unwrap();
    let consumer = retold.existing_consumer("mailer").await.unwrap();
    let next = consumer.fetch(10, PATIENCE).await;
    assert_eq!(next.len(), 1);
    assert_eq!(
        next[0].event.sequence_number, 3,
        "the copy in the log tells"
    );
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_is_parked_with_its_stream_and_nothing_else_waits() {
    let retold = Retold::open("memory:").await.unwrap();
    append(&retold, "poison", 3).await;
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    let (seen, is_mended) = (Seen::default(), Arc::new(AtomicBool::new(false)));
    let handler = {
        let (seen, is_mended) = (seen.clone(), is_mended.clone());
        move |event: retold::RecordedEvent| {
            let is_poison = event.stream == stream("poison") && event.sequence_number == 1;
            let fails = is_poison && !is_mended.load(Ordering::SeqCst);
            assert!(!(fails && event.position == 2), "never");
            if !fails {
                seen.note(&event);
            }
            async move {
                if fails {
                    Err("cannot digest it")
                } else {
                    Ok(())
                }
            }
        }
    };
    tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.run(handler).await }
    });
    append(&retold, "other", 5).await;
    until("a parked event", || async { consumer.parked().len() == 1 }).await;
    until("the other stream", || async {
        seen.all().get("other").is_some_and(|s| s.len() == 5)
    })
    .await;
    let parked = consumer.parked().remove(0);
    assert_eq!((parked.sequence_number, parked.attempts), (1, 3));
    assert_eq!(parked.error, "cannot digest it");
    assert_eq!(
        seen.all().get("poison"),
        None,
        "the rest of its stream waits"
    );
    let status = consumer.status().await.unwrap();
    assert_eq!(
        (status.parked_streams, status.last_error.as_deref()),
        (1, Some("cannot digest it"))
    );

    is_mended.store(true, Ordering::SeqCst);
    consumer.replay(&stream("poison")).await.unwrap();
    until_finished(&consumer).await;
    assert_eq!(seen.all()["poison"], [1, 2, 3]);
    assert!(matches!(
        consumer.replay(&stream("poison")).await,
        Err(Error::Store(retold::StoreError::NotFound { .. }))
    ));
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_skipped_and_why_is_kept_in_the_log() {
    let retold = Retold::open("memory:").await.unwrap();
    append(&retold, "a", 2).await;
    let mut settings = quick();
    settings.attempts_max = 1;
    let consumer = retold.consumer("mailer", settings).await.unwrap();
    let delivery = consumer.fetch(1, PATIENCE).await.remove(0);
    consumer.reject([delivery.fence], "no").await.unwrap();
    assert_eq!(consumer.fetch(1, Duration::from_millis(50)).await, []);
    consumer.skip(&stream("a"), "it was a test").await.unwrap();
    let next = consumer.fetch(1, PATIENCE).await.remove(0);
    assert_eq!(next.event.sequence_number, 2);

    let decided = StreamQuery::new(StreamId::new("$consumer", "mailer").unwrap());
    let decided = retold.store().read_stream(decided).await.unwrap();
    let events = decided.into_events().unwrap();
    let skipped = events
        .iter()
        .find(|e| e.event_type == "consumer.skipped")
        .unwrap();
    let payload: serde_json::Value = skipped.payload.decode().unwrap();
    assert_eq!(
        (&payload["position"], &payload["reason"]),
        (&1.into(), &"it was a test".into())
    );
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    append(&retold, "a", 1).await;
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    consumer.pause("the receiver is moved").await.unwrap();
    retold.close().await.unwrap();
    drop((consumer, retold));
    let retold = Retold::open(folder.path()).await.unwrap();
    let consumer = retold.existing_consumer("mailer").await.unwrap();
    let status = consumer.status().await.unwrap();
    assert_eq!(status.paused.as_deref(), Some("the receiver is moved"));
    assert_eq!(consumer.fetch(1, Duration::from_millis(50)).await, []);
    consumer.resume().await.unwrap();
    assert_eq!(consumer.fetch(1, PATIENCE).await.len(), 1);
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_consumer_begins_where_it_was_told() {
    let retold = Retold::open("memory:").await.unwrap();
    append(&retold, "a", 3).await;
    let starts = [
        ("all", ConsumerStart::Beginning, Some(1)),
        ("two", ConsumerStart::After(1), Some(2)),
        ("at", ConsumerStart::At(retold::Timestamp::MIN), Some(1)),
        ("new", ConsumerStart::Now, None),
    ];
    for (name, start, first) in starts {
        let mut settings = quick();
        settings.start = start;
        let consumer = retold.consumer(name, settings).await.unwrap();
        let next = consumer
            .fetch(
                1,
                Duration::from_millis(if first.is_some() { 20_000 } else { 50 }),
            )
            .await;
        assert_eq!(next.first().map(|d| d.event.position), first, "{name}");
    }
    assert_eq!(
        retold.consumer_names().await.unwrap(),
        ["all", "at", "new", "two"]
    );
    let mut beyond = quick();
    beyond.start = ConsumerStart::After(10_000);
    assert!(retold.consumer("beyond", beyond).await.is_err());
    assert!(retold.consumer("no/name", quick()).await.is_err());
    retold.delete_consumer("two").await.unwrap();
    assert_eq!(retold.consumer_names().await.unwrap(), ["all", "at", "new"]);
    assert!(retold.existing_consumer("two").await.is_err());
    let again = retold.consumer("two", quick()).await.unwrap();
    let next = again.fetch(1, PATIENCE).await;
    assert_eq!(next[0].event.position, 1, "it begins anew");
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leaves_the_rest_out_and_the_position_moves_all_the_same() {
    let retold = Retold::open("memory:").await.unwrap();
    append(&retold, "a", 50).await;
    let mut settings = quick();
    settings.filter.event_types = vec!["never".into()];
    let consumer = retold.consumer("mailer", settings).await.unwrap();
    until_finished(&consumer).await;
    assert_eq!(consumer.status().await.unwrap().delivered, 0);
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_for_one_who_was_taken_over() {
    let first = Retold::open("memory:").await.unwrap();
    append(&first, "a", 2).await;
    let side_store: Arc<dyn retold::SideStore> = Arc::new(retold_memory::MemorySideStore::new());
    let handle = || {
        let builder = Retold::builder().store(first.store().clone());
        builder.side_store(side_store.clone()).build()
    };
    let (one, other) = (handle().await.unwrap(), handle().await.unwrap());
    let late = one.consumer("mailer", quick()).await.unwrap();
    let delivery = late.fetch(1, PATIENCE).await.remove(0);
    let newer = other.existing_consumer("mailer").await.unwrap();
    let error = late.acknowledge([delivery.fence]).await.unwrap_err();
    assert_eq!(error.fences, [delivery.fence]);
    assert!(late.status().await.unwrap().ended.is_some());
    assert_eq!(late.fetch(1, Duration::from_millis(20)).await, []);
    let again = newer.fetch(1, PATIENCE).await.remove(0);
    assert_eq!(again.event, delivery.event);
    assert!(again.fence > delivery.fence);
    newer.acknowledge([again.fence]).await.unwrap();
    other.close().await.unwrap();
    assert!(newer.acknowledge([again.fence]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_under_way_is_finished_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    append(&retold, "a", 1).await;
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    let began = Arc::new(tokio::sync::Notify::new());
    let running = tokio::spawn({
        let began = began.clone();
        async move {
            let handler = move |_| {
                let began = began.clone();
                async move {
                    began.notify_one();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Ok::<_, Error>(())
                }
            };
            consumer.run(handler).await;
        }
    });
    began.notified().await;
    retold.close().await.unwrap();
    running.await.unwrap();
    drop(retold);
    let retold = Retold::open(folder.path()).await.unwrap();
    let consumer = retold.existing_consumer("mailer").await.unwrap();
    until_finished(&consumer).await;
    assert_eq!(consumer.status().await.unwrap().delivered, 0);
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_error_is_kept_in_part() {
    let retold = Retold::open("memory:").await.unwrap();
    append(&retold, "a", 1).await;
    let mut settings = quick();
    settings.attempts_max = 1;
    let consumer = retold.consumer("mailer", settings).await.unwrap();
    let delivery = consumer.fetch(1, PATIENCE).await.remove(0);
    let error = "\u{1F980}".repeat(1 << 20);
    consumer.reject([delivery.fence], error).await.unwrap();
    let parked = consumer.parked().remove(0);
    assert_eq!(parked.error.len(), 1_024);
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_progress_is_no_reason_for_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut heads = Vec::new();
    for turn in 0..4 {
        let retold = Retold::open(folder.path()).await.unwrap();
        if turn == 0 {
            append(&retold, "a", 1).await;
        }
        let consumer = retold.consumer("mailer", quick()).await.unwrap();
        if turn == 0 {
            let delivery = consumer.fetch(1, PATIENCE).await.remove(0);
            consumer.acknowledge([delivery.fence]).await.unwrap();
        }
        until_finished(&consumer).await;
        retold.close().await.unwrap();
        drop((consumer, retold));
        let retold = Retold::open(folder.path()).await.unwrap();
        heads.push(retold.store().head().await.unwrap().position);
        retold.close().await.unwrap();
    }
    assert_eq!(heads, [3; 4], "the event, the definition, and one copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_reads_the_log_hands_nothing_out() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    append(&retold, "a", 1).await;
    retold.consumer("mailer", quick()).await.unwrap();
    let reader = Retold::builder()
        .read_only()
        .open(folder.path())
        .await
        .unwrap();
    assert!(reader.existing_consumer("mailer").await.is_err());
    reader.close().await.unwrap();
    retold.close().await.unwrap();
}

/// A consumer of which one stream is parked at its first event.
async fn with_one_parked(retold: &Retold) -> Consumer {
    append(retold, "good", 3).await;
    append(retold, "bad", 2).await;
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    let running = consumer.clone();
    tokio::spawn(async move {
        running
            .run(|event| async move {
                match &**event.stream.aggregate_id() {
                    "bad" => Err("no"),
                    _ => Ok(()),
                }
            })
            .await;
    });
    until("a parked event", || async {
        let status = consumer.status().await.unwrap();
        status.parked_streams == 1 && status.position >= 5
    })
    .await;
    consumer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_tells_what_is_finished_what_waits_and_what_was_passed_over() {
    let retold = Retold::open("memory:").await.unwrap();
    let consumer = with_one_parked(&retold).await;
    let audit = retold.audit_consumer("mailer").await.unwrap();
    assert!(audit.is_complete, "{audit:?}");
    assert_eq!((audit.due, audit.waiting, audit.expected), (5, 2, 3));
    assert_eq!(audit.acknowledged, 3);

    consumer
        .skip(&stream("bad"), "it was a test")
        .await
        .unwrap();
    until("the event behind it", || async {
        retold.consumer_parked("mailer").await.unwrap().len() == 1
    })
    .await;
    let audit = retold.audit_consumer("mailer").await.unwrap();
    assert!(audit.is_complete, "{audit:?}");
    assert_eq!((audit.waiting, audit.acknowledged), (1, 4));
    assert_eq!(audit.skipped.len(), 1);
    assert_eq!(audit.skipped[0].reason, "it was a test");
    assert_eq!(audit.skipped[0].position, 4);
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_finds_an_event_that_was_jumped_over() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    append(&retold, "a", 3).await;
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    for _ in 0..2 {
        let taken = consumer.fetch(1, PATIENCE).await;
        consumer.acknowledge([taken[0].fence]).await.unwrap();
    }
    retold.close().await.unwrap();

    // Somebody moves the position by hand: the third event was never acknowledged.
    let side_store = retold_sqlite::SqliteSideStore::open(folder.path().join("state.db")).unwrap();
    use retold_core::SideStore;
    let kept = side_store.consumer_progress("mailer").await.unwrap();
    let kept = kept.unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    let events = retold.store().read_stream(StreamQuery::new(stream("a")));
    let third = events.await.unwrap().into_events().unwrap().remove(2);
    let epoch = side_store.claim_consumer("mailer", 0).await.unwrap();
    let mut checkpoint = kept.checkpoint.unwrap();
    checkpoint.position = third.position;
    checkpoint.event_id = third.metadata.event_id;
    let forged = retold_core::ProgressChange {
        consumer: "mailer".into(),
        epoch,
        checkpoint: Some(checkpoint),
        kept: Vec::new(),
        removed: kept
            .streams
            .into_iter()
            .map(|stream| stream.stream)
            .collect(),
        tally: kept.tally,
    };
    assert!(side_store.save_progress(forged).await.unwrap());
    let audit = retold.audit_consumer("mailer").await.unwrap();
    assert!(!audit.is_complete, "{audit:?}");
    assert_eq!((audit.expected, audit.acknowledged), (3, 2));
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_consumer_stands_is_told_without_opening_it() {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    with_one_parked(&retold).await;
    retold.close().await.unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    let status = retold.consumer_status("mailer").await.unwrap();
    assert!(!status.is_open);
    assert_eq!((status.parked_streams, status.acknowledged), (1, 3));
    assert!(status.position >= 5 && status.oldest_parked_at.is_some());
    let parked = retold.consumer_parked("mailer").await.unwrap();
    assert_eq!(parked[0].stream, stream("bad"));
    assert!(retold.audit_consumer("mailer").await.unwrap().is_complete);
    let unknown = retold.consumer_status("other").await.unwrap_err();
    assert!(matches!(
        unknown,
        Error::Store(retold_core::Error::NotFound { .. })
    ));
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_reset_begins_anew_with_its_settings() {
    let retold = Retold::open("memory:").await.unwrap();
    let consumer = with_one_parked(&retold).await;
    retold
        .reset_consumer("mailer", ConsumerStart::After(1))
        .await
        .unwrap();
    assert!(!consumer.status().await.unwrap().is_open);
    let consumer = retold.existing_consumer("mailer").await.unwrap();
    assert_eq!(*consumer.settings(), quick());
    let status = consumer.status().await.unwrap();
    assert_eq!((status.acknowledged, status.parked_streams), (0, 0));
    let first = consumer.fetch(1, PATIENCE).await;
    assert_eq!(first[0].event.position, 2);
    let past = retold.reset_consumer("mailer", ConsumerStart::After(900));
    assert!(past.await.is_err());
    let status = consumer.status().await.unwrap();
    assert!(status.is_open, "what is refused changes nothing");
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_kept_since_a_wider_one_would_skip_in_silence() {
    let retold = Retold::open("memory:").await.unwrap();
    retold.consumer("mailer", quick()).await.unwrap();
    let mut other = quick();
    other.filter.actor = Some("alice".into());
    let error = retold.consumer("mailer", other).await.unwrap_err();
    assert!(
        matches!(&error, Error::Store(retold_core::Error::Invalid { field, .. }) if field == "filter"),
        "{error}"
    );
    retold.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_can_wait_until_a_consumer_has_seen_it() {
    let retold = Retold::open("memory:").await.unwrap();
    let consumer = retold.consumer("mailer", quick()).await.unwrap();
    append(&retold, "a", 1).await;
    let position = retold.store().head().await.unwrap().position;
    let waiting = consumer.clone();
    let mut reached = tokio::spawn(async move { waiting.wait_through(position).await });
    let early = tokio::time::timeout(Duration::from_millis(20), &mut reached).await;
    assert!(early.is_err(), "nobody has digested it yet");
    let taken = consumer.fetch(1, PATIENCE).await;
    consumer.acknowledge([taken[0].fence]).await.unwrap();
    tokio::time::timeout(PATIENCE, reached)
        .await
        .unwrap()
        .unwrap();
    retold.close().await.unwrap();
}

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
