//! What is asked of one projection: its rows, how it stands, and what is decided about it.

use std::sync::Arc;
use std::time::Duration;

use retold_core::{Position, RowPage, RowQuery, Table, Text, Value, ViewReader};
use tokio::sync::watch;

use super::compare::{self, Comparison};
use super::registry::{Current, Registry};
use super::row::{IntoValues, Row};
use super::running::{Reached, blocking};
use super::status::{ProjectionStatus, VersionRole};
use crate::{Error, Retold};

/// How long a reader waits while the first version is being built: a short log is read in less,
/// and who opened a handle a moment ago need not know that something is built.
const FIRST_VERSION_WAIT: Duration = Duration::from_secs(1);

/// A projection of a handle: [`Retold::projection`].
#[derive(Clone)]
pub struct ProjectionHandle {
    name: Text,
    registry: Arc<Registry>,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rows {
    /// The rows.
    pub rows: Vec<Row>,
    /// The [`after`](RowQuery::after) of the next page; none at the end.
    pub next: Option<Vec<Value>>,
    /// Everything at or before this position is in them.
    pub complete_through: Position,
}

impl Rows {
    pub(super) fn new(table: &Arc<Table>, page: RowPage) -> Rows {
        let rows = page.rows.into_iter();
        Rows {
            rows: rows
                .map(|values| Row::new(Arc::clone(table), values))
                .collect(),
            next: page.next,
            complete_through: page.complete_through,
        }
    }
}

impl Retold {
    /// A projection: its rows, how it stands, and what can be decided about it.
    ///
    /// Whether there is one of the name is said by what is then asked of it.
    pub fn projection(&self, name: impl Into<Text>) -> ProjectionHandle {
        ProjectionHandle {
            name: name.into(),
            registry: Arc::clone(&self.inner().projections),
        }
    }

    /// The names of the projections that were given to the builder, in order.
    pub fn projection_names(&self) -> Vec<Text> {
        self.inner().projections.names()
    }
}

impl ProjectionHandle {
    /// Its name.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// How it stands.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where there is none of the name; else
    /// [`Error::Store`].
    pub async fn status(&self) -> Result<ProjectionStatus, Error> {
        Ok(self.registry.status(&self.name).await?)
    }

    /// Waits until the version that is read has everything through a position in its rows, the
    /// first one for as long as it is built.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where there is none of the name, or the handle
    /// was closed.
    pub async fn wait_through(&self, position: Position) -> Result<(), Error> {
        let mut changes = self.registry.changes();
        loop {
            changes.mark_unchanged();
            let current = self.registry.current(&self.name).await?;
            let is_there = match current {
                Some(Current {
                    reached: Some(reached),
                    ..
                }) => tokio::select! {
                    is_there = reaches(reached, position) => is_there,
                    _ = changes.changed() => continue,
                },
                Some(Current { reader, .. }) => {
                    let progress = blocking(move || reader.progress()).await?;
                    progress.is_some_and(|p| p.complete_through >= position)
                }
                None => false,
            };
            if is_there {
                return Ok(());
            }
            let changed = changes.changed().await;
            changed.map_err(|_| super::registry::unknown(&self.name))?;
        }
    }

    /// Its tables, as the version has them that is read.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::rows`].
    pub async fn tables(&self) -> Result<Vec<Table>, Error> {
        self.read(|reader| reader.tables()).await
    }

    /// A page of rows of a table.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where there is no such projection or table;
    /// [`Invalid`](retold_core::Error::Invalid) where the query does not fit the table;
    /// [`Error::NotCaughtUp`] while the first version is being built; else [`Error::Store`].
    pub async fn rows(&self, table: impl Into<String>, query: RowQuery) -> Result<Rows, Error> {
        let table = table.into();
        self.read(move |reader| {
            let known = table_of(reader, &table)?;
            Ok(Rows::new(&known, reader.rows(&table, &query)?))
        })
        .await
    }

    /// The row of a key; none where there is none.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::rows`].
    pub async fn row(
        &self,
        table: impl Into<String>,
        key: impl IntoValues,
    ) -> Result<Option<Row>, Error> {
        let table = table.into();
        let query = self.query_of_key(&table, key).await?;
        Ok(self.rows(table, query).await?.rows.pop())
    }

