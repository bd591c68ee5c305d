//! The stores in memory keep the contract. The model's own round compares it with itself,
//! which checks the comparison.

use std::sync::Arc;

use async_trait::async_trait;
use retold_contract::{SideStoreFixture, StoreFixture, ViewPlace};
use retold_core::{Clock, EventStore, SideStore, ViewStore};
use retold_memory::{MemorySideStore, MemoryStore, MemoryViews};

struct InMemory;

#[async_trait]
impl StoreFixture for InMemory {
    async fn create() -> Self {
        InMemory
    }

    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(MemoryStore::with_clock(clock))
    }
}

#[async_trait]
impl SideStoreFixture for InMemory {
    async fn create() -> Self {
        InMemory
    }

    async fn open(&self) -> Arc<dyn SideStore> {
        Arc::new(MemorySideStore::new())
    }
}

retold_contract::event_store_contract!(InMemory);
retold_contract::side_store_contract!(InMemory);

struct ViewsInMemory(MemoryViews);

impl ViewPlace for ViewsInMemory {
    fn create() -> Self {
        ViewsInMemory(MemoryViews::new())
    }

    fn store(&self) -> Arc<dyn ViewStore> {
        Arc::new(self.0.clone())
    }
}

retold_contract::view_store_contract!(ViewsInMemory);
