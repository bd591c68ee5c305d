//! Where two versions of a view differ.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use retold_core::{Position, RowQuery, Table, Text, Value, ViewReader};

use super::registry::Registry;
use super::running::{Held, Running, blocking};
use super::status::{VersionRole, VersionState};
use crate::Error;

/// Differences of a table that are shown; all are counted.
const DIFFERENCES_SHOWN: usize = 20;

/// Rows that are read at once.
const PAGE_ROWS: usize = 1_000;

/// How long the versions are waited for until both stand at one position: readers of both wait for
/// what comes meanwhile. Above it, one of them is far behind.
const MEETING_WAIT: Duration = Duration::from_secs(5);

/// Where two versions of a view differ.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The version that is read.
    pub version: Text,
    /// The other one.
    pub with: Text,
    /// Everything at or before this position is in the rows of the one that is read.
    pub complete_through: Position,
    /// The same of the other one. Where it is another position, one of them is not carried on, and
    /// what happened in between is among the differences.
    pub with_complete_through: Position,
    /// The tables of both, in order.
    pub tables: Vec<TableComparison>,
}

impl Comparison {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(TableComparison::is_equal)
    }
}

/// Where two versions of a table differ.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct TableComparison {
    /// The table.
    pub table: String,
    /// Why its rows cannot be compared: one of the versions lacks it, or has other columns.
    pub incomparable: Option<String>,
    /// Rows that are the same in both.
    pub equal: u64,
    /// Rows that both have, with different values.
    pub different: u64,
    /// Rows that only the version has that is read.
    pub missing: u64,
    /// Rows that only the other one has.
    pub added: u64,
    /// Some of the differences, in the order of the keys.
    pub differences: Vec<RowDifference>,
}

impl TableComparison {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.incomparable.is_none() && self.different + self.missing + self.added == 0
    }
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RowDifference {
    /// Its key.
    pub key: Vec<Value>,
    /// Its values in the version that is read; none where it has no such row.
    pub values: Option<Vec<Value>>,
    /// Its values in the other one; none where it has no such row.
    pub with: Option<Vec<Value>>,
}

pub(super) async fn compare(
    registry: &Registry,
    name: &Text,
    with: VersionRole,
) -> Result<Comparison, Error> {
    let version = registry.in_role(name, VersionRole::Current)?;
    let other = registry.in_role(name, with)?;
    let readers = (
        registry.reader(name, &version).await?,
        registry.reader(name, &other).await?,
    );
    let (one, two) = (
        registry.running(name, &version),
        registry.running(name, &other),
    );
    let pin = move || Ok((readers.0.pin()?, readers.1.pin()?));
    let pinned = match (one, two) {
        (Some(one), Some(two)) if goes_on(&one) && goes_on(&two) => {
            let _held = meet(&one, &two).await;
            blocking(pin).await?
        }
        _ => blocking(pin).await?,
    };
    let (tables, positions) = blocking(move || compare_all(&*pinned.0, &*pinned.1)).await?;
    Ok(Comparison {
        version,
        with: other,
        complete_through: positions.0,
        with_complete_through: positions.1,
        tables,
    })
}

/// Whether a version may come to another position.
fn goes_on(running: &Running) -> bool {
    running.standing().0 == VersionState::Running
}

/// Holds two versions at one position, until the values are dropped. Where they do not meet in
/// time, the positions in the answer tell.
async fn meet(one: &Arc<Running>, two: &Arc<Running>) -> Option<[Held; 2]> {
    let standing = async {
        let held = [one.hold().await, two.hold().await];
        let further = held[0].position().max(held[1].position());
        for held in &held {
            held.go_on_to(further);
            held.until(further).await;
        }
        held
    };
    tokio::time::timeout(MEETING_WAIT, standing).await.ok()
}

type Compared = (Vec<TableComparison>, (Position, Position));

