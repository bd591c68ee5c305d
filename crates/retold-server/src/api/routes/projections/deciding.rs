//! What people decide about a projection, and what they need to know for it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::projection::{Comparison, RowDifference, TableComparison, VersionRole};
use retold::{Position, Text, Value};
use serde::Serialize;

use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::request::{AsJson, NoParameters, Parameters, ProjectionName, SentJson, SmallBody};
use crate::api::schema;

/// The version that a decision was about.
#[derive(Serialize)]
struct Decided {
    version: String,
}

fn decided(version: &Text) -> Result<Response, Problem> {
    let version = version.to_string();
    json(StatusCode::OK, &Decided { version })
}

/// Builds a version anew beside the one that is read. It takes the place of that one once it has
/// caught up; with `held=true` once it is promoted.
#[utoipa::path(
    post,
    path = "/v1/projections/{projection}/rebuild",
    tag = "projections",
    params(schema::ProjectionPath, schema::RebuildQuery),
    responses((status = 200, description = "It is being built.", body = schema::DecidedBody)),
)]
pub(super) async fn rebuild_projection(
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let is_held = parameters.flag("held")?;
    parameters.finish()?;
    decided(&app.retold().projection(name).rebuild(is_held).await?)
}

/// Pauses the version that is being built, or else the one that is read, also after a restart.
#[utoipa::path(
    post,
    path = "/v1/projections/{projection}/pause",
    tag = "projections",
    params(schema::ProjectionPath),
    request_body = schema::PauseBody,
    responses((status = 200, description = "It pauses.", body = schema::DecidedBody)),
)]
pub(super) async fn pause_projection(
    _: SentJson,
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let reason = fields.reason()?;
    fields.finish()?;
    decided(&app.retold().projection(name).pause(reason).await?)
}

/// Goes on after a pause, or with the event that the projection failed on.
#[utoipa::path(
    post,
    path = "/v1/projections/{projection}/resume",
    tag = "projections",
    params(schema::ProjectionPath),
    responses((status = 200, description = "It goes on.", body = schema::DecidedBody)),
)]
pub(super) async fn resume_projection(
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    _: NoParameters,
) -> Result<Response, Problem> {
    decided(&app.retold().projection(name).resume().await?)
}

/// Gives the version up that is being built.
#[utoipa::path(
    post,
    path = "/v1/projections/{projection}/cancel",
    tag = "projections",
    params(schema::ProjectionPath),
    responses((status = 200, description = "It is gone.", body = schema::DecidedBody)),
)]
pub(super) async fn cancel_projection(
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    _: NoParameters,
) -> Result<Response, Problem> {
    decided(&app.retold().projection(name).cancel().await?)
}

/// Puts the version that is built, and has caught up, in the place of the one that is read, which
/// is kept.
#[utoipa::path(
    post,
    path = "/v1/projections/{projection}/promote",
    tag = "projections",
    params(schema::ProjectionPath),
    responses((status = 200, description = "It is read.", body = schema::DecidedBody)),
)]
pub(super) async fn promote_projection(
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    _: NoParameters,
) -> Result<Response, Problem> {
    decided(&app.retold().projection(name).promote().await?)
}

/// Reads the version again that was read before; the one that is read now is kept.
#[utoipa::path(
    post,
    path = "/v1/projections/{projection}/bring-back",
    tag = "projections",
    params(schema::ProjectionPath),
    responses((status = 200, description = "It is read.", body = schema::DecidedBody)),
)]
pub(super) async fn bring_projection_back(
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    _: NoParameters,
) -> Result<Response, Problem> {
    decided(&app.retold().projection(name).bring_back().await?)
}

/// Removes the version that was read before.
#[utoipa::path(
    post,
    path = "/v1/projections/{projection}/discard",
    tag = "projections",
    params(schema::ProjectionPath),
    responses((status = 200, description = "It is gone.", body = schema::DecidedBody)),
)]
pub(super) async fn discard_projection(
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    _: NoParameters,
) -> Result<Response, Problem> {
    decided(&app.retold().projection(name).discard().await?)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ComparisonView {
    version: String,
    with: String,
    is_equal: bool,
    complete_through: Position,
    with_complete_through: Position,
    tables: Vec<TableView>,
}

#[derive(Serialize)]
struct TableView {
    table: String,
    incomparable: Option<String>,
    equal: u64,
    different: u64,
    missing: u64,
    added: u64,
    differences: Vec<RowView>,
}

#[derive(Serialize)]
struct RowView {
    key: Vec<serde_json::Value>,
    values: Option<Vec<serde_json::Value>>,
    with: Option<Vec<serde_json::Value>>,
}

impl ComparisonView {
    fn of(comparison: Comparison) -> ComparisonView {
        ComparisonView {
            is_equal: comparison.is_equal(),
            version: comparison.version.to_string(),
            with: comparison.with.to_string(),
            complete_through: comparison.complete_through,
            with_complete_through: comparison.with_complete_through,
            tables: comparison.tables.into_iter().map(TableView::of).collect(),
        }
    }
}

impl TableView {
    fn of(table: TableComparison) -> TableView {
        TableView {
            table: table.table,
            incomparable: table.incomparable,
            equal: table.equal,
            different: table.different,
            missing: table.missing,
            added: table.added,
            differences: table.differences.into_iter().map(RowView::of).collect(),
        }
    }
}

impl RowView {
    fn of(row: RowDifference) -> RowView {
        let values = |values: Vec<Value>| values.into_iter().map(json_of).collect();
        RowView {
            key: values(row.key),
            values: row.values.map(values),
            with: row.with.map(values),
        }
    }
}

fn json_of(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Integer(number) => number.into(),
        Value::Real(number) => number.into(),
        Value::Text(text) => (&*text).into(),
    }
}

/// Compares the version that is read with the one that is being built (`with=building`) or the one
/// that was read before (`with=previous`), row by row, both as they are at one position.
#[utoipa::path(
    get,
    path = "/v1/projections/{projection}/compare",
    tag = "projections",
    params(schema::ProjectionPath, schema::CompareQuery),
    responses((status = 200, description = "Where they differ.", body = schema::ComparisonBody)),
)]
pub(super) async fn compare_projection(
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let with = parameters.text("with");
    parameters.finish()?;
    let with = match with.as_deref() {
        Some("building") => VersionRole::Building,
        Some("previous") => VersionRole::Previous,
        _ => return Err(Problem::invalid("with", "must be building or previous")),
    };
    let compared = app.retold().projection(name).compare(with).await?;
    json(StatusCode::OK, &ComparisonView::of(compared))
}
