//! The promises of a side store, kept by SQLite.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use async_trait::async_trait;
use retold_contract::SideStoreFixture;
use retold_core::SideStore;
use retold_sqlite::SqliteSideStore;
use tempfile::TempDir;

struct SqliteFixture(TempDir);

#[async_trait]
impl SideStoreFixture for SqliteFixture {
    async fn create() -> Self {
        SqliteFixture(TempDir::new().unwrap())
    }

    async fn open(&self) -> Arc<dyn SideStore> {
        let path = self.0.path().join("state.db");
        Arc::new(SqliteSideStore::open(path).unwrap())
    }
}

retold_contract::side_store_contract!(SqliteFixture);
