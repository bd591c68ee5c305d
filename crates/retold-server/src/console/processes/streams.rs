//! `/processes/{type}/streams`: the streams in which one event followed another.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use retold::StreamId;
use retold::projection::{Row, Rows};
use serde::Deserialize;

use super::drawing::duration;
use crate::App;
use crate::api::{cursor, cursor_text};
use crate::console::answer::Page;
use crate::console::failure::Failure;
use crate::console::{address, layout};

/// Streams on one page.
const STREAMS_SHOWN_MAX: usize = 50;

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Asked {
    from: Option<String>,
    to: String,
    after: Option<String>,
}

/// `GET /processes/{type}/streams`.
pub(in crate::console) async fn show(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Page, Failure> {
    let Path(name) = name?;
    let Query(Asked { from, to, after }) = asked?;
    let from = from.filter(|from| !from.is_empty());
    let after = after.as_deref().map(cursor).transpose()?;
    let is_first = after.is_none();
    let way = (from.as_deref().map(Into::into), to.as_str().into());
    let found = app
        .retold()
        .process_streams(name.as_str(), way, after, STREAMS_SHOWN_MAX);
    let found = found.await?;
    let title = match &from {
        Some(from) => format!("{from} to {to}"),
        None => format!("Begins with {to}"),
    };
    let body = body(&name, (from.as_deref(), &to), &title, &found, is_first)?;
    Ok(Page::found(layout::page(&title, body)))
}

fn body(
    of: &str,
    (from, to): (Option<&str>, &str),
    title: &str,
    found: &Rows,
    is_first: bool,
) -> Result<Markup, Failure> {
    let at = |after| address::process_streams(of, from, to, after);
    let lines: Result<Vec<Markup>, Failure> = found.rows.iter().map(|row| line(of, row)).collect();
    Ok(html! {
        nav.crumbs aria-label="Breadcrumb" {
            ol {
                li { a href="/processes" { "Processes" } }
                li { a href=(address::process(of)) { bdi { (of) } } }
            }
        }
        (layout::name(title))
        p.lead { "The streams that took this way, over the whole log: those first in which it took longest." }
        @if found.rows.is_empty() { div.nothing { p { "No stream took this way." } } }
        ul.streams { @for line in lines? { (line) } }
        @if !is_first || found.next.is_some() {
            nav.paging aria-label="Pages" {
                @if !is_first { a href=(at(None)) { "From the beginning" } }
                @if let Some(next) = &found.next {
                    a rel="next" href=(at(Some(&cursor_text(next)))) { "More streams" }
                }
            }
        }
    })
}

fn line(of: &str, row: &Row) -> Result<Markup, Failure> {
    let id = row.text("aggregate_id")?;
    let stream = StreamId::new(of.to_owned(), id.clone())?;
    let count = row.integer("count")?.cast_unsigned();
    let seconds = row.real("seconds")?;
    let times = match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    };
    Ok(html! {
        li {
            a.id href=(address::stream(&stream)) { bdi { (id) } }
            span.count { (times) }
            span.when { (duration(seconds)) }
        }
    })
}
