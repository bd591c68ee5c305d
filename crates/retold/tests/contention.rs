//! A transition on a stream that others write to all the time: it is tried again, and not for
//! ever.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use retold::{
    Appended, Capabilities, Error, EventId, EventStore, LogHead, LogPage, LogQuery, Position,
    RecordedEvent, Retold, StoreError, StreamHead, StreamId, StreamPage, StreamQuery, StreamsPage,
    StreamsQuery, TRANSITION_ATTEMPTS_MAX,
};
use retold_core::{Append, Era, RestoreBatch};
use retold_memory::MemoryStore;
use support::{comment, start_work};

/// A store on which somebody else appends right before each append, for a while.
struct Busy {
    store: MemoryStore,
    others: AtomicUsize,
}

#[async_trait]
impl EventStore for Busy {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn history(&self) -> Vec<Era> {
        self.store.history()
    }

    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        let left = self.others.load(Ordering::Relaxed);
        if left > 0 {
            self.others.store(left - 1, Ordering::Relaxed);
            let other = Append::new(vec![comment("1")]);
            self.store.append(other).await?;
        }
        self.store.append(append).await
    }

    async fn restore(&self, batch: RestoreBatch) -> Result<Position, StoreError> {
        self.store.restore(batch).await
    }

    async fn read_stream(&self, query: StreamQuery) -> Result<StreamPage, StoreError> {
        self.store.read_stream(query).await
    }

    async fn read_log(&self, query: LogQuery) -> Result<LogPage, StoreError> {
        self.store.read_log(query).await
    }

    async fn read_event(&self, event_id: EventId) -> Result<Option<RecordedEvent>, StoreError> {
        self.store.read_event(event_id).await
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, StoreError> {
        self.store.stream_head(stream).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        self.store.head().await
    }

    async fn streams(&self, query: StreamsQuery) -> Result<StreamsPage, StoreError> {
        self.store.streams(query).await
    }

    async fn wait_past(&self, position: Position) -> Result<Position, StoreError> {
        self.store.wait_past(position).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }
}

async fn on_busy_stream(others: usize) -> Retold {
    let store = Busy {
        store: MemoryStore::new(),
        others: AtomicUsize::new(others),
    };
    let builder = Retold::builder().builtin_machines().store(Arc::new(store));
    builder.build().await.unwrap()
}

#[tokio::test]
async fn a_lost_race_begins_again_until_it_is_won() {
    let retold = on_busy_stream(TRANSITION_ATTEMPTS_MAX - 1).await;
    let done = retold.transition(start_work("1")).await.unwrap();
    let others = TRANSITION_ATTEMPTS_MAX as u64 - 1;
    assert_eq!(done.event.sequence_number, others + 1);
}

#[tokio::test]
async fn a_race_that_cannot_be_won_ends_with_the_conflict() {
    let retold = on_busy_stream(TRANSITION_ATTEMPTS_MAX).await;
    let transition = start_work("1");
    let event_id = transition.metadata().event_id;
    match retold.transition(transition).await {
        Err(Error::Store(StoreError::Conflict { event_ids, .. })) => {
            assert_eq!(event_ids, [event_id]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(retold.event(event_id).await.unwrap(), None);
}
