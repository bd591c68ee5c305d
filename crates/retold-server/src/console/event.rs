//! Events by what they are known by: one by its id, which leads to its stream, and those that
//! share a correlation id.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::Response;
use maud::{Markup, html};
use retold::{Entry, EventId, Filter, LogPage, LogQuery, Position, RecordedEvent};
use serde::Deserialize;

use super::answer::{Page, guarded};
use super::failure::Failure;
use super::standing::Told;
use super::{address, layout};
use crate::App;
use crate::api::bytes_of_page;

/// Events of a correlation on one page: a story to be read, in a page of bounded size.
const EVENTS_SHOWN_MAX: usize = 100;

/// `GET /events/{eventId}`: leads to the event in its stream.
pub(super) async fn find(
    State(app): State<App>,
    event_id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(event_id) = event_id?;
    let Ok(parsed) = event_id.parse::<EventId>() else {
        return Err(Failure::invalid("An event id is a UUID."));
    };
    let Some(event) = app.retold().event(parsed).await? else {
        return Err(Failure::not_found(format!("There is no event {parsed}.")));
    };
    let place = address::moment(&event.stream, event.sequence_number);
    Ok(guarded((StatusCode::SEE_OTHER, [(LOCATION, place)])))
}

#[derive(Deserialize)]
pub(super) struct Asked {
    after: Option<Position>,
}

/// `GET /correlations/{correlationId}`: its events in the order of the log.
pub(super) async fn correlation(
    State(app): State<App>,
    correlation_id: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Page, Failure> {
    let Path(correlation_id) = correlation_id?;
    let Query(asked) = asked?;
    let filter = Filter {
        correlation_id: Some(correlation_id.as_str().into()),
        ..Filter::default()
    };
    let after = asked.after.unwrap_or(0);
    let query = LogQuery::after(after)
        .filter(filter)
        .limit(EVENTS_SHOWN_MAX);
    let room = bytes_of_page(EVENTS_SHOWN_MAX);
    let _room = app.rooms().answers.take(room).await?;
    let page = app.retold().log(query).await?;
    if page.entries.is_empty() && page.next.is_none() && after == 0 {
        let missing = format!("There is no event with the correlation {correlation_id}.");
        return Err(Failure::not_found(missing));
    }
    let body = correlation_page(&correlation_id, &page, after);
    Ok(Page::found(layout::page(&correlation_id, body)))
}

fn correlation_page(correlation_id: &str, page: &LogPage, after: Position) -> Markup {
    let here = address::correlation(correlation_id);
    html! {
        nav.crumbs aria-label="Breadcrumb" { ol { li { a href="/" { "Streams" } } } }
        p.eyebrow { "Correlation" }
        (layout::name(correlation_id))
        p.lead {
            "What belongs together, in the order in which it was recorded. "
            a href=(address::trace(correlation_id)) { "See what caused what" }
        }
        ol.story {
            @for entry in &page.entries {
                @match entry {
                    Entry::Event(event) => (line(event)),
                    Entry::Lost(lost) => li { "The event at position " (lost.position) " was lost." },
                }
            }
        }
        nav.paging aria-label="Pages" {
            @if after > 0 { a href=(here) { "From the beginning" } }
            @if let Some(next) = page.next { a rel="next" href={ (here) "?after=" (next) } { "Later events" } }
        }
    }
}

fn line(event: &RecordedEvent) -> Markup {
    html! {
        li {
            a href=(address::moment(&event.stream, event.sequence_number)) {
                span.what { bdi { (event.event_type) } }
                " " bdi { (event.stream.to_string()) }
            }
            p.aside {
                @if let Some(to) = &Told::by(event).to { (layout::leads_to(to)) " " }
                @if let Some(actor) = &event.metadata.actor { bdi { (actor) } " " }
                (layout::time(event.metadata.timestamp))
            }
        }
    }
}
