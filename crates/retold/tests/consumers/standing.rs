//! How a consumer stands, what an audit finds, and sending one elsewhere.

use std::time::Duration;

use retold::consumer::{Consumer, ConsumerStart};
use retold::{Error, Retold, StreamQuery};

use crate::support::{PATIENCE, append, quick, stream, until};

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
