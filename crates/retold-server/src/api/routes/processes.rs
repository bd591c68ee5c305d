//! How the streams of a type really flow.

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use retold::projection::{ProcessEdge, ProcessEvent, ProcessGraph};
use retold::{Position, StreamId, Text};
use serde::Serialize;

use super::projections::Reached;
use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::limits::bytes_of_page;
use crate::api::request::{AsJson, NoParameters, Parameters, cursor, cursor_text, path_text};
use crate::api::schema;

/// The projection that it is read from.
const PROCESS_MAP: &str = "process_map";

/// The aggregate type that a path names.
pub(crate) struct Named(Text);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let aggregate_type = path_text(parts, state, "aggregateType").await?;
        // A type is what a stream may have for one.
        let stream = StreamId::new(aggregate_type, "any")?;
        Ok(Named(stream.aggregate_type().clone()))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Types {
    aggregate_types: Vec<String>,
}

/// The aggregate types of which there is a process map.
#[utoipa::path(
    get,
    path = "/v1/processes",
    tag = "processes",
    responses((status = 200, description = "The types.", body = schema::ProcessesBody)),
)]
pub(crate) async fn list_processes(
    State(app): State<App>,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let types = app.retold().process_types().await?;
    let aggregate_types = types.into_iter().map(String::from).collect();
    json(StatusCode::OK, &Types { aggregate_types })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    aggregate_type: &'a str,
    month: Option<&'a str>,
    months: &'a [String],
    events: Vec<EventView<'a>>,
    edges: Vec<EdgeView<'a>>,
    complete_through: Position,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventView<'a> {
    event_type: &'a str,
    count: u64,
    begins: u64,
    ends: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EdgeView<'a> {
    from: Option<&'a str>,
    to: &'a str,
    count: u64,
    mean_seconds: f64,
    median_seconds: f64,
    p95_seconds: f64,
}

impl<'a> View<'a> {
    fn of(graph: &'a ProcessGraph) -> View<'a> {
        let event = |event: &'a ProcessEvent| EventView {
            event_type: &event.event_type,
            count: event.count,
            begins: event.begins,
            ends: event.ends,
        };
        let edge = |edge: &'a ProcessEdge| EdgeView {
            from: edge.from.as_deref(),
            to: &edge.to,
            count: edge.count,
            mean_seconds: edge.mean_seconds,
            median_seconds: edge.median_seconds,
            p95_seconds: edge.p95_seconds,
        };
        View {
            aggregate_type: &graph.aggregate_type,
            month: graph.month.as_deref(),
            months: &graph.months,
            events: graph.events.iter().map(event).collect(),
            edges: graph.edges.iter().map(edge).collect(),
            complete_through: graph.complete_through,
        }
    }
}

/// Which event follows which in the streams of a type, how often, and how long it takes: over the
/// whole log, or in one month.
#[utoipa::path(
    get,
    path = "/v1/processes/{aggregateType}",
    tag = "processes",
    params(schema::TypePath, schema::ProcessQuery, schema::ReachedQuery),
    responses((status = 200, description = "The process map.", body = schema::ProcessBody)),
)]
pub(crate) async fn read_process(
    State(app): State<App>,
    Named(aggregate_type): Named,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reached = Reached::of(&mut parameters)?;
    let month = parameters.text("month");
    let is_month = |month: &str| {
        let parts = month.rsplit_once('-');
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        parts.is_some_and(|(year, month)| {
            is_number(year.strip_prefix('-').unwrap_or(year)) && is_number(month)
        })
    };
    if month.as_deref().is_some_and(|month| !is_month(month)) {
        return Err(Problem::invalid(
            "month",
            "must be a year and a month, such as 2024-02",
        ));
    }
    parameters.finish()?;
    // Ten thousand steps and their text take no more than a few of the largest events do.
    let room = app.rooms().answers.take(bytes_of_page(4)).await?;
    reached.wait_for(&app, PROCESS_MAP).await?;
    let graph = app.retold().process_graph(aggregate_type, month).await?;
    Ok(room.brought_by(json(StatusCode::OK, &View::of(&graph))?))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    streams: Vec<StreamView>,
    next: Option<String>,
    complete_through: Position,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StreamView {
    aggregate_id: String,
    count: u64,
    seconds: f64,
    last_at: String,
}

/// The streams in which one event followed another, those first in which that took longest
/// together; without `from` those that began with `to`.
#[utoipa::path(
    get,
    path = "/v1/processes/{aggregateType}/streams",
    tag = "processes",
    params(schema::TypePath, schema::ProcessStreamsQuery, schema::ReachedQuery),
    responses((status = 200, description = "The streams.", body = schema::ProcessStreamsBody)),
)]
pub(crate) async fn list_process_streams(
    State(app): State<App>,
    Named(aggregate_type): Named,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let reached = Reached::of(&mut parameters)?;
    let from = parameters.name("from")?;
    let to = parameters.name("to")?;
    let after = parameters
        .text("after")
        .as_deref()
        .map(cursor)
        .transpose()?;
    let limit = parameters.page_limit()?;
    parameters.finish()?;
    let to = to.ok_or_else(|| Problem::invalid("to", "must be given"))?;
    let room = app.rooms().answers.take(bytes_of_page(1)).await?;
    reached.wait_for(&app, PROCESS_MAP).await?;
    let page = app
        .retold()
        .process_streams(aggregate_type, (from, to), after, limit)
        .await?;
    let mut streams = Vec::with_capacity(page.rows.len());
    for row in &page.rows {
        streams.push(StreamView {
            aggregate_id: row.text("aggregate_id")?.to_string(),
            count: row.integer("count")?.cast_unsigned(),
            seconds: row.real("seconds")?,
            last_at: row.text("last_at")?.to_string(),
        });
    }
    let next = page.next.as_deref().map(cursor_text);
    let page = Page {
        streams,
        next: next.map(|next| parameters.reference("after", &next)),
        complete_through: page.complete_through,
    };
    Ok(room.brought_by(json(StatusCode::OK, &page)?))
}
