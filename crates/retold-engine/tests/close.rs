//! Closing a store: however often and by whomever, the folder is free only once nothing is
//! written to it any more.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use retold_core::{Append, EventStore, NewEvent, StreamId};
use retold_engine::{EngineStore, Options};

fn event() -> NewEvent {
    let stream = StreamId::new("Issue", "42").unwrap();
    NewEvent::new(stream, "issue.changed", &"x".repeat(100_000)).unwrap()
}

/// A second `close` once gave the lock back while the first still waited for the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_closed_twice_at_once_is_free_only_when_all_is_written() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(EngineStore::open(folder.path(), Options::default()).unwrap());
        let appends: Vec<_> = (0..50)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.append(Append::new(vec![event()])).await })
            })
            .collect();
        let (one, other) = (Arc::clone(&store), Arc::clone(&store));
        let other = tokio::spawn(async move { other.close().await });
        let abandoned = one.close();
        drop(abandoned);
        store.close().await.unwrap();
        let next = EngineStore::open(folder.path(), Options::default()).unwrap();
        next.append(Append::new(vec![event()])).await.unwrap();
        let mut acknowledged = 1;
        for append in appends {
            acknowledged += u64::from(append.await.unwrap().is_ok());
        }
        other.await.unwrap().unwrap();
        assert!(next.head().await.unwrap().position >= acknowledged);
        next.close().await.unwrap();
        let report = retold_engine::verify(folder.path()).unwrap();
        assert!(report.is_whole(), "{report:?}");
        assert!(report.head >= acknowledged);
    }
}
