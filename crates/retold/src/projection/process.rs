//! How the work really flows, read from the projection `process_map`.

use std::collections::BTreeMap;

use retold_core::{Error as StoreError, Position, RowQuery, Text, Value, ViewReader};

use super::builtin::{ALL_MONTHS, BEGINNING, DURATIONS, EDGE_STREAMS, EDGES, duration_of_bucket};
use super::handle::Rows;
use crate::{Error, Retold};

/// The name of the projection.
const PROCESS_MAP: &str = "process_map";

/// Rows that are read at once.
const PAGE_ROWS: usize = 10_000;

/// Ways, and buckets of their durations, of one process and month at most: it is held in memory, and
/// answered as a whole.
const EDGES_MAX: usize = 10_000;
const DURATIONS_MAX: usize = 500_000;

/// Types, and months, that are told at most.
const DISTINCT_MAX: usize = 1_000;

/// Behind every text that a column of the table may hold: a name holds no control characters, and
/// nothing sorts behind the last character there is.
const LAST: &str = "\u{10FFFF}";

/// Which event follows which in the streams of one aggregate type, how often, and how long it takes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProcessGraph {
    /// The aggregate type.
    pub aggregate_type: Text,
    /// The month (UTC), `2024-02`; none for the whole log.
    pub month: Option<String>,
    /// The months in which something happened, in order; the first 1,000 of them.
    pub months: Vec<String>,
    /// The events, by type.
    pub events: Vec<ProcessEvent>,
    /// What follows what, the most frequent first.
    pub edges: Vec<ProcessEdge>,
    /// Everything at or before this position is in the numbers.
    pub complete_through: Position,
}

/// A type of event of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessEvent {
    /// The event type; for a transition its first name.
    pub event_type: Text,
    /// How often it happened.
    pub count: u64,
    /// How many streams began with it.
    pub begins: u64,
    /// How many streams have it for their last event so far; none for a month, since what ends in
    /// one goes on in the next.
    pub ends: Option<u64>,
}

/// An event that followed another one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProcessEdge {
    /// The type of the first event; none where the second one began its stream.
    pub from: Option<Text>,
    /// The type of the second one.
    pub to: Text,
    /// How often.
    pub count: u64,
    /// The mean of how long it took, in seconds.
    pub mean_seconds: f64,
    /// The median, from buckets that are no wider than 3.2 %.
    pub median_seconds: f64,
    /// What 95 of 100 did not exceed, from the same buckets.
    pub p95_seconds: f64,
}

impl Retold {
    /// How the streams of a type really flow, over the whole log or in one month (`2024-02`, UTC).
    /// It needs the projection [`ProcessMap`](super::ProcessMap).
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where no such stream is known, or the projection
    /// was not given to the builder; [`Error::NotCaughtUp`] while it is being built;
    /// [`Unsupported`](retold_core::Error::Unsupported) for more than 10,000 different steps; else
    /// [`Error::Store`].
    pub async fn process_graph(
        &self,
        aggregate_type: impl Into<Text>,
        month: Option<String>,
    ) -> Result<ProcessGraph, Error> {
        let of = aggregate_type.into();
        let process_map = self.projection(PROCESS_MAP);
        process_map
            .read(move |reader| graph(&*reader.pin()?, of.clone(), month.clone()))
            .await
    }

    /// The aggregate types that the process map knows, in order; the first 1,000 of them.
    ///
    /// # Errors
    /// As for [`Retold::process_graph`].
    pub async fn process_types(&self) -> Result<Vec<Text>, Error> {
        let process_map = self.projection(PROCESS_MAP);
        process_map.read(|reader| distinct(reader, &[])).await
    }

    /// The streams in which one event followed another, those first in which it took longest: rows
    /// of `edge_streams`. Without `from` those that began with `to`.
    ///
    /// # Errors
    /// As for [`Retold::process_graph`].
    pub async fn process_streams(
        &self,
        aggregate_type: impl Into<Text>,
        (from, to): (Option<Text>, Text),
        after: Option<Vec<Value>>,
        limit: usize,
    ) -> Result<Rows, Error> {
        let mut query = RowQuery::default()
            .equal("aggregate_type", aggregate_type.into())
            .equal("from_event", from.unwrap_or(BEGINNING.into()))
            .equal("to_event", to)
            .order("seconds")
            .descending()
            .limit(limit);
        query.after = after;
        self.projection(PROCESS_MAP).rows(EDGE_STREAMS, query).await
    }
}

