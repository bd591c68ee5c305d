//! Asking for rows.

use super::{Table, Value};
use crate::{Error, Position, StreamQuery};

/// Which rows of a table to read.
#[derive(Debug, Clone, PartialEq)]
pub struct RowQuery {
    /// Only rows that hold these values in these columns.
    pub equal: Vec<(String, Value)>,
    /// In the order of this column, and of the key within; of the key alone when absent.
    pub order: Option<String>,
    /// Whether the largest comes first.
    pub is_descending: bool,
    /// Only those behind this one: the value of the column of the order, if there is one, and the
    /// key, as [`RowPage::next`] gives it.
    pub after: Option<Vec<Value>>,
    /// How many a page holds at most; at least 1.
    pub limit: usize,
}

impl Default for RowQuery {
    fn default() -> Self {
        RowQuery {
            equal: Vec::new(),
            order: None,
            is_descending: false,
            after: None,
            limit: StreamQuery::DEFAULT_LIMIT,
        }
    }
}

impl RowQuery {
    /// Only rows that hold this value.
    #[must_use]
    pub fn equal(mut self, column: impl Into<String>, value: impl Into<Value>) -> Self {
        self.equal.push((column.into(), value.into()));
        self
    }

    /// Sorted by a column.
    #[must_use]
    pub fn order(mut self, column: impl Into<String>) -> Self {
        self.order = Some(column.into());
        self
    }

    /// The largest first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.is_descending = true;
        self
    }

    /// At most so many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Checks that it fits a table. Every store calls it first.
    ///
    /// # Errors
    /// [`Error::Invalid`] names what does not.
    pub fn check(&self, table: &Table) -> Result<(), Error> {
        crate::query::check_limit(self.limit)?;
        let known = |field: &str, name: &String| {
            table.position_of(name).ok_or_else(|| {
                let reason = format!("{name} is no column of {}", table.name);
                Error::invalid(field, reason)
            })
        };
        for (name, value) in &self.equal {
            let column = &table.columns[known("equal", name)?];
            if !value.is_null() && !column.admits(value) {
                let reason = format!("{name} holds {}", column.column_type.name());
                return Err(Error::invalid("equal", reason));
            }
        }
        let order = self.order.as_ref().map(|name| known("order", name));
        let order = order.transpose()?;
        if let Some(after) = &self.after {
            let key = usize::from(order.is_some());
            if after.len() != key + table.key_columns {
                return Err(Error::invalid("after", "must be as a page gave it"));
            }
            table.check_key(&after[key..])?;
        }
        Ok(())
    }
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct RowPage {
    /// The rows, each with the values of all columns.
    pub rows: Vec<Vec<Value>>,
    /// The `after` of the next page; none at the end.
    pub next: Option<Vec<Value>>,
    /// Everything at or before this position is in them.
    pub complete_through: Position,
}

impl RowPage {
    /// Makes a page of rows of which one more than the limit was read.
    pub fn of(
        table: &Table,
        query: &RowQuery,
        mut rows: Vec<Vec<Value>>,
        complete_through: Position,
    ) -> RowPage {
        let mut next = None;
        if rows.len() > query.limit {
            rows.truncate(query.limit);
            let last = rows.last().expect("a limit is at least 1");
            let order = query
                .order
                .as_ref()
                .and_then(|name| table.position_of(name));
            let mut place: Vec<Value> = order.map(|at| last[at].clone()).into_iter().collect();
            place.extend_from_slice(&last[..table.key_columns]);
            next = Some(place);
        }
        RowPage {
            rows,
            next,
            complete_through,
        }
    }
}
