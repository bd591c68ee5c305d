//! A store in memory that a test meddles with: what happens at an append, and what it offers.

use async_trait::async_trait;
use retold::{
    Appended, Capabilities, EventId, EventStore, LogHead, LogPage, LogQuery, Position,
    RecordedEvent, StoreError, StreamHead, StreamId, StreamPage, StreamQuery, StreamsPage,
    StreamsQuery,
};
use retold_core::{Append, Era, RestoreBatch};
use retold_memory::MemoryStore;

/// What a test does to a store.
#[async_trait]
pub(crate) trait Hook: Send + Sync + 'static {
    fn capabilities(&self, own: Capabilities) -> Capabilities {
        own
    }

    async fn append(&self, store: &MemoryStore, append: Append) -> Result<Appended, StoreError> {
        store.append(append).await
    }
}

pub(crate) struct Hooked<H> {
    pub(crate) store: MemoryStore,
    pub(crate) hook: H,
}

impl<H> Hooked<H> {
    pub(crate) fn new(hook: H) -> Hooked<H> {
        Hooked {
            store: MemoryStore::new(),
            hook,
        }
    }
}

#[async_trait]
impl<H: Hook> EventStore for Hooked<H> {
    fn capabilities(&self) -> Capabilities {
        self.hook.capabilities(self.store.capabilities())
    }

    fn history(&self) -> Vec<Era> {
        self.store.history()
    }

    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        self.hook.append(&self.store, append).await
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
