//! `/traces/{correlationId}`: what happened under one correlation id, as a tree of causes.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use maud::{Markup, html};
use retold::{Trace, TraceNode};

use super::answer::Page;
use super::failure::Failure;
use super::standing::Told;
use super::{address, layout};
use crate::App;
use crate::api::bytes_of_page;

/// Events of a trace on its page: the rest is in the list of the correlation. A page stays bounded.
const EVENTS_SHOWN_MAX: usize = 500;

/// `GET /traces/{correlationId}`.
pub(super) async fn show(
    State(app): State<App>,
    correlation_id: Result<Path<String>, PathRejection>,
) -> Result<Page, Failure> {
    let Path(correlation_id) = correlation_id?;
    let _room = app.rooms().answers.take(bytes_of_page(usize::MAX)).await?;
    let trace = app.retold().trace(correlation_id.as_str()).await?;
    let body = body(&trace);
    Ok(Page::found(layout::page(&correlation_id, body)))
}

fn body(trace: &Trace) -> Markup {
    let mut left = EVENTS_SHOWN_MAX;
    let tree = branches(&trace.roots, &mut left);
    let is_whole = left > 0 && trace.is_complete;
    html! {
        nav.crumbs aria-label="Breadcrumb" { ol { li { a href="/" { "Streams" } } } }
        p.eyebrow { "Trace" }
        (layout::name(&trace.correlation_id))
        p.lead { (layout::counted(trace.events as u64, "event")) ", each under the one that caused it." }
        div.trace { (tree) }
        nav.paging aria-label="The same as a list" {
            a href=(address::correlation(&trace.correlation_id)) {
                @if is_whole { "In the order of the log" } @else { "All of them, in the order of the log" }
            }
        }
    }
}

/// The nodes that there is room for, and what they caused. A tree is 50 levels deep at most.
fn branches(nodes: &[TraceNode], left: &mut usize) -> Markup {
    html! {
        ol.branches {
            @for node in nodes {
                @if *left > 0 {
                    li {
                        (leaf(node, left))
                        @if !node.children.is_empty() { (branches(&node.children, left)) }
                    }
                }
            }
        }
    }
}

fn leaf(node: &TraceNode, left: &mut usize) -> Markup {
    *left -= 1;
    let event = &node.event;
    let cause = event
        .metadata
        .causation_id
        .as_deref()
        .filter(|_| node.is_continued);
    html! {
        a href=(address::moment(&event.stream, event.sequence_number)) {
            span.what { bdi { (event.event_type) } }
            " " bdi { (event.stream.to_string()) }
        }
        p.aside {
            @if let Some(to) = &Told::by(event).to { (layout::leads_to(to)) " " }
            @if let Some(actor) = &event.metadata.actor { bdi { (actor) } " " }
            (layout::time(event.metadata.timestamp))
            @if let Some(cause) = cause { " caused by " bdi { (cause) } }
        }
    }
}
