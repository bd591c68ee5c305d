//! What happened under one correlation id, as a tree of causes.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::{RecordedEvent, TraceNode};
use serde::Serialize;

use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::limits::bytes_of_page;
use crate::api::request::{AsJson, CorrelationId, NoParameters};
use crate::api::schema;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    correlation_id: &'a str,
    roots: Vec<NodeView<'a>>,
    is_complete: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeView<'a> {
    event: &'a RecordedEvent,
    children: Vec<NodeView<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_continued: bool,
}

impl<'a> NodeView<'a> {
    fn of(node: &'a TraceNode) -> NodeView<'a> {
        NodeView {
            event: &node.event,
            children: node.children.iter().map(NodeView::of).collect(),
            is_continued: node.is_continued,
        }
    }
}

/// All events of a correlation, each under the one that caused it. An event whose cause is not
/// among them is a root; so is one that lies too deep, which says `isContinued`.
#[utoipa::path(
    get,
    path = "/v1/traces/{correlationId}",
    tag = "log",
    params(schema::TracePath),
    responses((status = 200, description = "The tree.", body = schema::TraceBody)),
)]
pub(crate) async fn read_trace(
    State(app): State<App>,
    CorrelationId(correlation_id): CorrelationId,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let room = app.rooms().answers.take(bytes_of_page(usize::MAX)).await?;
    let trace = app.retold().trace(correlation_id).await?;
    let view = View {
        correlation_id: &trace.correlation_id,
        roots: trace.roots.iter().map(NodeView::of).collect(),
        is_complete: trace.is_complete,
    };
    Ok(room.brought_by(json(StatusCode::OK, &view)?))
}