    /// The query for the row of a key.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::rows`].
    pub async fn query_of_key(&self, table: &str, key: impl IntoValues) -> Result<RowQuery, Error> {
        let key = key.into_values();
        let tables = self.tables().await?;
        let table = tables
            .iter()
            .find(|known| known.name == table)
            .ok_or_else(|| no_table(table))?;
        table.check_key(&key)?;
        if key.len() != table.key_columns {
            return Err(retold_core::Error::invalid("key", "must name all of its columns").into());
        }
        let columns = table.columns.iter().zip(key);
        Ok(
            columns.fold(RowQuery::default().limit(1), |query, (column, value)| {
                query.equal(column.name.clone(), value)
            }),
        )
    }

    /// Reads the version that is read, on a thread that may wait.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&dyn ViewReader) -> Result<T, retold_core::Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        let work = Arc::new(work);
        loop {
            let Some(current) = self.current().await? else {
                let status = self.status().await?;
                let current = status.version(VersionRole::Current);
                return Err(Error::NotCaughtUp {
                    projection: self.name.to_string(),
                    complete_through: current.map_or(0, |current| current.complete_through),
                    head: status.head,
                });
            };
            let (work, reader) = (Arc::clone(&work), current.reader);
            let outcome = blocking(move || work(&*reader)).await;
            // Where another version took over meanwhile, this one may have gone on before the
            // other one, and an answer of it would be taken back by the next one.
            let now = self.registry.in_role(&self.name, VersionRole::Current);
            if now.is_ok_and(|now| now == current.version) {
                return Ok(outcome?);
            }
        }
    }

    /// The version that is read. The first one is waited for a moment while it is being built.
    async fn current(&self) -> Result<Option<Current>, Error> {
        let current = self.registry.current(&self.name).await?;
        if current.is_some() {
            return Ok(current);
        }
        let ready = self.wait_through(0);
        if let Ok(outcome) = tokio::time::timeout(FIRST_VERSION_WAIT, ready).await {
            outcome?;
        }
        Ok(self.registry.current(&self.name).await?)
    }

    /// Builds a version anew beside the one that is read, and returns its name. It takes the place
    /// of the other once it has caught up; held, once it is [told to](Self::promote).
    ///
    /// # Errors
    /// [`Invalid`](retold_core::Error::Invalid) while another one is being built; else
    /// [`Error::Store`].
    pub async fn rebuild(&self, is_held: bool) -> Result<Text, Error> {
        Ok(self.registry.rebuild(&self.name, is_held).await?)
    }

    /// Pauses the version that is being built, or else the one that is read; returns which.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where there is none; else [`Error::Store`].
    pub async fn pause(&self, reason: impl Into<String>) -> Result<Text, Error> {
        Ok(self.registry.pause(&self.name, reason.into()).await?)
    }

    /// Lets the same version go on: one that was paused, and one that stopped in front of an event.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::pause`].
    pub async fn resume(&self) -> Result<Text, Error> {
        Ok(self.registry.resume(&self.name).await?)
    }

    /// Gives the version up that is being built, and returns which it was.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::pause`].
    pub async fn cancel(&self) -> Result<Text, Error> {
        Ok(self.registry.cancel(&self.name).await?)
    }

    /// Puts the version that is built, and has caught up, in the place of the one that is read.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::pause`], and [`Invalid`](retold_core::Error::Invalid) where it
    /// has not caught up yet.
    pub async fn promote(&self) -> Result<Text, Error> {
        Ok(self.registry.promote(&self.name).await?)
    }

    /// Reads the version again that was read before; the one that is read now is kept.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::pause`].
    pub async fn bring_back(&self) -> Result<Text, Error> {
        Ok(self.registry.bring_back(&self.name).await?)
    }

    /// Removes the version that was read before.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::pause`].
    pub async fn discard(&self) -> Result<Text, Error> {
        Ok(self.registry.discard(&self.name).await?)
    }

    /// Compares the version that is read with another one, row by row, both as they are at one
    /// position where both are carried on.
    ///
    /// # Errors
    /// As for [`ProjectionHandle::pause`].
    pub async fn compare(&self, with: VersionRole) -> Result<Comparison, Error> {
        compare::compare(&self.registry, &self.name, with).await
    }
}

/// Whether a version gets through a position; it does not where it ends before.
async fn reaches(mut reached: watch::Receiver<Reached>, position: Position) -> bool {
    let reached = reached.wait_for(|reached| reached.complete_through >= position);
    reached.await.is_ok()
}

fn table_of(reader: &dyn ViewReader, table: &str) -> Result<Arc<Table>, retold_core::Error> {
    let mut tables = reader.tables()?.into_iter();
    let known = tables.find(|known| known.name == table);
    known.map(Arc::new).ok_or_else(|| no_table(table))
}

fn no_table(table: &str) -> retold_core::Error {
    retold_core::Error::NotFound {
        what: format!("a table {table}"),
    }
}
