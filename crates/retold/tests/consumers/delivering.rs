//! Delivering and answering: in order, again after a failure or a restart, parked and passed over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use retold::consumer::ConsumerStart;
use retold::{Error, Retold, StreamId, StreamQuery};

use crate::support::{PATIENCE, Seen, append, quick, stream, until, until_finished};

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
