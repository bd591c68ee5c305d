//! The page of a process as HTML.

use maud::{Markup, html};
use retold::projection::{ProcessEdge, ProcessGraph};

use super::chosen::Paths;
use super::drawing::{COLOURS, duration, svg};
use super::lay_out::LaidOut;
use crate::console::{address, layout, text};

/// Rows of the table that are open from the beginning: as many as somebody looks through.
const ROWS_OPEN: usize = 15;

/// Rows of the table at most.
const ROWS_SHOWN_MAX: usize = 500;

pub(super) fn body(process: &ProcessGraph, paths: Paths, drawing: Option<&LaidOut>) -> Markup {
    let of = &*process.aggregate_type;
    let begun: u64 = process.events.iter().map(|event| event.begins).sum();
    let steps: u64 = process.events.iter().map(|event| event.count).sum();
    html! {
        nav.crumbs aria-label="Breadcrumb" { ol { li { a href="/processes" { "Processes" } } } }
        (layout::name(of))
        p.lead {
            (layout::counted(begun, "stream")) " begun, " (layout::counted(steps, "event"))
            @match &process.month {
                Some(month) => { ", in " (month) "." },
                None => { ", over the whole log." },
            }
        }
        (filters(process, paths))
        @match drawing {
            Some(drawing) if !drawing.nodes.is_empty() => (graph(of, drawing)),
            Some(_) => div.nothing { p { "Nothing happened in this month." } },
            None => p.drawn { "The graph cannot be drawn; the table has all that is in it." },
        }
        (table(of, process))
    }
}

fn filters(process: &ProcessGraph, paths: Paths) -> Markup {
    html! {
        form.filters method="get" {
            div {
                label for="month" { "Month" }
                select #month name="month" {
                    option value="" { "The whole log" }
                    @for month in process.months.iter().rev() {
                        option value=(month) selected[Some(month) == process.month.as_ref()] { (month) }
                    }
                }
            }
            div {
                label for="paths" { "Paths in the graph" }
                select #paths name="paths" {
                    @for one in Paths::ALL {
                        option value=(one.name()) selected[one == paths] { (one.label()) }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

fn graph(of: &str, drawing: &LaidOut) -> Markup {
    html! {
        section.drawn aria-labelledby="graph-title" {
            h2 #graph-title { "How it flows" }
            p.aside {
                "A line is as thick as it is frequent, and has the colour of how long it takes (median). "
                "It leads to the streams that took it."
                @if drawing.left_out > 0 {
                    " " (layout::counted(drawing.left_out as u64, "rarer path")) " left out."
                }
            }
            ul.legend {
                @for (nth, (_, meaning)) in COLOURS.iter().enumerate() {
                    li { span class={ "swatch t" (nth) } {} (meaning) }
                }
            }
            div.canvas { (svg(of, drawing)) }
        }
    }
}

fn table(of: &str, process: &ProcessGraph) -> Markup {
    let edges = &process.edges[..process.edges.len().min(ROWS_SHOWN_MAX)];
    let hidden = process.edges.len() - edges.len();
    let (open, rest) = edges.split_at(edges.len().min(ROWS_OPEN));
    html! {
        section.ways aria-labelledby="ways-title" {
            h2 #ways-title { "Each step" }
            (rows(of, open))
            @if !rest.is_empty() {
                details {
                    summary { (layout::counted(rest.len() as u64, "rarer step")) }
                    (rows(of, rest))
                }
            }
            @if hidden > 0 { p.aside { (layout::counted(hidden as u64, "rarer step")) " not shown." } }
        }
    }
}

fn rows(of: &str, edges: &[ProcessEdge]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "From" }
                    th scope="col" { "To" }
                    th.number scope="col" { "Times" }
                    th.number scope="col" { "Median" }
                    th.number.wide scope="col" { "95 %" }
                    th.number.wide scope="col" { "Mean" }
                }
            }
            tbody { @for edge in edges { (row(of, edge)) } }
        }
    }
}

fn row(of: &str, edge: &ProcessEdge) -> Markup {
    let to = &*edge.to;
    let link = address::process_streams(of, edge.from.as_deref(), to, None);
    let took = |seconds: f64| match &edge.from {
        Some(_) => duration(seconds),
        None => "–".to_owned(),
    };
    html! {
        tr {
            td { @match &edge.from { Some(from) => bdi { (from) }, None => span.aside { "begins with" } } }
            td { a href=(link) { bdi { (to) } } }
            td.number { (text::grouped(edge.count)) }
            td.number { (took(edge.median_seconds)) }
            td.number.wide { (took(edge.p95_seconds)) }
            td.number.wide { (took(edge.mean_seconds)) }
        }
    }
}
