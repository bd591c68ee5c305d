//! A table of transitions for each machine type, open to SQL.

use heck::ToSnakeCase;
use retold_core::{ColumnType, RecordedEvent, RowQuery, Table, Value};

use crate::BoxError;
use crate::projection::{Projection, View};
use crate::transition::RecordedTransition;

/// Which table holds the transitions of a type.
const TYPES: &str = "machine_types";

/// The types that have a table before their first transition.
const FROM_THE_BEGINNING: [&str; 2] = ["Issue", "Execution"];

/// The projection `state_history`: a table of transitions for each type of aggregates that have
/// them, `issue_state_history` for the type `Issue`.
///
/// Which table belongs to a type is in the table `machine_types`: the type's name in snake case and
/// `_state_history`, with a number where another type has taken that.
#[derive(Debug, Clone, Copy)]
pub struct StateHistory;

impl Projection for StateHistory {
    fn name(&self) -> &'static str {
        "state_history"
    }

    fn tables(&self) -> Vec<Table> {
        let types = Table::new(TYPES)
            .key("aggregate_type", ColumnType::Text)
            .column("table_name", ColumnType::Text);
        let known = FROM_THE_BEGINNING.map(|known| history(&table_of(known, 1)));
        [types].into_iter().chain(known).collect()
    }

    fn apply(&self, event: &RecordedEvent, view: &mut View<'_>) -> Result<(), BoxError> {
        let Some(transition) = RecordedTransition::of(event) else {
            return Ok(());
        };
        let table = declared(event, view)?;
        let metadata = &event.metadata;
        // Upcasters may have made several of one event.
        let mut id = metadata.event_id.to_string();
        for part in 2.. {
            match view.get(&table, &*id)? {
                Some(_) => id = format!("{}.{part}", metadata.event_id),
                None => break,
            }
        }
        let extra = metadata.extra.iter();
        let extra = extra.map(|(name, value)| {
            let name = serde_json::to_string(&**name)?;
            Ok(format!("{name}:{value}"))
        });
        let extra: Vec<String> = extra.collect::<Result<_, serde_json::Error>>()?;
        let context = transition.context.map(|context| context.to_string());
        let row = [
            id.into(),
            event.stream.aggregate_id().into(),
            transition.from.into(),
            transition.to.into(),
            transition.event.into(),
            context.into(),
            metadata.actor.as_ref().into(),
            transition.reason.into(),
            format!("{{{}}}", extra.join(",")).into(),
            metadata.timestamp.into(),
            metadata.event_id.to_string().into(),
            Value::from(&metadata.version),
            Value::from(&metadata.correlation_id),
            metadata.causation_id.as_ref().into(),
            event.sequence_number.into(),
            event.position.into(),
            event.persisted_at.into(),
        ];
        Ok(view.put(&table, row)?)
    }
}

/// The table of an event's type, which is made where there is none.
fn declared(event: &RecordedEvent, view: &mut View<'_>) -> Result<String, BoxError> {
    let aggregate_type = event.stream.aggregate_type();
    if let Some(known) = view.get(TYPES, aggregate_type)? {
        return Ok(known.text("table_name")?.to_string());
    }
    let mut taken = vec![];
    for row in view
        .scan(TYPES, &RowQuery::default().limit(usize::MAX))?
        .rows
    {
        taken.push(row.text("table_name")?.to_string());
    }
    // The two that are there from the beginning stay their types' own.
    for known in FROM_THE_BEGINNING
        .iter()
        .filter(|known| *aggregate_type != **known)
    {
        taken.push(table_of(known, 1));
    }
    let mut tables = (1..).map(|nth| table_of(aggregate_type, nth));
    let table = tables.find(|table| !taken.contains(table));
    let table = table.expect("there is always a higher number");
    view.declare(&history(&table))?;
    view.put(TYPES, (aggregate_type, table.as_str()))?;
    Ok(table)
}

/// Bytes of a type's name that its table keeps: what is added must fit the name of a table.
const TYPE_BYTES_MAX: usize = 40;

fn table_of(aggregate_type: &str, nth: u32) -> String {
    let mut name = aggregate_type
        .to_snake_case()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    name.truncate(TYPE_BYTES_MAX);
    match nth {
        1 => format!("{name}_state_history"),
        nth => format!("{name}_state_history_{nth}"),
    }
}

fn history(name: &str) -> Table {
    Table::new(name)
        .key("id", ColumnType::Text)
        .column("aggregate_id", ColumnType::Text)
        .optional("from_state", ColumnType::Text)
        .optional("to_state", ColumnType::Text)
        .column("event", ColumnType::Text)
        .optional("context", ColumnType::Json)
        .optional("triggered_by", ColumnType::Text)
        .optional("reason", ColumnType::Text)
        .column("metadata", ColumnType::Json)
        .column("timestamp", ColumnType::Text)
        .column("event_id", ColumnType::Text)
        .column("version", ColumnType::Text)
        .column("correlation_id", ColumnType::Text)
        .optional("causation_id", ColumnType::Text)
        .column("sequence_number", ColumnType::Integer)
        .column("position", ColumnType::Integer)
        .column("persisted_at", ColumnType::Text)
        .index(&["aggregate_id", "sequence_number"])
        .index(&["event_id"])
        .index(&["correlation_id"])
        .index(&["timestamp"])
}
