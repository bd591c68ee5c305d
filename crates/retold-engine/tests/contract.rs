//! The engine keeps the contract, on a real disk, with segments so small that every few
//! appends begin a new one, and with an index that makes a run of every few events.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use async_trait::async_trait;
use retold_contract::StoreFixture;
use retold_core::{Clock, EventStore};
use retold_engine::{EngineStore, IndexOptions, Options};

struct Folder(tempfile::TempDir);

impl Folder {
    fn open(&self, options: Options) -> Arc<dyn EventStore> {
        Arc::new(EngineStore::open(self.0.path(), options).unwrap())
    }
}

#[async_trait]
impl StoreFixture for Folder {
    async fn create() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        self.open(Options {
            clock,
            ..Options::default()
        })
    }
}

struct SmallSegments(Folder);

#[async_trait]
impl StoreFixture for SmallSegments {
    async fn create() -> Self {
        SmallSegments(Folder::create().await)
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        self.0.open(Options {
            clock,
            segment_bytes_max: 4 * 1024,
            reserve_bytes: 1024,
            ..Options::default()
        })
    }
}

/// So little memory for the index that every few appends make a run.
struct TinyIndex(Folder);

#[async_trait]
impl StoreFixture for TinyIndex {
    async fn create() -> Self {
        TinyIndex(Folder::create().await)
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        self.0.open(Options {
            clock,
            index: IndexOptions {
                memory_events: 2,
                filter_bytes: 16 * 1024,
                cache_bytes: 16 * 1024,
                page_bytes: 1024,
                secret: None,
            },
            ..Options::default()
        })
    }
}

mod folder {
    use super::*;
    retold_contract::event_store_contract!(Folder);
}

mod tiny_index {
    use super::*;
    retold_contract::event_store_contract!(TinyIndex);
}

mod small_segments {
    use super::*;
    retold_contract::event_store_contract!(SmallSegments);
}