fn compare_all(one: &dyn ViewReader, two: &dyn ViewReader) -> Result<Compared, retold_core::Error> {
    let through = |reader: &dyn ViewReader| {
        let progress = reader.progress()?;
        Ok::<_, retold_core::Error>(progress.map_or(0, |progress| progress.complete_through))
    };
    let positions = (through(one)?, through(two)?);
    let (of_one, of_two) = (one.tables()?, two.tables()?);
    let mut names: Vec<&String> = of_one
        .iter()
        .chain(&of_two)
        .map(|table| &table.name)
        .collect();
    names.sort();
    names.dedup();
    let mut tables = Vec::new();
    for name in names {
        let of = |tables: &[Table]| tables.iter().find(|table| table.name == *name).cloned();
        let compared = match (of(&of_one), of(&of_two)) {
            (Some(one_table), Some(two_table)) if has_same_columns(&one_table, &two_table) => {
                compare_table(&one_table, one, two)?
            }
            (Some(_), Some(_)) => incomparable(name, "its columns differ"),
            (Some(_), None) => incomparable(name, "only the version that is read has it"),
            (None, _) => incomparable(name, "only the other version has it"),
        };
        tables.push(compared);
    }
    Ok((tables, positions))
}

fn has_same_columns(one: &Table, two: &Table) -> bool {
    (one.key_columns, &one.columns) == (two.key_columns, &two.columns)
}

fn incomparable(table: &str, reason: &str) -> TableComparison {
    TableComparison {
        table: table.to_owned(),
        incomparable: Some(reason.to_owned()),
        ..TableComparison::default()
    }
}

/// Goes through both in the order of the keys, side by side.
fn compare_table(
    table: &Table,
    one: &dyn ViewReader,
    two: &dyn ViewReader,
) -> Result<TableComparison, retold_core::Error> {
    let mut found = TableComparison {
        table: table.name.clone(),
        ..TableComparison::default()
    };
    let (mut one, mut two) = (Walk::new(table, one), Walk::new(table, two));
    let (mut left, mut right) = (one.next()?, two.next()?);
    let key = |row: &[Value]| row[..table.key_columns].to_vec();
    loop {
        let ordering = match (&left, &right) {
            (None, None) => return Ok(found),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => key(left).cmp(&key(right)),
        };
        let (mut values, mut with) = (None, None);
        if ordering != Ordering::Greater {
            values = std::mem::replace(&mut left, one.next()?);
        }
        if ordering != Ordering::Less {
            with = std::mem::replace(&mut right, two.next()?);
        }
        match ordering {
            Ordering::Equal if values == with => {
                found.equal += 1;
                continue;
            }
            Ordering::Equal => found.different += 1,
            Ordering::Less => found.missing += 1,
            Ordering::Greater => found.added += 1,
        }
        if found.differences.len() < DIFFERENCES_SHOWN {
            let row = values
                .as_ref()
                .or(with.as_ref())
                .expect("one of them has it");
            let key = key(row);
            found.differences.push(RowDifference { key, values, with });
        }
    }
}

/// The rows of a table in the order of their keys.
struct Walk<'a> {
    table: &'a str,
    reader: &'a dyn ViewReader,
    query: RowQuery,
    rows: VecDeque<Vec<Value>>,
    is_over: bool,
}

impl<'a> Walk<'a> {
    fn new(table: &'a Table, reader: &'a dyn ViewReader) -> Walk<'a> {
        Walk {
            table: &table.name,
            reader,
            query: RowQuery::default().limit(PAGE_ROWS),
            rows: VecDeque::new(),
            is_over: false,
        }
    }

    fn next(&mut self) -> Result<Option<Vec<Value>>, retold_core::Error> {
        if self.rows.is_empty() && !self.is_over {
            let page = self.reader.rows(self.table, &self.query)?;
            self.is_over = page.next.is_none();
            self.query.after = page.next;
            self.rows = page.rows.into();
        }
        Ok(self.rows.pop_front())
    }
}
