//! `/consumers`: what reacts to events, how each stands, and what is parked and why.

mod list;
mod one;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use maud::{Markup, html};
use retold::consumer::ConsumerStatus;

use super::answer::Page;
use super::failure::Failure;
use super::{asset, layout};
use crate::App;

/// `GET /consumers`.
pub(super) async fn show_all(State(app): State<App>) -> Result<Page, Failure> {
    let mut consumers = Vec::new();
    for name in app.retold().consumer_names().await? {
        consumers.push(app.retold().consumer_status(name).await?);
    }
    let body = list::body(&consumers);
    Ok(Page::found(layout::page_with(
        &asset::CONSUMERS,
        "Consumers",
        body,
    )))
}

/// `GET /consumers/{name}`.
pub(super) async fn show(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Page, Failure> {
    let Path(name) = name?;
    let status = app.retold().consumer_status(name.clone()).await?;
    let parked = app.retold().consumer_parked(name.clone()).await?;
    let sent = app.webhooks().history(&name);
    let body = one::body(&status, &parked, &sent);
    Ok(Page::found(layout::page_with(
        &asset::CONSUMERS,
        &name,
        body,
    )))
}

/// What a consumer does, in a word, and why where it does nothing.
fn state(status: &ConsumerStatus) -> (&'static str, Option<&str>) {
    let reason = |text: &'_ Option<String>| text.is_some();
    if reason(&status.ended) {
        ("Ended", status.ended.as_deref())
    } else if reason(&status.paused) {
        ("Paused", status.paused.as_deref())
    } else if let Some(held) = status.held {
        ("Holds", Some(held))
    } else if status.is_open {
        ("Open", None)
    } else {
        ("Not open", None)
    }
}

/// How far a consumer is behind, in words.
fn behind(status: &ConsumerStatus) -> Markup {
    let places = status.head.saturating_sub(status.position);
    html! {
        @if places == 0 { "Nothing" }
        @else {
            (layout::counted(places, "place")) ", "
            (format!("{:.0}", crate::api::lag_seconds(status))) " s"
        }
    }
}
