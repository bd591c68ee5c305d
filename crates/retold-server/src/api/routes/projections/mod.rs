//! Projections: which there are and how each stands (here), their rows (`rows`), and what people
//! decide about one (`deciding`).

mod deciding;
mod rows;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::projection::{ProjectionStatus, VersionRole, VersionState, VersionStatus};
use retold::{Column, EventId, Position, Table};
use serde::Serialize;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::api::answer::{Code, Problem, json};
use crate::api::request::{AsJson, NoParameters, Parameters, ProjectionName, wait_time};
use crate::api::schema;

/// The routes of projections.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_projections))
        .routes(routes!(read_projection))
        .routes(routes!(rows::read_rows))
        .routes(routes!(deciding::rebuild_projection))
        .routes(routes!(deciding::pause_projection))
        .routes(routes!(deciding::resume_projection))
        .routes(routes!(deciding::cancel_projection))
        .routes(routes!(deciding::promote_projection))
        .routes(routes!(deciding::bring_projection_back))
        .routes(routes!(deciding::discard_projection))
        .routes(routes!(deciding::compare_projection))
}

/// A projection on the wire.
#[derive(Serialize)]
struct View {
    name: String,
    head: Position,
    versions: Vec<VersionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<Vec<TableView>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionView {
    version: String,
    role: &'static str,
    state: &'static str,
    /// Why it pauses or waits.
    reason: Option<String>,
    failure: Option<FailureView>,
    has_caught_up: bool,
    is_held: bool,
    complete_through: Position,
    lag_events: u64,
    since_opened: Counts,
    per_second: Option<f64>,
    remaining_seconds: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureView {
    position: Position,
    aggregate_type: String,
    aggregate_id: String,
    event_type: String,
    event_id: EventId,
    error: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    events: u64,
    lost: u64,
    batches: u64,
    batch_seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TableView {
    name: String,
    columns: Vec<Column>,
    key: Vec<String>,
    indexes: Vec<Vec<String>>,
}

impl View {
    fn of(status: ProjectionStatus, tables: Option<Vec<Table>>) -> View {
        let head = status.head;
        let versions = status.versions.into_iter();
        let tables = tables.map(|tables| tables.into_iter().map(TableView::of).collect());
        View {
            name: status.name.to_string(),
            head,
            versions: versions
                .map(|version| VersionView::of(version, head))
                .collect(),
            tables,
        }
    }
}

impl VersionView {
    fn of(version: VersionStatus, head: Position) -> VersionView {
        let state = version.state.name();
        let (reason, failure) = match version.state {
            VersionState::Paused { reason } | VersionState::Waiting { reason } => {
                (Some(reason), None)
            }
            VersionState::Failed(failure) => {
                let failure = FailureView {
                    position: failure.position,
                    aggregate_type: failure.stream.aggregate_type().to_string(),
                    aggregate_id: failure.stream.aggregate_id().to_string(),
                    event_type: failure.event_type.to_string(),
                    event_id: failure.event_id,
                    error: failure.error,
                };
                (None, Some(failure))
            }
            _ => (None, None),
        };
        VersionView {
            version: version.version.to_string(),
            role: version.role.name(),
            state,
            reason,
            failure,
            has_caught_up: version.has_caught_up,
            is_held: version.is_held,
            complete_through: version.complete_through,
            lag_events: head.saturating_sub(version.complete_through),
            since_opened: Counts {
                events: version.events,
                lost: version.lost,
                batches: version.batches,
                batch_seconds: version.batch_time.as_secs_f64(),
            },
            per_second: version.per_second,
            remaining_seconds: version.remaining.map(|remaining| remaining.as_secs_f64()),
        }
    }
}

impl TableView {
    fn of(table: Table) -> TableView {
        let key = table.columns[..table.key_columns].iter();
        TableView {
            key: key.map(|column| column.name.clone()).collect(),
            name: table.name,
            columns: table.columns,
            indexes: table.indexes,
        }
    }
}

#[derive(Serialize)]
struct List {
    projections: Vec<View>,
}

/// Lists all projections, by name, and how each stands.
#[utoipa::path(
    get,
    path = "/v1/projections",
    tag = "projections",
    responses((status = 200, description = "The projections.", body = schema::ProjectionsBody)),
)]
async fn list_projections(
    State(app): State<App>,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let mut projections = Vec::new();
    for name in app.retold().projection_names() {
        let status = app.retold().projection(name).status().await?;
        projections.push(View::of(status, None));
    }
    json(StatusCode::OK, &List { projections })
}

/// How a projection stands, and its tables: now, or once everything through a position is in its
/// rows.
#[utoipa::path(
    get,
    path = "/v1/projections/{projection}",
    tag = "projections",
    params(schema::ProjectionPath, schema::ReachedQuery),
    responses((status = 200, description = "The projection.", body = schema::ProjectionBody)),
)]
async fn read_projection(
    State(app): State<App>,
    ProjectionName(name): ProjectionName,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reached = Reached::of(&mut parameters)?;
    parameters.finish()?;
    reached.wait_for(&app, &name).await?;
    let projection = app.retold().projection(name);
    let status = projection.status().await?;
    // While the first version is built, nobody reads its tables.
    let tables = projection.tables().await.ok();
    json(StatusCode::OK, &View::of(status, tables))
}

/// Which position rows must hold, and how long that is waited for.
pub(crate) struct Reached {
    wanted: Option<Position>,
    wait: Duration,
}

impl Reached {
    pub(crate) fn of(parameters: &mut Parameters) -> Result<Reached, Problem> {
        Ok(Reached {
            wanted: parameters.number("minPosition")?,
            wait: wait_time(parameters)?,
        })
    }

    /// Waits until everything through the position is in the rows of a projection.
    ///
    /// # Errors
    /// `not_yet` with the position that is.
    pub(crate) async fn wait_for(&self, app: &App, name: &str) -> Result<(), Problem> {
        let Some(wanted) = self.wanted else {
            return Ok(());
        };
        let projection = app.retold().projection(name.to_owned());
        let reached = app.unless_stopping(projection.wait_through(wanted));
        if let Ok(Some(reached)) = timeout(self.wait, reached).await {
            return Ok(reached?);
        }
        let status = projection.status().await?;
        let current = status.version(VersionRole::Current);
        let position = current.map_or(0, |current| current.complete_through);
        let detail = format!(
            "wait for position {wanted}: the projection {name} has come through {position}"
        );
        Err(Problem::new(Code::NotYet, detail)
            .field("minPosition")
            .member("position", position.into()))
    }
}
