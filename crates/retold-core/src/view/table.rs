//! What a table looks like.

use serde::{Deserialize, Serialize};

use super::{NAME_BYTES_MAX, Value};
use crate::Error;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Real,
    /// Texts, points in time among them.
    Text,
    /// JSON, which is answered as such.
    Json,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether a row may hold nothing there.
    pub is_optional: bool,
}

/// A table of a view: its columns, the key first, and its indexes.
///
/// ```
/// use retold_core::{ColumnType, Table};
///
/// let balances = Table::new("balances")
///     .key("account", ColumnType::Text)
///     .column("balance", ColumnType::Integer)
///     .optional("closed_at", ColumnType::Text)
///     .index(&["balance"]);
/// balances.check()?;
/// # Ok::<(), retold_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, those of the key first.
    pub columns: Vec<Column>,
    /// How many columns are its key.
    pub key_columns: usize,
    /// The columns of each index.
    pub indexes: Vec<Vec<String>>,
}

impl Table {
    /// A table without columns.
    pub fn new(name: impl Into<String>) -> Table {
        Table {
            name: name.into(),
            columns: Vec::new(),
            key_columns: 0,
            indexes: Vec::new(),
        }
    }

    /// Adds a column to the key.
    #[must_use]
    pub fn key(mut self, name: impl Into<String>, column_type: ColumnType) -> Table {
        let column = Column {
            name: name.into(),
            column_type,
            is_optional: false,
        };
        self.columns.insert(self.key_columns, column);
        self.key_columns += 1;
        self
    }

    /// Adds a column that always holds something.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>, column_type: ColumnType) -> Table {
        self.columns.push(Column {
            name: name.into(),
            column_type,
            is_optional: false,
        });
        self
    }

    /// Adds a column that may hold nothing.
    #[must_use]
    pub fn optional(mut self, name: impl Into<String>, column_type: ColumnType) -> Table {
        self.columns.push(Column {
            name: name.into(),
            column_type,
            is_optional: true,
        });
        self
    }

    /// Adds an index, by which rows are found and sorted without looking at all of them.
    #[must_use]
    pub fn index(mut self, columns: &[&str]) -> Table {
        let columns = columns.iter().map(|name| (*name).to_owned());
        self.indexes.push(columns.collect());
        self
    }

    /// Where a column is.
    pub fn position_of(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.name == column)
    }

    /// Checks the names, that there is a key, and that indexes name columns.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        check_name("table", &self.name)?;
        if self.name.starts_with("retold_") || self.name.starts_with("sqlite_") {
            let reason = "must not begin with retold_ or sqlite_, which others use";
            return Err(Error::invalid("table", reason));
        }
        if self.key_columns == 0 {
            let reason = format!("{} must have a key", self.name);
            return Err(Error::invalid("table", reason));
        }
        for (nth, column) in self.columns.iter().enumerate() {
            check_name("column", &column.name)?;
            if self.position_of(&column.name) != Some(nth) {
                let reason = format!("{} must not have {} twice", self.name, column.name);
                return Err(Error::invalid("column", reason));
            }
            let is_exact = matches!(column.column_type, ColumnType::Integer | ColumnType::Text);
            if nth < self.key_columns && !is_exact {
                let reason = format!("{}, of a key, must be integer or text", column.name);
                return Err(Error::invalid("column", reason));
            }
        }
        for name in self.indexes.iter().flatten() {
            if self.position_of(name).is_none() {
                let reason = format!("{} must name columns of {}", name, self.name);
                return Err(Error::invalid("index", reason));
            }
        }
        Ok(())
    }

    /// Checks that a row fits.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the column that does not.
    pub fn check_row(&self, row: &[Value]) -> Result<(), Error> {
        if row.len() != self.columns.len() {
            let reason = format!(
                "must have the {} columns of {}, not {}",
                self.columns.len(),
                self.name,
                row.len()
            );
            return Err(Error::invalid("row", reason));
        }
        let mut fields = self.columns.iter().zip(row);
        match fields.find(|(column, value)| !column.admits(value)) {
            None => Ok(()),
            Some((column, value)) => {
                let reason = format!(
                    "must hold {} in {}, not {value}",
                    column.column_type.name(),
                    column.name
                );
                Err(Error::invalid("row", reason))
            }
        }
    }

    /// Checks that a key, or the beginning of one, fits.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the column that does not.
    pub fn check_key(&self, key: &[Value]) -> Result<(), Error> {
        let columns = &self.columns[..self.key_columns];
        let fits = key.len() <= columns.len()
            && columns
                .iter()
                .zip(key)
                .all(|(column, value)| column.admits(value));
        match fits {
            true => Ok(()),
            false => {
                let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
                let reason = format!("must be {} of {}", names.join(", "), self.name);
                Err(Error::invalid("key", reason))
            }
        }
    }
}

impl Column {
    pub(super) fn admits(&self, value: &Value) -> bool {
        match (self.column_type, value) {
            (_, Value::Null) => self.is_optional,
            (ColumnType::Integer, Value::Integer(_)) => true,
            (ColumnType::Real, Value::Real(number)) => number.is_finite(),
            (ColumnType::Text | ColumnType::Json, Value::Text(_)) => true,
            _ => false,
        }
    }
}

impl ColumnType {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Integer => "integer",
            ColumnType::Real => "real",
            ColumnType::Text => "text",
            ColumnType::Json => "json",
        }
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let fits = name.len() <= NAME_BYTES_MAX
        && bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    match fits {
        true => Ok(()),
        false => Err(Error::invalid(
            field,
            format!(
                "must be named with 1 to {NAME_BYTES_MAX} lower case letters, digits or _, \
                 beginning with a letter, not {name:?}"
            ),
        )),
    }
}
