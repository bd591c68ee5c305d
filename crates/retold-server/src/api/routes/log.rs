//! The log across all streams: pages, lines, live; and one event of it.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use retold::{EventId, Filter, LogQuery, Position, Retold, StoreError};

use super::events::EventsPage;
use crate::App;
use crate::api::answer::{Code, EventPages, Problem, json, live, ndjson, with_sequence};
use crate::api::limits::bytes_of_page;
use crate::api::request::{
    AsJson, Form, NoParameters, Parameters, accept, event_id, path_text, whole_number,
};
use crate::api::schema;

/// The position that a client of server-sent events has seen last.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Reads the log behind a position.
///
/// As JSON a page with a reference to the next one; as NDJSON all of it, streamed; as server-sent
/// events from there on and then live, where the header `Last-Event-ID` wins over `after`.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "log",
    params(schema::LogQuery),
    responses(
        (status = 200, description = "The events.",
            content(
                (schema::EventsPageBody = "application/json"),
                (String = "application/x-ndjson"),
                (String = "text/event-stream"),
            )),
    ),
)]
pub(crate) async fn read_log(
    State(app): State<App>,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = accept(&headers, &[Form::Json, Form::Ndjson, Form::EventStream])?;
    let filter = filter(&mut parameters)?;
    let after = after(app.retold(), &mut parameters).await?;
    match form {
        Form::EventStream => {
            parameters.finish()?;
            let after = match last_event_id(&headers)? {
                Some(last) => last,
                None => after,
            };
            // Told now, as a problem, and not by a stream that breaks off.
            let head = app.retold().store().head().await?.position;
            LogQuery::after(after).check(head)?;
            let subscription = app.retold().subscribe(after, filter);
            Ok(live(app, subscription))
        }
        Form::Ndjson => {
            let limit = parameters.limit()?;
            parameters.finish()?;
            let query = LogQuery::after(after).filter(filter);
            let mut pages = EventPages::of_log(app, query, limit).await?;
            let first = pages.first().await?;
            Ok(ndjson(first, pages))
        }
        _ => {
            let limit = parameters.page_limit()?;
            parameters.finish()?;
            let query = LogQuery::after(after).filter(filter).limit(limit);
            let room = app.rooms().answers.take(bytes_of_page(limit)).await?;
            let page = app.retold().log(query).await?;
            let next = page.next.map(|next| next.to_string());
            let page = EventsPage {
                next: next.map(|next| parameters.reference("after", &next)),
                complete_through: page.complete_through,
                events: events(page)?,
            };
            Ok(room.brought_by(json(StatusCode::OK, &page)?))
        }
    }
}

fn events(page: retold::LogPage) -> Result<Vec<retold::RecordedEvent>, StoreError> {
    let entries = page.entries.into_iter();
    entries.map(retold::Entry::into_event).collect()
}

/// Which events to deliver.
fn filter(parameters: &mut Parameters) -> Result<Filter, Problem> {
    Ok(Filter {
        aggregate_types: parameters.name("aggregateType")?.into_iter().collect(),
        event_types: parameters.name("eventType")?.into_iter().collect(),
        tags: parameters.name("tag")?.into_iter().collect(),
        correlation_id: parameters.name("correlationId")?,
        causation_id: parameters.name("causationId")?,
        actor: parameters.name("actor")?,
        from_timestamp: parameters.timestamp("fromTimestamp")?,
        to_timestamp: parameters.timestamp("toTimestamp")?,
        include_reserved: parameters.flag("includeReserved")?,
    })
}

/// The position to read behind; `head` for what is new.
async fn after(retold: &Retold, parameters: &mut Parameters) -> Result<Position, Problem> {
    if parameters.peek("after") == Some("head") {
        parameters.text("after");
        return Ok(retold.store().head().await?.position);
    }
    Ok(parameters.number("after")?.unwrap_or(0))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let refuse = || Problem::invalid("Last-Event-ID", "must be the position of an event");
    let mut values = headers.get_all(&LAST_EVENT_ID).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| refuse())?;
    whole_number("Last-Event-ID", text).map(Some)
}

/// The event id that a path names.
pub(crate) struct NamedEvent(EventId);

impl<S: Send + Sync> FromRequestParts<S> for NamedEvent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = path_text(parts, state, "eventId").await?;
        event_id("eventId", &id).map(NamedEvent)
    }
}

/// One event by its id.
#[utoipa::path(
    get,
    path = "/v1/events/{eventId}",
    tag = "log",
    params(schema::EventPath),
    responses(
        (status = 200, description = "The event.", body = schema::EventBody,
            headers(("Retold-Stream-Sequence" = u64))),
    ),
)]
pub(crate) async fn read_event(
    State(app): State<App>,
    NamedEvent(event_id): NamedEvent,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let room = app.rooms().answers.take(bytes_of_page(1)).await?;
    let event = app.retold().event(event_id).await?;
    let event = event
        .ok_or_else(|| Problem::new(Code::NotFound, format!("find an event with id {event_id}")))?;
    let head = app.retold().store().stream_head(&event.stream).await?;
    let newest = head.map_or(event.sequence_number, |head| head.sequence_number);
    let response = room.brought_by(json(StatusCode::OK, &event)?);
    Ok(with_sequence(response, newest))
}
