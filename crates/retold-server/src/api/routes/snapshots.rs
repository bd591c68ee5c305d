//! The snapshots of one stream's state.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use retold::{Json, Snapshot, Snapshots, StreamHead, StreamId, Timestamp, limits};
use serde::Serialize;

use super::events::unknown_stream;
use crate::App;
use crate::api::answer::{Code, Problem, json, with_sequence, written};
use crate::api::limits::{SMALL_BODY_BYTES_MAX, bytes_of_page};
use crate::api::request::{
    AsJson, Fields, Media, NoParameters, Parameters, Target, check_media, read, text,
};
use crate::api::schema;

/// A snapshot on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    aggregate_type: &'a str,
    aggregate_id: &'a str,
    sequence_number: u64,
    position: u64,
    state: &'a Json,
    metadata: &'a Json,
    created_at: Timestamp,
}

impl<'a> View<'a> {
    fn of(snapshot: &'a Snapshot) -> View<'a> {
        View {
            aggregate_type: snapshot.stream.aggregate_type(),
            aggregate_id: snapshot.stream.aggregate_id(),
            sequence_number: snapshot.sequence_number,
            position: snapshot.checkpoint.position,
            state: &snapshot.state,
            metadata: &snapshot.metadata,
            created_at: snapshot.created_at,
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    snapshots: Vec<View<'a>>,
    next: Option<String>,
}

/// Lists the snapshots of a stream, newest first.
#[utoipa::path(
    get,
    path = "/v1/streams/{aggregateType}/{aggregateId}/snapshots",
    tag = "snapshots",
    params(schema::StreamPath, schema::SnapshotsQuery),
    responses(
        (status = 200, description = "A page of snapshots.", body = schema::SnapshotsPageBody,
            headers(("Retold-Stream-Sequence" = u64))),
    ),
)]
pub(crate) async fn list_snapshots(
    State(app): State<App>,
    Target(stream): Target,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let before = parameters.number("before")?;
    let limit = parameters.page_limit()?;
    parameters.finish()?;
    let head = head_of(&app, &stream).await?;
    let room = app.rooms().answers.take(bytes_of_page(limit)).await?;
    let page = of(&app, &stream).list(before, limit).await?;
    let next = page.next;
    let page = Page {
        snapshots: page.snapshots.iter().map(View::of).collect(),
        next: next.map(|next| parameters.reference("before", &next.to_string())),
    };
    let response = room.brought_by(json(StatusCode::OK, &page)?);
    Ok(with_sequence(response, head.sequence_number))
}

/// The newest snapshot of a stream.
#[utoipa::path(
    get,
    path = "/v1/streams/{aggregateType}/{aggregateId}/snapshots/latest",
    tag = "snapshots",
    params(schema::StreamPath),
    responses(
        (status = 200, description = "The newest snapshot.", body = schema::SnapshotBody,
            headers(("Retold-Stream-Sequence" = u64))),
    ),
)]
pub(crate) async fn latest_snapshot(
    State(app): State<App>,
    Target(stream): Target,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let head = head_of(&app, &stream).await?;
    let latest = of(&app, &stream).latest().await?;
    let latest = latest.ok_or_else(|| {
        let detail = format!("find a snapshot of stream {stream}");
        Problem::new(Code::NotFound, detail).hint("make one with POST")
    })?;
    let response = json(StatusCode::OK, &View::of(&latest))?;
    Ok(with_sequence(response, head.sequence_number))
}

/// Makes a snapshot of the state now.
///
/// Without `force` the last one is the answer while it is less than an interval of events old.
#[utoipa::path(
    post,
    path = "/v1/streams/{aggregateType}/{aggregateId}/snapshots",
    tag = "snapshots",
    params(schema::StreamPath),
    request_body(content = schema::MakeSnapshotBody, content_type = "application/json"),
    responses(
        (status = 201, description = "Made.", body = schema::SnapshotBody),
        (status = 200, description = "The last one is recent enough.", body = schema::SnapshotBody),
    ),
)]
pub(crate) async fn make_snapshot(
    State(app): State<App>,
    headers: HeaderMap,
    target: Result<Target, Problem>,
    parameters: Result<NoParameters, Problem>,
    body: Body,
) -> Result<Response, Problem> {
    // A body is not required, and without one neither is its media type; but a wrong one is
    // told before anything else.
    if headers.contains_key(header::CONTENT_TYPE) {
        check_media(&headers, Media::Json)?;
    }
    let Target(stream) = target?;
    parameters?;
    let body = read(&headers, body, SMALL_BODY_BYTES_MAX).await?;
    if !body.is_empty() {
        check_media(&headers, Media::Json)?;
    }
    let (force, metadata) = options(&body)?;
    let mut call = of(&app, &stream).create();
    if force {
        call = call.force();
    }
    if let Some(metadata) = metadata {
        call = call.metadata(&metadata);
    }
    let created = call.await?;
    json(written(created.is_new), &View::of(&created.snapshot))
}

fn options(body: &[u8]) -> Result<(bool, Option<Json>), Problem> {
    if body.is_empty() {
        return Ok((false, None));
    }
    let mut fields = Fields::of_body(text(body)?)?;
    let force = fields.value::<bool>("force", "true or false")?;
    let metadata = fields.json("metadata")?;
    fields.finish()?;
    let bytes = metadata.as_ref().map_or(0, |json| json.as_str().len());
    if bytes > limits::METADATA_BYTES_MAX {
        return Err(Problem::too_large("metadata", limits::METADATA_BYTES_MAX));
    }
    Ok((force.unwrap_or(false), metadata))
}

/// Removes all but the newest snapshots.
#[utoipa::path(
    delete,
    path = "/v1/streams/{aggregateType}/{aggregateId}/snapshots",
    tag = "snapshots",
    params(schema::StreamPath, schema::PruneQuery),
    responses((status = 204, description = "Removed.")),
)]
pub(crate) async fn prune_snapshots(
    State(app): State<App>,
    Target(stream): Target,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let keep = parameters.number("keep")?;
    parameters.finish()?;
    let keep = keep.ok_or_else(|| Problem::invalid("keep", "must be given"))?;
    head_of(&app, &stream).await?;
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    of(&app, &stream).prune(keep).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn of(app: &App, stream: &StreamId) -> Snapshots {
    let aggregate_type = stream.aggregate_type().clone();
    app.retold()
        .snapshots(aggregate_type, stream.aggregate_id().clone())
}

async fn head_of(app: &App, stream: &StreamId) -> Result<StreamHead, Problem> {
    let head = app.retold().store().stream_head(stream).await?;
    head.ok_or_else(|| unknown_stream(stream))
}
