//! The list of streams as HTML.

use maud::{Markup, html};

use super::list::{List, Newest, Row};
use super::{Filters, Written};
use crate::console::{address, layout, text};

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
        @if list.statuses.len() > 1 || filters.written.is_some() {
            nav.types.statuses aria-label="Statuses" {
                ul {
                    li { (order_link("By name", filters, false)) }
                    li { (order_link("Last written first", filters, true)) }
                    @for (status, count) in &list.statuses {
                        li { (status_link(status, Some(*count), filters)) }
                    }
                    @if let Some(hidden) = hidden_status(filters, list) {
                        li { (status_link(hidden, None, filters)) }
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

/// The status that is asked for and that no stream has.
fn hidden_status<'a>(filters: &'a Filters, list: &List) -> Option<&'a str> {
    let status = filters.written.as_ref()?.status.as_deref()?;
    let is_shown = list.statuses.iter().any(|(known, _)| known == status);
    (!is_shown).then_some(status)
}

fn status_link(status: &str, count: Option<u64>, filters: &Filters) -> Markup {
    let written = filters.written.as_ref();
    let chosen = written.and_then(|written| written.status.as_deref());
    let of = filters.aggregate_type.as_deref();
    html! {
        a href=(address::streams_written(of, Some(status), None))
            aria-current=[(chosen == Some(status)).then_some("true")] {
            bdi { (status) }
            @if let Some(count) = count { " " span.count { (text::grouped(count)) } }
        }
    }
}

fn order_link(label: &str, filters: &Filters, is_written: bool) -> Markup {
    let of = filters.aggregate_type.as_deref();
    let href = match is_written {
        true => address::streams_written(of, None, None),
        false => address::streams(of, "", None),
    };
    let is_chosen = match &filters.written {
        Some(written) => is_written && written.status.is_none(),
        None => !is_written,
    };
    html! { a href=(href) aria-current=[is_chosen.then_some("true")] { (label) } }
}

fn nothing(filters: &Filters) -> Markup {
    let is_filtered =
        filters.aggregate_type.is_some() || !filters.prefix.is_empty() || filters.written.is_some();
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
    if let Some(written) = &filters.written {
        return paging_written(filters, written, list);
    }
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

fn paging_written(filters: &Filters, written: &Written, list: &List) -> Markup {
    let (of, status) = (filters.aggregate_type.as_deref(), written.status.as_deref());
    html! {
        @if written.after.is_some() || list.next_written.is_some() {
            nav.paging aria-label="Pages" {
                @if written.after.is_some() {
                    a href=(address::streams_written(of, status, None)) { "From the beginning" }
                }
                @if let Some(next) = &list.next_written {
                    a rel="next" href=(address::streams_written(of, status, Some(next))) { "More streams" }
                }
            }
        }
    }
}
