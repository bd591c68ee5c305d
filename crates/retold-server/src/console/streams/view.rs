//! The list of streams as HTML.

use maud::{Markup, html};

use super::Filters;
use super::list::{List, Newest, Row};
use crate::console::{address, layout};

pub(super) fn body(filters: &Filters, list: &List) -> Markup {
    let chosen = filters.aggregate_type.as_deref();
    html! {
        h1 { "Streams" }
        p.lead { "Everything that ever happened to each thing, in order." }
        (search(filters))
        @if list.types.len() > 1 || chosen.is_some() {
            nav.types aria-label="Types" {
                ul {
                    li { (type_link(None, "All", filters)) }
                    @for aggregate_type in &list.types {
                        li { (type_link(Some(aggregate_type), aggregate_type, filters)) }
                    }
                    @if let Some(hidden) = chosen.filter(|chosen| !list.types.iter().any(|t| t == chosen)) {
                        li { (type_link(Some(hidden), hidden, filters)) }
                    }
                }
            }
        }
        @if list.rows.is_empty() { (nothing(filters)) }
        @for group in list.rows.chunk_by(|a, b| a.stream.aggregate_type() == b.stream.aggregate_type()) {
            section.group {
                h2 { (group[0].stream.aggregate_type()) }
                ul.streams { @for row in group { (line(row)) } }
            }
        }
        (paging(filters, list))
    }
}

fn search(filters: &Filters) -> Markup {
    html! {
        form.search method="get" action="/" role="search" {
            @if let Some(aggregate_type) = &filters.aggregate_type {
                input type="hidden" name="type" value=(aggregate_type);
            }
            label for="prefix" { "Id begins with" }
            input #prefix type="search" name="prefix" value=(filters.prefix)
                autocomplete="off" autocapitalize="off" spellcheck="false";
            button type="submit" { "Search" }
        }
    }
}

fn type_link(aggregate_type: Option<&str>, label: &str, filters: &Filters) -> Markup {
    let is_chosen = aggregate_type == filters.aggregate_type.as_deref();
    html! {
        a href=(address::streams(aggregate_type, &filters.prefix, None))
            aria-current=[is_chosen.then_some("true")] { (label) }
    }
}

fn nothing(filters: &Filters) -> Markup {
    let is_filtered = filters.aggregate_type.is_some() || !filters.prefix.is_empty();
    html! {
        div.nothing {
            @if is_filtered {
                p { "No stream fits." }
                p { a href="/" { "See all streams" } }
            } @else {
                p { "Nothing has happened yet." }
                p { "The first event that is appended makes the first stream." }
            }
        }
    }
}

fn line(row: &Row) -> Markup {
    html! {
        li {
            a.id href=(address::stream(&row.stream)) { bdi { (row.stream.aggregate_id()) } }
            span.standing {
                @if let Some(status) = row.newest.as_ref().and_then(|newest| newest.status.as_deref()) {
                    (layout::status(status))
                }
            }
            span.count { (layout::counted(row.events, "event")) }
            @match &row.newest {
                Some(newest) => (last(newest)),
                None => span.aside { "The newest event cannot be read." },
            }
        }
    }
}

fn last(newest: &Newest) -> Markup {
    html! {
        span.aside {
            span.what { bdi { (newest.event_type) } }
            @if let Some(actor) = &newest.actor { " by " bdi { (actor) } }
        }
        span.when { (layout::time(newest.timestamp)) }
    }
}

fn paging(filters: &Filters, list: &List) -> Markup {
    let at = |after| address::streams(filters.aggregate_type.as_deref(), &filters.prefix, after);
    html! {
        @if filters.after.is_some() || list.next.is_some() {
            nav.paging aria-label="Pages" {
                @if filters.after.is_some() { a href=(at(None)) { "From the beginning" } }
                @if let Some(next) = &list.next { a rel="next" href=(at(Some(next))) { "More streams" } }
            }
        }
    }
}
