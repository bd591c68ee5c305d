//! What people decide about a consumer, and what they need to know for it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use retold::consumer::{ConsumerAudit, ParkedEvent, SkippedEvent};
use retold::{EventId, Position, SequenceNumber, StreamId, Timestamp};
use serde::Serialize;

use super::open;
use super::settings::start;
use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::request::{AsJson, ConsumerName, Fields, NoParameters, SentJson, SmallBody};
use crate::api::schema;

/// Hands out nothing more until it is resumed, also after a restart.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/pause",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::PauseBody,
    responses((status = 204, description = "It pauses.")),
)]
pub(super) async fn pause_consumer(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let reason = fields.reason()?;
    fields.finish()?;
    open(&app, &name).await?.pause(reason).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Goes on after a pause.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/resume",
    tag = "consumers",
    params(schema::ConsumerPath),
    responses((status = 204, description = "It goes on.")),
)]
pub(super) async fn resume_consumer(
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
) -> Result<Response, Problem> {
    open(&app, &name).await?.resume().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParkedView {
    aggregate_type: String,
    aggregate_id: String,
    sequence_number: SequenceNumber,
    position: Position,
    event_id: EventId,
    attempts: u32,
    error: String,
    failed_at: Timestamp,
}

impl ParkedView {
    fn of(parked: ParkedEvent) -> ParkedView {
        ParkedView {
            aggregate_type: parked.stream.aggregate_type().to_string(),
            aggregate_id: parked.stream.aggregate_id().to_string(),
            sequence_number: parked.sequence_number,
            position: parked.position,
            event_id: parked.event_id,
            attempts: parked.attempts,
            error: parked.error.to_string(),
            failed_at: parked.failed_at,
        }
    }
}

#[derive(Serialize)]
struct ParkedList {
    parked: Vec<ParkedView>,
}

/// The events that are not tried any more until somebody says so, by stream, each with its error.
#[utoipa::path(
    get,
    path = "/v1/consumers/{consumer}/parked",
    tag = "consumers",
    params(schema::ConsumerPath),
    responses((status = 200, description = "What is parked.", body = schema::ParkedListBody)),
)]
pub(super) async fn list_parked(
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let parked = app.retold().consumer_parked(name).await?;
    let parked = parked.into_iter().map(ParkedView::of).collect();
    json(StatusCode::OK, &ParkedList { parked })
}

#[derive(Serialize)]
struct Replayed {
    replayed: usize,
}

/// Tries what is parked again: of one stream, or of all where none is named.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/replay",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::ReplayBody,
    responses((status = 200, description = "It is tried again.", body = schema::ReplayedBody)),
)]
pub(super) async fn replay_parked(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let is_one = fields.has("aggregateType") || fields.has("aggregateId");
    let stream = is_one.then(|| stream(&mut fields)).transpose()?;
    fields.finish()?;
    let consumer = open(&app, &name).await?;
    let replayed = match stream {
        Some(stream) => consumer.replay(&stream).await.map(|()| 1)?,
        None => consumer.replay_all().await,
    };
    json(StatusCode::OK, &Replayed { replayed })
}

/// Passes the parked event of a stream over, so that the rest of the stream goes on. The event
/// and the reason are kept in the log.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/skip",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::SkipBody,
    responses((status = 204, description = "It is passed over.")),
)]
pub(super) async fn skip_parked(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let stream = stream(&mut fields)?;
    let reason = fields.reason()?;
    fields.finish()?;
    open(&app, &name).await?.skip(&stream, &reason).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Sends a consumer to begin anew, with the settings it has: what it had finished, and what is
/// parked, is forgotten.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/reset",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::ResetBody,
    responses((status = 204, description = "It begins anew.")),
)]
pub(super) async fn reset_consumer(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let start = start(&mut fields)?.ok_or_else(|| Problem::invalid("start", "must be given"))?;
    fields.finish()?;
    app.retold().reset_consumer(name.clone(), start).await?;
    app.webhooks().look_at(&name);
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuditView {
    is_complete: bool,
    after: Position,
    position: Position,
    due: u64,
    waiting: u64,
    ahead: u64,
    expected: u64,
    acknowledged: u64,
    lost: u64,
    skipped: Vec<SkippedEvent>,
}

impl AuditView {
    fn of(audit: ConsumerAudit) -> AuditView {
        AuditView {
            is_complete: audit.is_complete,
            after: audit.after,
            position: audit.position,
            due: audit.due,
            waiting: audit.waiting,
            ahead: audit.ahead,
            expected: audit.expected,
            acknowledged: audit.acknowledged,
            lost: audit.lost,
            skipped: audit.skipped,
        }
    }
}

/// Recomputes from the log what a consumer should have been given, and compares that with what
/// it acknowledged.
#[utoipa::path(
    get,
    path = "/v1/consumers/{consumer}/audit",
    tag = "consumers",
    params(schema::ConsumerPath),
    responses((status = 200, description = "What was found.", body = schema::AuditBody)),
)]
pub(super) async fn audit_consumer(
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let audit = app.retold().audit_consumer(name).await?;
    json(StatusCode::OK, &AuditView::of(audit))
}

fn stream(fields: &mut Fields<'_>) -> Result<StreamId, Problem> {
    let aggregate_type = fields.required_text("aggregateType")?;
    let aggregate_id = fields.required_text("aggregateId")?;
    Ok(StreamId::new(aggregate_type, aggregate_id)?)
}
