//! Tables that are derived from the log and kept for reading: what they look like, and the traits
//! of whoever keeps them. Everything in them can be deleted and made again from the log.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::{Checkpoint, Error, Position, StreamQuery, Text, Timestamp};

/// Bytes of a name of a view, a table or a column at most: a name is a part of a file's name.
const NAME_BYTES_MAX: usize = 64;

/// One field of a row.
///
/// Compared like SQLite compares them: nothing, numbers, texts by their bytes.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number; finite.
    Real(f64),
    /// A text, a point in time ([`Value::from`] a [`Timestamp`]), or JSON.
    Text(Text),
}

impl Value {
    /// The number; none where it is something else.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole or not; none where it is something else.
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Value::Real(number) => Some(*number),
            #[expect(clippy::cast_precision_loss, reason = "asked for as a float")]
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The text; none where it is something else.
    pub fn as_text(&self) -> Option<&Text> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Bytes it takes, roughly.
    pub fn bytes(&self) -> usize {
        size_of::<Value>() + self.as_text().map_or(0, |text| text.len())
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Integer(_) | Value::Real(_) => 1,
            Value::Text(_) => 2,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Integer(one), Value::Integer(other)) => one.cmp(other),
            (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
            (one, other) => match (one.as_real(), other.as_real()) {
                (Some(one), Some(other)) => one.total_cmp(&other),
                _ => one.rank().cmp(&other.rank()),
            },
        }
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Value::Null => state.write_u8(0),
            Value::Integer(_) | Value::Real(_) => {
                let number = self.as_real().expect("a number");
                state.write_u64(number.to_bits());
            }
            Value::Text(text) => text.hash(state),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Integer(number) => number.fmt(f),
            Value::Real(number) => number.fmt(f),
            Value::Text(text) => text.fmt(f),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Integer(number.into())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Integer(number.into())
    }
}

/// Past the largest number that a table holds it stays that one; no position gets there.
impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// 1 or 0.
impl From<bool> for Value {
    fn from(is_so: bool) -> Value {
        Value::Integer(is_so.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Real(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Value {
        Value::Text(text)
    }
}

impl From<&Text> for Value {
    fn from(text: &Text) -> Value {
        Value::Text(text.clone())
    }
}

/// As RFC 3339 in UTC, always with six digits behind the second, so that texts sort by time and
/// SQL functions of dates read them.
impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Value {
        Value::Text(format!("{at:.6}").into())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

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
    fn admits(&self, value: &Value) -> bool {
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

/// Names a build of a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewId {
    /// The projection's name.
    pub name: Text,
    /// The declared version, and behind a dot the count of further builds of it: `1`, `1.2`.
    pub version: Text,
}

impl ViewId {
    /// Checks the form: lower case letters, digits, `_` and `-`; in the version digits and `.`.
    ///
    /// # Errors
    /// [`Error::Invalid`] names what is wrong.
    pub fn check(&self) -> Result<(), Error> {
        check_view_name(&self.name)?;
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match self.version.len() <= NAME_BYTES_MAX && self.version.split('.').all(is_number) {
            true => Ok(()),
            false => Err(Error::invalid(
                "version",
                "must be numbers, such as 2 or 2.1",
            )),
        }
    }
}

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// Checks the name of a projection.
///
/// # Errors
/// [`Error::Invalid`] says what it must be.
pub fn check_view_name(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let is_lower = |byte: u8| byte.is_ascii_lowercase();
    let fits = name.len() <= NAME_BYTES_MAX
        && bytes.next().is_some_and(is_lower)
        && bytes.all(|b| is_lower(b) || b.is_ascii_digit() || b == b'_' || b == b'-');
    match fits {
        true => Ok(()),
        false => Err(Error::invalid(
            "projection",
            format!(
                "must be 1 to {NAME_BYTES_MAX} lower case letters, digits, _ or -, beginning \
                 with a letter"
            ),
        )),
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
        let known = |name: &String| {
            table.position_of(name).ok_or_else(|| {
                let reason = format!("{name} is no column of {}", table.name);
                Error::invalid("column", reason)
            })
        };
        for (name, value) in &self.equal {
            let column = &table.columns[known(name)?];
            if !value.is_null() && !column.admits(value) {
                let reason = format!("{name} holds {}", column.column_type.name());
                return Err(Error::invalid("column", reason));
            }
        }
        let order = self.order.as_ref().map(known).transpose()?;
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