fn graph(
    reader: &dyn ViewReader,
    aggregate_type: Text,
    month: Option<String>,
) -> Result<ProcessGraph, StoreError> {
    let months = distinct(reader, &[Value::from(&aggregate_type)])?;
    if months.is_empty() {
        return Err(StoreError::NotFound {
            what: format!("a stream of the type {aggregate_type}"),
        });
    }
    let of = || {
        RowQuery::default()
            .equal("aggregate_type", &aggregate_type)
            .equal("month", month.as_deref().unwrap_or(ALL_MONTHS))
            .limit(PAGE_ROWS)
    };
    let mut buckets: BTreeMap<(Text, Text), Vec<(u32, u64)>> = BTreeMap::new();
    each(reader, (DURATIONS, of(), DURATIONS_MAX), |row| {
        let bucket = row[4]
            .as_integer()
            .and_then(|bucket| u32::try_from(bucket).ok());
        let count = row[5].as_integer().map(i64::cast_unsigned);
        if let (Some(pair), Some(bucket)) = (pair(&row), bucket.zip(count)) {
            buckets.entry(pair).or_default().push(bucket);
        }
    })?;
    let mut rows = Vec::new();
    let complete_through = each(reader, (EDGES, of(), EDGES_MAX), |row| rows.push(row))?;
    let mut edges = Vec::new();
    let mut events: BTreeMap<Text, ProcessEvent> = BTreeMap::new();
    let mut followed: BTreeMap<Text, u64> = BTreeMap::new();
    let count_at = |row: &[Value]| Some((row[4].as_integer()?.cast_unsigned(), row[5].as_real()?));
    for row in rows {
        let (Some((from, to)), Some((count, seconds))) = (pair(&row), count_at(&row)) else {
            continue;
        };
        let event = events.entry(to.clone()).or_insert_with(|| ProcessEvent {
            event_type: to.clone(),
            count: 0,
            begins: 0,
            ends: None,
        });
        event.count += count;
        if from == BEGINNING {
            event.begins = count;
        }
        *followed.entry(from.clone()).or_default() += count;
        let empty = Vec::new();
        let buckets = buckets.get(&(from.clone(), to.clone())).unwrap_or(&empty);
        #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
        let mean_seconds = seconds / count as f64;
        edges.push(ProcessEdge {
            from: (from != BEGINNING).then_some(from),
            to,
            count,
            mean_seconds,
            median_seconds: median(buckets),
            p95_seconds: seconds_at(buckets, (count * 95).div_ceil(100)),
        });
    }
    if month.is_none() {
        for event in events.values_mut() {
            let followed = followed.get(&event.event_type).copied().unwrap_or(0);
            event.ends = Some(event.count - followed);
        }
    }
    edges.sort_by(|one, other| {
        let place = |edge: &ProcessEdge| (edge.from.clone(), edge.to.clone());
        other
            .count
            .cmp(&one.count)
            .then_with(|| place(one).cmp(&place(other)))
    });
    let known = months.into_iter().filter(|month| *month != ALL_MONTHS);
    Ok(ProcessGraph {
        aggregate_type,
        month,
        months: known.map(String::from).collect(),
        events: events.into_values().collect(),
        edges,
        complete_through,
    })
}

fn pair(row: &[Value]) -> Option<(Text, Text)> {
    Some((row[2].as_text()?.clone(), row[3].as_text()?.clone()))
}

/// The middle one, and where two are in the middle, the mean of them.
fn median(buckets: &[(u32, u64)]) -> f64 {
    let count: u64 = buckets.iter().map(|(_, count)| count).sum();
    let lower = seconds_at(buckets, count.div_ceil(2));
    let upper = seconds_at(buckets, count / 2 + 1);
    f64::midpoint(lower, upper)
}

/// The duration at a rank, from 1, in the order of the durations.
fn seconds_at(buckets: &[(u32, u64)], rank: u64) -> f64 {
    let mut passed = 0;
    let at = buckets.iter().find(|(_, count)| {
        passed += count;
        passed >= rank
    });
    let last = at.or(buckets.last());
    #[expect(clippy::cast_precision_loss, reason = "2^53 us are 285 years")]
    last.map_or(0.0, |(bucket, _)| duration_of_bucket(*bucket) as f64 / 1e6)
}

/// Goes through rows in pages; gives how far they go.
///
/// # Errors
/// [`StoreError::Unsupported`] where there are more than so many: names of events that are made up
/// as they come are no process that can be shown.
fn each(
    reader: &dyn ViewReader,
    (table, mut query, max): (&str, RowQuery, usize),
    mut visit: impl FnMut(Vec<Value>),
) -> Result<Position, StoreError> {
    let mut visited = 0;
    loop {
        let page = reader.rows(table, &query)?;
        visited += page.rows.len();
        if visited > max {
            return Err(StoreError::Unsupported {
                what: format!("a process of more than {max} different {table}"),
            });
        }
        page.rows.into_iter().for_each(&mut visit);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(page.complete_through),
        }
    }
}

/// The different values of the column of the key of `edges` behind those given, one seek for each:
/// the first [`DISTINCT_MAX`].
fn distinct(reader: &dyn ViewReader, of: &[Value]) -> Result<Vec<Text>, StoreError> {
    const KEY: [&str; 4] = ["aggregate_type", "month", "from_event", "to_event"];
    let mut query = RowQuery::default().limit(1);
    for (column, value) in KEY.iter().zip(of) {
        query = query.equal(*column, value.clone());
    }
    let mut found = Vec::new();
    loop {
        let page = reader.rows(EDGES, &query)?;
        let Some(text) = page.rows.first().and_then(|row| row[of.len()].as_text()) else {
            return Ok(found);
        };
        if found.len() == DISTINCT_MAX {
            return Ok(found);
        }
        found.push(text.clone());
        let mut after = of.to_vec();
        after.push(text.into());
        after.resize(KEY.len(), LAST.into());
        query.after = Some(after);
    }
}
