//! Each stream with its status, and how many streams have which.

use std::collections::BTreeMap;

use retold_core::{ColumnType, Filter, RecordedEvent, RowQuery, Table, Text, Value};

use crate::BoxError;
use crate::machine::{Machine, machine_added};
use crate::projection::{Projection, View};
use crate::transition::{is_transition, to_state};

const STREAMS: &str = "streams";
const COUNTS: &str = "status_counts";
const MACHINES: &str = "machines";

/// Streams that are looked at at once where a type is given a machine.
const PAGE_ROWS: usize = 1_000;

/// The projection `current_state`: what [`Retold::state`](crate::Retold::state) says of each
/// stream, in the table `streams`, and how many streams of a type have which status, in
/// `status_counts`.
///
/// The status of a stream whose type has a machine is the state that the last transition led to,
/// the initial state before the first one; else it is the type of the last event.
#[derive(Debug, Clone)]
pub struct CurrentState {
    /// The initial state by type, of machines that are no events of the log.
    given: BTreeMap<String, String>,
}

impl CurrentState {
    /// For a program that brings these machines along. Those that the log holds are read from it.
    pub fn new(machines: &[Machine]) -> CurrentState {
        let given = machines.iter();
        let given = given.map(|machine| {
            let initial = machine.initial().to_owned();
            (machine.aggregate_type().to_owned(), initial)
        });
        CurrentState {
            given: given.collect(),
        }
    }

    /// The initial state of a type; none where it has no machine.
    fn initial(
        &self,
        aggregate_type: &Text,
        view: &mut View<'_>,
    ) -> Result<Option<Text>, BoxError> {
        if let Some(kept) = view.get(MACHINES, aggregate_type)? {
            return Ok(Some(kept.text("initial")?.clone()));
        }
        let given = self.given.get(&**aggregate_type);
        Ok(given.map(|initial| Text::from(initial.as_str())))
    }

    /// Takes a machine in that the log tells of. Streams of the type without a transition are in
    /// its initial state from now on, whatever they were before.
    fn machine_added(&self, event: &RecordedEvent, view: &mut View<'_>) -> Result<(), BoxError> {
        let Some(machine) = machine_added(event)? else {
            return Ok(());
        };
        let (aggregate_type, initial) = (event.stream.aggregate_id(), machine.initial());
        let had_one = self.initial(aggregate_type, view)?.is_some();
        view.put(MACHINES, (aggregate_type, initial))?;
        let mut query = RowQuery::default()
            .equal("aggregate_type", aggregate_type)
            .limit(PAGE_ROWS);
        loop {
            let page = view.scan(STREAMS, &query)?;
            for mut row in page.rows {
                if had_one && !row.value("last_transition_at")?.is_null() {
                    continue;
                }
                count(view, aggregate_type, row.text("status")?, -1)?;
                count(view, aggregate_type, &Text::from(initial), 1)?;
                row.set("status", initial)?;
                row.set("transition_count", 0)?;
                row.set("last_transition_at", Value::Null)?;
                view.put(STREAMS, row)?;
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

impl Projection for CurrentState {
    fn name(&self) -> &'static str {
        "current_state"
    }

    fn tables(&self) -> Vec<Table> {
        let streams = Table::new(STREAMS)
            .key("aggregate_type", ColumnType::Text)
            .key("aggregate_id", ColumnType::Text)
            .column("status", ColumnType::Text)
            .column("transition_count", ColumnType::Integer)
            .optional("last_transition_at", ColumnType::Text)
            .column("first_event_at", ColumnType::Text)
            .column("last_event_at", ColumnType::Text)
            .column("last_event_type", ColumnType::Text)
            .optional("last_actor", ColumnType::Text)
            .column("sequence_number", ColumnType::Integer)
            .column("position", ColumnType::Integer)
            .index(&["last_event_at"])
            .index(&["status", "last_event_at"])
            .index(&["aggregate_type", "last_event_at"])
            .index(&["aggregate_type", "status", "last_event_at"]);
        let counts = Table::new(COUNTS)
            .key("aggregate_type", ColumnType::Text)
            .key("status", ColumnType::Text)
            .column("streams", ColumnType::Integer);
        let machines = Table::new(MACHINES)
            .key("aggregate_type", ColumnType::Text)
            .column("initial", ColumnType::Text);
        vec![streams, counts, machines]
    }

    /// A type that has a machine in one program and none in another has other rows.
    fn fingerprint(&self) -> String {
        format!("{:?}", self.given)
    }

    /// Machines are events of reserved streams.
    fn filter(&self) -> Filter {
        Filter {
            include_reserved: true,
            ..Filter::default()
        }
    }

    fn apply(&self, event: &RecordedEvent, view: &mut View<'_>) -> Result<(), BoxError> {
        let stream = &event.stream;
        if stream.is_reserved() {
            return self.machine_added(event, view);
        }
        let (aggregate_type, aggregate_id) = (stream.aggregate_type(), stream.aggregate_id());
        let before = view.get(STREAMS, (aggregate_type, aggregate_id))?;
        let initial = self.initial(aggregate_type, view)?;
        let moves_to = match (&initial, is_transition(event)) {
            (None, _) => Some(event.event_type.clone()),
            (Some(_), true) => Some(Text::from(to_state(&event.payload)?)),
            (Some(_), false) => None,
        };
        let metadata = &event.metadata;
        let at = Value::from(metadata.timestamp);
        let (status_before, mut transitions, mut last_transition_at, first_at) = match &before {
            Some(row) => (
                Some(row.text("status")?.clone()),
                row.integer("transition_count")?,
                row.value("last_transition_at")?.clone(),
                row.value("first_event_at")?.clone(),
            ),
            None => (None, 0, Value::Null, at.clone()),
        };
        if moves_to.is_some() {
            transitions += 1;
            last_transition_at = at.clone();
        }
        let status = moves_to.or_else(|| status_before.clone()).or(initial);
        let status = status.expect("a type without a machine moves with each event");
        if status_before.as_ref() != Some(&status) {
            if let Some(before) = &status_before {
                count(view, aggregate_type, before, -1)?;
            }
            count(view, aggregate_type, &status, 1)?;
        }
        let row = [
            aggregate_type.into(),
            aggregate_id.into(),
            status.into(),
            transitions.into(),
            last_transition_at,
            first_at,
            at,
            Value::from(&event.event_type),
            metadata.actor.as_ref().into(),
            event.sequence_number.into(),
            event.position.into(),
        ];
        Ok(view.put(STREAMS, row)?)
    }
}

/// Counts streams of a type in a status.
fn count(
    view: &mut View<'_>,
    aggregate_type: &Text,
    status: &Text,
    more: i64,
) -> Result<(), BoxError> {
    let before = match view.get(COUNTS, (aggregate_type, status))? {
        Some(row) => row.integer("streams")?,
        None => 0,
    };
    match before + more {
        0 => view.delete(COUNTS, (aggregate_type, status))?,
        streams => view.put(COUNTS, (aggregate_type, status, streams))?,
    }
    Ok(())
}
