//! `/processes`: how the work really flows, as a graph and as a table.

mod chosen;
mod drawing;
mod graph;
mod lay_out;
mod streams;
mod view;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use maud::html;
use serde::Deserialize;

use super::answer::Page;
use super::failure::Failure;
use super::{address, layout};
use crate::App;
pub(super) use streams::show as show_streams;

/// `GET /processes`.
pub(super) async fn show_all(State(app): State<App>) -> Result<Page, Failure> {
    let types = app.retold().process_types().await?;
    let body = html! {
        h1 { "Processes" }
        p.lead { "How the work really flows: which event follows which, how often, and how long it takes." }
        @if types.is_empty() {
            div.nothing { p { "Nothing has happened yet." } }
        } @else {
            ul.streams {
                @for of in &types { li { a.id href=(address::process(of)) { bdi { (of) } } } }
            }
        }
    };
    Ok(Page::found(layout::page("Processes", body)))
}

/// What is asked for. A form sends fields that were left empty, too.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    month: Option<String>,
    paths: Option<String>,
}

/// `GET /processes/{type}`.
pub(super) async fn show(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Page, Failure> {
    let Path(name) = name?;
    let Query(asked) = asked?;
    let month = asked.month.filter(|month| !month.is_empty());
    let paths = chosen::Paths::of(asked.paths.as_deref())?;
    let process = app.retold().process_graph(name.as_str(), month).await?;
    let graph = graph::Graph::of(&process, paths);
    // To lay a graph out is work for a while, and done by code of others.
    let laid_out = tokio::task::spawn_blocking(move || lay_out::lay_out(graph)).await;
    if let Err(error) = &laid_out {
        tracing::error!(%error, "failed to lay out a process");
    }
    let body = view::body(&process, paths, laid_out.ok().as_ref());
    let title = format!("{name} process");
    Ok(Page::found(layout::page(&title, body)))
}
