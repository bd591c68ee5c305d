//! The rows of a projection: by key, or in pages by what columns hold.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use retold::projection::Row;
use retold::{ColumnType, Error, Position, RowQuery, StoreError, Value};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::Reached;
use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::limits::bytes_of_page;
use crate::api::request::{
    AsJson, Parameters, cursor, cursor_text, path_text, value_of, values_of,
};
use crate::api::schema;

/// The projection and the table that a path names.
pub(super) struct NamedTable(String, String);

impl<S: Send + Sync> FromRequestParts<S> for NamedTable {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let projection = path_text(parts, state, "projection").await?;
        let table = path_text(parts, state, "table").await?;
        Ok(NamedTable(projection, table))
    }
}

/// A row as an object: its columns by their names, JSON as such.
struct RowView<'a>(&'a Row);

impl Serialize for RowView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.values().len()))?;
        for (column, value) in self.0.table().columns.iter().zip(self.0.values()) {
            let name = &column.name;
            match value {
                Value::Null => map.serialize_entry(name, &())?,
                Value::Integer(number) => map.serialize_entry(name, number)?,
                Value::Real(number) => map.serialize_entry(name, number)?,
                Value::Text(text) if column.column_type == ColumnType::Json => {
                    match serde_json::from_str::<&RawValue>(text) {
                        Ok(json) => map.serialize_entry(name, json)?,
                        Err(_) => map.serialize_entry(name, &**text)?,
                    }
                }
                Value::Text(text) => map.serialize_entry(name, &**text)?,
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    rows: Vec<RowView<'a>>,
    next: Option<String>,
    complete_through: Position,
}

/// Reads rows of a table.
///
/// With `key` the row of that key, if there is one; with `filter` only rows that hold these values,
/// sorted by the key or by the column that `sort` names (`-` before it: the largest first). What no
/// index helps with looks at all rows.
#[utoipa::path(
    get,
    path = "/v1/projections/{projection}/tables/{table}",
    tag = "projections",
    params(schema::TablePath, schema::RowsQuery, schema::ReachedQuery),
    responses((status = 200, description = "The rows.", body = schema::RowsPageBody)),
)]
pub(super) async fn read_rows(
    State(app): State<App>,
    NamedTable(name, table): NamedTable,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reached = Reached::of(&mut parameters)?;
    let key = parameters
        .text("key")
        .map(|key| values_of("key", &key))
        .transpose()?;
    let mut query = RowQuery {
        limit: parameters.page_limit()?,
        after: parameters
            .text("after")
            .as_deref()
            .map(cursor)
            .transpose()?,
        ..RowQuery::default()
    };
    if let Some(filter) = parameters.text("filter") {
        let reason = "must be an object of columns and values";
        let refused = |_| Problem::invalid("filter", reason);
        let filter: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&filter).map_err(refused)?;
        for (column, value) in filter {
            query.equal.push((column, value_of("filter", value)?));
        }
    }
    if let Some(sort) = parameters.name("sort")? {
        let column = sort.strip_prefix('-');
        query.is_descending = column.is_some();
        query.order = Some(column.unwrap_or(&sort).to_owned());
    }
    parameters.finish()?;
    let room = app.rooms().answers.take(bytes_of_page(query.limit)).await?;
    reached.wait_for(&app, &name).await?;
    let projection = app.retold().projection(name);
    if let Some(key) = key {
        query = projection.query_of_key(&table, key).await?;
    }
    let page = projection.rows(table, query).await.map_err(of_parameter)?;
    let next = page.next.as_deref().map(cursor_text);
    let page = Page {
        rows: page.rows.iter().map(RowView).collect(),
        next: next.map(|next| parameters.reference("after", &next)),
        complete_through: page.complete_through,
    };
    Ok(room.brought_by(json(StatusCode::OK, &page)?))
}

/// A problem with the query, under the name of the parameter that it came from.
fn of_parameter(error: Error) -> Problem {
    match error {
        Error::Store(StoreError::Invalid { field, reason }) => {
            let parameter = match field.as_str() {
                "equal" => "filter",
                "order" => "sort",
                other => other,
            };
            Problem::invalid(parameter, reason)
        }
        other => other.into(),
    }
}
