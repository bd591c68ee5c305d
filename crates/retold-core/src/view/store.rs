//! Whoever keeps views.

use super::{RowPage, RowQuery, Table, Value, ViewId};
use crate::{Checkpoint, Error, Position, Text};

/// How far a view has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewProgress {
    /// The last event that was applied; none before the first.
    pub checkpoint: Option<Checkpoint>,
    /// Everything at or before this position is in the rows.
    pub complete_through: Position,
    /// Stands for the code that made the rows: another one would have made others.
    pub made_by: Text,
    /// Whether it has once been at the head of the log: before that it is of no use to readers.
    pub has_caught_up: bool,
}

/// A key, and the row that is put under it, or none where it is deleted.
pub type RowChange<'a> = (&'a [Value], Option<&'a [Value]>);

/// Keeps views. Calls block; who has other tasks to do makes them on a thread that may wait.
pub trait ViewStore: Send + Sync + 'static {
    /// All that are kept, in order.
    fn views(&self) -> Result<Vec<ViewId>, Error>;

    /// Opens one for writing, which is made where there is none. There is one writer at a time.
    fn open(&self, id: &ViewId) -> Result<Box<dyn ViewWriter>, Error>;

    /// Opens one for reading.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none.
    fn reader(&self, id: &ViewId) -> Result<Box<dyn ViewReader>, Error>;

    /// Removes one; nothing where there is none.
    fn remove(&self, id: &ViewId) -> Result<(), Error>;
}

/// Writes a view. What is written is seen by the writer at once, and by readers after
/// [`commit`](ViewWriter::commit): all of it together with the progress, or none.
pub trait ViewWriter: Send {
    /// How far it has come; none where nothing was committed.
    fn progress(&mut self) -> Result<Option<ViewProgress>, Error>;

    /// Makes a table where there is none of the name, without its indexes.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is one that was declared otherwise.
    fn declare(&mut self, table: &Table) -> Result<(), Error>;

    /// All tables that were declared.
    fn tables(&mut self) -> Result<Vec<Table>, Error>;

    /// The row of a key.
    fn get(&mut self, table: &Table, key: &[Value]) -> Result<Option<Vec<Value>>, Error>;

    /// A page of rows.
    fn rows(&mut self, table: &Table, query: &RowQuery) -> Result<RowPage, Error>;

    /// Puts and deletes rows, by their keys.
    fn write(
        &mut self,
        table: &Table,
        changes: &mut dyn Iterator<Item = RowChange<'_>>,
    ) -> Result<(), Error>;

    /// Makes the indexes that are missing.
    fn make_indexes(&mut self) -> Result<(), Error>;

    /// Keeps all that was written, and how far the view has come.
    fn commit(&mut self, progress: &ViewProgress) -> Result<(), Error>;

    /// Removes all tables, and how far the view has come; it is as new at once.
    fn clear(&mut self) -> Result<(), Error>;

    /// Undoes all that was written since the last commit.
    fn rollback(&mut self) -> Result<(), Error>;
}

/// Reads a view, as it was committed.
pub trait ViewReader: Send + Sync {
    /// How far it has come; none where nothing was committed.
    fn progress(&self) -> Result<Option<ViewProgress>, Error>;

    /// Its tables.
    fn tables(&self) -> Result<Vec<Table>, Error>;

    /// A page of rows.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such table; [`Error::Invalid`] where the query does
    /// not fit it.
    fn rows(&self, table: &str, query: &RowQuery) -> Result<RowPage, Error>;

    /// A reader that goes on seeing what this one sees now.
    fn pin(&self) -> Result<Box<dyn ViewReader>, Error>;
}
