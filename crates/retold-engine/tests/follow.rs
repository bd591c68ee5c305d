//! Reading a log that another handle writes: nothing uncertain is shown, and what is certain
//! is shown soon, across the beginnings of segments.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::time::{Duration, Instant};

use retold_core::{Append, Entry, Error, EventStore, LogQuery, NewEvent, StreamId};
use retold_engine::{EngineStore, IndexOptions, Options};

fn open(folder: &Path, read_only: bool) -> Result<EngineStore, Error> {
    let options = Options {
        segment_bytes_max: 8 * 1024,
        reserve_bytes: 1024,
        index: IndexOptions {
            memory_events: 8,
            ..IndexOptions::default()
        },
        read_only,
        ..Options::default()
    };
    EngineStore::open(folder, options)
}

fn event(nth: usize) -> NewEvent {
    let stream = StreamId::new("Issue", format!("{}", nth % 7)).unwrap();
    NewEvent::new(stream, "issue.changed", &"x".repeat(100)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_everything_soon_and_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path(), false).unwrap();
    writer.append(Append::new(vec![event(0)])).await.unwrap();
    let follower = open(folder.path(), true).unwrap();
    let refused = follower.append(Append::new(vec![event(0)])).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    let mut written = 1;
    for round in 0..20 {
        for nth in 0..10 {
            writer
                .append(Append::new(vec![event(round * 10 + nth)]))
                .await
                .unwrap();
            written += 1;
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut seen = follower.head().await.unwrap().position;
        while seen < written {
            assert!(Instant::now() < deadline, "saw {seen} of {written}");
            let next = tokio::time::timeout(Duration::from_secs(30), follower.wait_past(seen));
            seen = next.await.expect("a mark follows the last group").unwrap();
        }
    }
    let query = LogQuery::after(0).limit(1_000);
    let expected = writer.read_log(query.clone()).await.unwrap();
    assert_eq!(follower.read_log(query).await.unwrap(), expected);
    assert!(
        expected
            .entries
            .iter()
            .all(|entry| matches!(entry, Entry::Event(_)))
    );
    follower.close().await.unwrap();
    writer.close().await.unwrap();
    assert!(retold_engine::verify(folder.path()).unwrap().is_whole());
}

#[tokio::test]
async fn there_must_be_a_log_to_follow() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        open(folder.path(), true),
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        open(&folder.path().join("none"), true),
        Err(Error::NotFound { .. })
    ));
    assert!(!folder.path().join("none").exists());
}
