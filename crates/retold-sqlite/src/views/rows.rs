//! Statements on the tables of a view, and values to and from SQLite.

use std::fmt::Write;

use retold_core::{ColumnType, Position, RowPage, RowQuery, Table, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql};

use crate::error::Failure;

/// The statement that makes a table. One without JSON has small rows and is kept in the order of
/// its key; a key that is one number is that order anyway.
pub(super) fn make_table(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| {
        let sql_type = match column.column_type {
            ColumnType::Integer => "INTEGER",
            ColumnType::Real => "REAL",
            ColumnType::Text | ColumnType::Json => "TEXT",
        };
        let not_null = if column.is_optional { "" } else { " NOT NULL" };
        format!("{} {sql_type}{not_null}", quoted(&column.name))
    });
    let columns: Vec<String> = columns.collect();
    let key = names(&key_of(table));
    let is_number = table.key_columns == 1 && table.columns[0].column_type == ColumnType::Integer;
    let has_json = |c: &retold_core::Column| c.column_type == ColumnType::Json;
    let without = match is_number || table.columns.iter().any(has_json) {
        true => "",
        false => ", WITHOUT ROWID",
    };
    let (name, columns) = (quoted(&table.name), columns.join(", "));
    format!("CREATE TABLE {name} ({columns}, PRIMARY KEY ({key})) STRICT{without}")
}

/// The statement that removes a table with its indexes.
pub(super) fn drop_table(table: &Table) -> String {
    format!("DROP TABLE {}", quoted(&table.name))
}

/// The statements that make the indexes that are missing. Each ends with the key, so that a page
/// in its order is read without sorting.
pub(super) fn make_indexes(table: &Table) -> impl Iterator<Item = String> {
    table.indexes.iter().map(|index| {
        let mut columns: Vec<&str> = index.iter().map(String::as_str).collect();
        let key = key_of(table).into_iter();
        let missing: Vec<&str> = key.filter(|name| !columns.contains(name)).collect();
        let name = quoted(&format!("{}_by_{}", table.name, index.join("_and_")));
        columns.extend(missing);
        let (table, columns) = (quoted(&table.name), names(&columns));
        format!("CREATE INDEX IF NOT EXISTS {name} ON {table} ({columns})")
    })
}

/// The statements that a writer uses for each row.
pub(super) struct Statements {
    pub(super) get: String,
    pub(super) put: String,
    pub(super) delete: String,
}

impl Statements {
    pub(super) fn of(table: &Table) -> Statements {
        let name = quoted(&table.name);
        let all: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let key = key_of(table);
        let is_key: Vec<String> = (1..)
            .zip(&key)
            .map(|(nth, name)| format!("{} = ?{nth}", quoted(name)))
            .collect();
        let is_key = is_key.join(" AND ");
        Statements {
            get: format!("SELECT {} FROM {name} WHERE {is_key}", names(&all)),
            put: format!(
                "INSERT OR REPLACE INTO {name} ({}) VALUES ({})",
                names(&all),
                parameters(1, all.len())
            ),
            delete: format!("DELETE FROM {name} WHERE {is_key}"),
        }
    }
}

/// A page of rows of a table that the query fits.
pub(super) fn page(
    connection: &Connection,
    table: &Table,
    query: &RowQuery,
    through: Position,
) -> Result<RowPage, Failure> {
    query.check(table)?;
    let (sql, values) = select(table, query);
    let mut statement = connection.prepare_cached(&sql)?;
    let values = values.iter().map(Bound);
    let mut found = statement.query(rusqlite::params_from_iter(values))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(read(row, table)?);
    }
    Ok(RowPage::of(table, query, rows, through))
}

fn select(table: &Table, query: &RowQuery) -> (String, Vec<Value>) {
    let all: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    let mut sql = format!("SELECT {} FROM {}", names(&all), quoted(&table.name));
    let mut values: Vec<Value> = Vec::new();
    let mut conditions: Vec<String> = Vec::new();
    for (name, value) in &query.equal {
        values.push(value.clone());
        // `IS` also finds nothing, and does not use an index as well as `=` does.
        let same = if value.is_null() { "IS" } else { "=" };
        conditions.push(format!("{} {same} ?{}", quoted(name), values.len()));
    }
    let behind = if query.is_descending { "<" } else { ">" };
    if let Some(after) = &query.after {
        let key = key_of(table);
        let key_values = &after[after.len() - key.len()..];
        let first = values.len() + 1;
        values.extend_from_slice(key_values);
        let key_behind = format!(
            "({}) {behind} ({})",
            names(&key),
            parameters(first, key.len())
        );
        conditions.push(match &query.order {
            None => key_behind,
            Some(order) => {
                let column = quoted(order);
                let at = table.position_of(order).expect("checked");
                let is_optional = table.columns[at].is_optional;
                // Nothing comes before everything, and is not compared with anything.
                if after[0].is_null() {
                    match query.is_descending {
                        true => format!("({column} IS NULL AND {key_behind})"),
                        false => format!("({column} IS NOT NULL OR {key_behind})"),
                    }
                } else {
                    values.push(after[0].clone());
                    let nth = values.len();
                    match query.is_descending && is_optional {
                        true => format!(
                            "({column} IS NULL OR {column} < ?{nth} \
                             OR ({column} = ?{nth} AND {key_behind}))"
                        ),
                        false => format!(
                            "({column} {behind}= ?{nth} \
                             AND ({column} {behind} ?{nth} OR {key_behind}))"
                        ),
                    }
                }
            }
        });
    }
    if !conditions.is_empty() {
        let _ = write!(sql, " WHERE {}", conditions.join(" AND "));
    }
    let direction = if query.is_descending { " DESC" } else { "" };
    let order = query.order.as_deref().into_iter().chain(key_of(table));
    let order: Vec<String> = order
        .map(|name| format!("{}{direction}", quoted(name)))
        .collect();
    let limit = query.limit.saturating_add(1).min(i64::MAX as usize);
    let _ = write!(sql, " ORDER BY {} LIMIT {limit}", order.join(", "));
    (sql, values)
}

pub(super) fn read(row: &Row<'_>, table: &Table) -> Result<Vec<Value>, Failure> {
    let damaged = |reason: &str| Failure::Damaged(reason.to_owned());
    (0..table.columns.len())
        .map(|nth| {
            Ok(match row.get_ref(nth)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Text(text) => {
                    let text = std::str::from_utf8(text);
                    Value::from(text.map_err(|_| damaged("a text is not UTF-8"))?)
                }
                ValueRef::Blob(_) => return Err(damaged("a value has a type of somebody else's")),
            })
        })
        .collect()
}

/// A value as a parameter.
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Real(number) => ValueRef::Real(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

fn key_of(table: &Table) -> Vec<&str> {
    let key = table.columns[..table.key_columns].iter();
    key.map(|column| column.name.as_str()).collect()
}

/// A name as SQL takes it: most are letters, digits and `_` ([`Table::check`]), and some are SQL's
/// own words.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn names(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    names.join(", ")
}

fn parameters(first: usize, count: usize) -> String {
    let numbers: Vec<String> = (first..first + count)
        .map(|nth| format!("?{nth}"))
        .collect();
    numbers.join(", ")
}
