//! `/streams/{type}/{id}`: one stream, at one of its events.

mod moment;
mod reading;
mod timeline;
mod travel;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use retold::StreamId;
use serde::Deserialize;

use super::answer::Page;
use super::failure::Failure;
use super::{address, layout};
use crate::App;
use crate::api::bytes_of_page;
use reading::{NEIGHBOURS_MAX, Reading};

/// Events that are read for one page: the timeline, the one that is shown, the one before it,
/// its cause, and the newest.
const EVENTS_READ: usize = 2 * NEIGHBOURS_MAX as usize + 5;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The event to be at; the newest unless given. Past an end it is the end, so that an
    /// address stays good when the stream grows or is restored.
    at: Option<String>,
}

/// `GET /streams/{type}/{id}`.
pub(super) async fn show(
    State(app): State<App>,
    names: Result<Path<(String, String)>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Page, Failure> {
    let Path((aggregate_type, aggregate_id)) = names?;
    let Query(asked) = asked?;
    let at = match asked.at.filter(|at| !at.is_empty()) {
        None => None,
        Some(at) => Some(
            at.parse()
                .map_err(|_| Failure::invalid("The event to be at is a number, counted from 1."))?,
        ),
    };
    let stream = StreamId::new(aggregate_type, aggregate_id)?;
    let _room = app.rooms().answers.take(bytes_of_page(EVENTS_READ)).await?;
    let reading = Reading::of(app.retold(), stream, at).await?;
    let title = reading.stream.to_string();
    Ok(Page::found(layout::page(&title, body(&reading))))
}

fn body(reading: &Reading) -> Markup {
    let stream = &reading.stream;
    let aggregate_type = stream.aggregate_type();
    html! {
        nav.crumbs aria-label="Breadcrumb" {
            ol {
                li { a href="/" { "Streams" } }
                li { a href=(address::streams(Some(aggregate_type), "", None)) { (aggregate_type) } }
            }
        }
        (layout::name(stream.aggregate_id()))
        (travel::now(reading))
        (travel::slider(reading))
        div.columns {
            (moment::article(reading))
            (timeline::section(reading))
        }
        (travel::dialog(stream))
    }
}
