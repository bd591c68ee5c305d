//! The events of one stream: appending and reading.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use retold::{Appended, Direction, RecordedEvent, StreamId, StreamQuery};
use serde::Serialize;

use crate::App;
use crate::api::answer::{
    AppendedOne, AppendedSeveral, Code, EventPages, Problem, etag, json, ndjson, with_sequence,
};
use crate::api::limits::{APPEND_BODY_BYTES_MAX, bytes_of_page};
use crate::api::request::{
    EventFields, Fields, Form, Parameters, SentJson, Target, Trace, accept, expectation, new_event,
    new_events, read, text,
};
use crate::api::schema;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventsPage {
    pub(super) events: Vec<RecordedEvent>,
    pub(super) next: Option<String>,
    pub(super) complete_through: u64,
}

/// Appends one event, or several of which all are written or none.
///
/// With an event id a repeated call is safe: it is answered with the first result. Without one it
/// is not, since each attempt is then another event.
#[utoipa::path(
    post,
    path = "/v1/streams/{aggregateType}/{aggregateId}/events",
    tag = "streams",
    params(
        schema::StreamPath, schema::Preconditions, schema::TraceParent, schema::Prefer, schema::Trust,
    ),
    request_body(content = schema::AppendBody, content_type = "application/json"),
    responses(
        (status = 201, description = "Appended.", body = schema::AppendedBody,
            headers(("Location" = String), ("ETag" = String))),
        (status = 200, description = "Appended before; the first result.",
            body = schema::AppendedBody, headers(("Location" = String), ("ETag" = String))),
    ),
)]
pub(crate) async fn append(
    _: SentJson,
    State(app): State<App>,
    Target(stream): Target,
    mut parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let trusts = trusts(&mut parameters)?;
    parameters.finish()?;
    let body = read(&headers, body, APPEND_BODY_BYTES_MAX).await?;
    let mut fields = Fields::of_body(text(&body)?)?;
    let trace = Trace::of(&headers);
    let in_body = fields.expected()?;
    let is_several = fields.has("events");
    let events = match is_several {
        true => new_events(&mut fields, Some(&stream), &trace)?,
        false => vec![new_event(&mut fields, Some(&stream), &trace)?],
    };
    fields.finish()?;
    let expected = expectation(in_body, &headers)?;
    let call = app.retold().append(events).expect(expected);
    let call = match trusts {
        true => call.trust_transitions(),
        false => call,
    };
    let Appended { is_new, events } = call.await?;
    let response = match events.as_slice() {
        [event] if !is_several => AppendedOne { is_new, event }.answer(&headers),
        events => AppendedSeveral { is_new, events }.answer(&headers),
    };
    Ok(match events.last() {
        Some(last) => etag(response, last.sequence_number),
        None => response,
    })
}

/// Whether events with the name of a transition are recorded unchecked.
pub(super) fn trusts(parameters: &mut Parameters) -> Result<bool, Problem> {
    match parameters.text("machine").as_deref() {
        None => Ok(false),
        Some("trust") => Ok(true),
        Some(_) => Err(Problem::invalid("machine", "must be trust")),
    }
}

/// Reads the events of a stream.
///
/// As JSON a page with a reference to the next one; as NDJSON all of them, streamed. Bounds are
/// inclusive and do not turn with the direction.
#[utoipa::path(
    get,
    path = "/v1/streams/{aggregateType}/{aggregateId}/events",
    tag = "streams",
    params(schema::StreamPath, schema::StreamEventsQuery),
    responses(
        (status = 200, description = "The events.",
            content(
                (schema::EventsPageBody = "application/json"),
                (String = "application/x-ndjson"),
            ),
            headers(("Retold-Stream-Sequence" = u64))),
    ),
)]
pub(crate) async fn read_stream(
    State(app): State<App>,
    Target(stream): Target,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = accept(&headers, &[Form::Json, Form::Ndjson])?;
    let mut query = StreamQuery::new(stream);
    query.from_sequence = parameters.number("fromSequence")?.unwrap_or(1);
    query.to_sequence = parameters.number("toSequence")?.unwrap_or(u64::MAX);
    query.from_timestamp = parameters.timestamp("fromTimestamp")?;
    query.to_timestamp = parameters.timestamp("toTimestamp")?;
    query.event_type = parameters.name("eventType")?;
    query.after_position = parameters.number("after")?.unwrap_or(0);
    query.direction = match parameters.text("direction").as_deref() {
        None | Some("forward") => Direction::Forward,
        Some("backward") => Direction::Backward,
        Some(_) => {
            let reason = "must be forward or backward";
            return Err(Problem::invalid("direction", reason));
        }
    };
    match form {
        Form::Ndjson => {
            let limit = parameters.limit()?;
            parameters.finish()?;
            let stream = query.stream.clone();
            let mut pages = EventPages::of_stream(app, query, limit).await?;
            let first = pages.first().await?;
            let head = pages.head.ok_or_else(|| unknown_stream(&stream))?;
            Ok(with_sequence(ndjson(first, pages), head.sequence_number))
        }
        _ => {
            query.limit = parameters.page_limit()?;
            parameters.finish()?;
            page(&app, query, &parameters).await
        }
    }
}

async fn page(app: &App, query: StreamQuery, given: &Parameters) -> Result<Response, Problem> {
    let room = app.rooms().answers.take(bytes_of_page(query.limit)).await?;
    let page = app.retold().store().read_stream(query.clone()).await?;
    let head = page.head.ok_or_else(|| unknown_stream(&query.stream))?;
    let turned = match query.direction {
        Direction::Forward => "fromSequence",
        Direction::Backward => "toSequence",
    };
    let next = page
        .next
        .map(|next| given.reference(turned, &next.to_string()));
    let page = EventsPage {
        next,
        complete_through: page.complete_through,
        events: page.into_events()?,
    };
    let response = room.brought_by(json(StatusCode::OK, &page)?);
    Ok(with_sequence(response, head.sequence_number))
}

/// What a read of a stream without events answers.
pub(super) fn unknown_stream(stream: &StreamId) -> Problem {
    Problem::new(Code::NotFound, format!("find stream {stream}"))
}
