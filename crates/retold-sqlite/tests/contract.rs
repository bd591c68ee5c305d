//! The promises of a side store and of views, kept by SQLite.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use async_trait::async_trait;
use retold_contract::{SideStoreFixture, ViewPlace};
use retold_core::{SideStore, ViewStore};
use retold_sqlite::{SqliteSideStore, SqliteViews};
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

struct Views(TempDir);

impl ViewPlace for Views {
    fn create() -> Self {
        Views(TempDir::new().unwrap())
    }

    fn store(&self) -> Arc<dyn ViewStore> {
        Arc::new(SqliteViews::new(self.0.path().join("views")))
    }
}

retold_contract::view_store_contract!(Views);
