//! A process as SVG: ways as thick as they are frequent, coloured by how long they take, each a link
//! to the streams that took it.

use std::fmt::Write;

use maud::{Markup, html};

use super::graph::{Edge, Node};
use super::lay_out::{DOT, LINE, LaidOut, PlacedEdge, PlacedNode, WAY_LINE};
use crate::console::{address, text};

/// From how many seconds on a way has the next colour, and what the colour means.
pub(super) const COLOURS: [(f64, &str); 5] = [
    (0.0, "under a minute"),
    (60.0, "under an hour"),
    (3_600.0, "under a day"),
    (86_400.0, "under a week"),
    (604_800.0, "a week or longer"),
];

/// How thick a line is at least, and how much thicker the most frequent one is.
const THICKNESS: (f64, f64) = (1.25, 7.0);

/// How long and how wide an arrow is: wider than the thickest line.
const ARROW: f64 = 12.0;

/// How wide a drawing is at most before it is shown smaller, and how much smaller it is shown at
/// most: from then on it is looked at piece by piece.
const WIDTH_MAX: f64 = 1_050.0;
const SCALE_MIN: f64 = 0.75;

pub(super) fn svg(of: &str, drawing: &LaidOut) -> Markup {
    let (width, height) = (drawing.width.ceil(), drawing.height.ceil());
    let scale = (WIDTH_MAX / width).clamp(SCALE_MIN, 1.0);
    let most = drawing
        .edges
        .iter()
        .map(|edge| edge.edge.count)
        .max()
        .unwrap_or(1);
    // The rare ones first, so that the frequent ones lie above them.
    let mut edges: Vec<&PlacedEdge> = drawing.edges.iter().collect();
    edges.sort_by_key(|edge| edge.edge.count);
    html! {
        svg.process viewBox=(format!("0 0 {width} {height}")) width=((width * scale).ceil())
            height=((height * scale).ceil()) role="group" aria-label={ "How " (of) " flows" } {
            defs {
                @for nth in 0..COLOURS.len() { (arrow(&format!("t{nth}"))) }
                (arrow("plain"))
            }
            @for edge in &edges { (way(of, edge, most)) }
            @for node in &drawing.nodes { (box_of(node)) }
            // Above everything else, so that no line crosses a number.
            @for edge in &edges { (way_text(edge)) }
        }
    }
}

fn arrow(class: &str) -> Markup {
    html! {
        marker id={ "arrow-" (class) } class=(class) viewBox="0 0 10 10" refX="0" refY="5"
            markerWidth=(ARROW) markerHeight=(ARROW) markerUnits="userSpaceOnUse" orient="auto" {
            path d="M0 0 L10 5 L0 10 z" {}
        }
    }
}

fn way(of: &str, placed: &PlacedEdge, most: u64) -> Markup {
    let edge = &placed.edge;
    let class = colour(edge);
    let thickness = format!("{:.2}", thickness(edge.count, most));
    let curve = curve(&placed.points);
    let line = html! {
        path.reach d=(curve) {}
        path.line d=(curve) stroke-width=(thickness) marker-end={ "url(#arrow-" (class) ")" } {}
    };
    let Node::Event(to) = &edge.to else {
        return html! { g class={ "way " (class) } { (line) } };
    };
    let from = match &edge.from {
        Node::Event(from) => Some(from.as_str()),
        _ => None,
    };
    html! {
        a class={ "way " (class) } href=(address::process_streams(of, from, to, None))
            aria-label=(told(edge)) {
            title { (told(edge)) }
            (line)
        }
    }
}

/// A way in words.
pub(super) fn told(edge: &Edge) -> String {
    let count = text::grouped(edge.count);
    match (&edge.from, &edge.to, edge.median_seconds) {
        (Node::Event(from), Node::Event(to), Some(median)) => {
            let times = if edge.count == 1 { "once" } else { "times" };
            let often = if edge.count == 1 {
                String::new()
            } else {
                format!("{count} ")
            };
            format!(
                "{from} to {to}: {often}{times}, median {}",
                duration(median)
            )
        }
        (Node::Event(from), _, _) => format!("{count} end with {from}"),
        (_, Node::Event(to), _) => format!("{count} begin with {to}"),
        _ => count,
    }
}

/// What stands at a way.
pub(super) fn text_of(edge: &Edge) -> String {
    let count = text::grouped(edge.count);
    match edge.median_seconds {
        Some(median) => format!("{count} · {}", duration(median)),
        None => count,
    }
}

fn way_text(placed: &PlacedEdge) -> Markup {
    let (x, y) = placed.text_at;
    let (width, height) = (placed.text_width, WAY_LINE - 2.0);
    html! {
        rect.way-back x=(number(x - width / 2.0)) y=(number(y - height / 2.0))
            width=(number(width)) height=(number(height)) rx="4" {}
        text.way-text x=(number(x)) y=(number(y)) text-anchor="middle" dominant-baseline="central"
            aria-hidden="true" { (text_of(&placed.edge)) }
    }
}

fn box_of(node: &PlacedNode) -> Markup {
    if !matches!(node.node, Node::Event(_)) {
        let class = if node.node == Node::Beginning {
            "dot"
        } else {
            "dot end"
        };
        return html! {
            circle class=(class) cx=(number(node.x)) cy=(number(node.y)) r=(number(DOT)) {}
        };
    }
    let (left, top) = (node.x - node.width / 2.0, node.y - node.height / 2.0);
    let last = node.lines.len() - 1;
    let mut y = top + (node.height - LINE * f64::from(u32::try_from(last).unwrap_or(0))) / 2.0;
    let lines = node.lines.iter().enumerate().map(|(nth, line)| {
        let at = y;
        y += LINE;
        (line, at, nth == last)
    });
    html! {
        g.node {
            rect x=(number(left)) y=(number(top)) width=(number(node.width))
                height=(number(node.height)) rx="6" {}
            @for (line, at, is_count) in lines {
                text.number[is_count] x=(number(node.x)) y=(number(at)) text-anchor="middle"
                    dominant-baseline="central" { (line) }
            }
        }
    }
}

/// The class of a way's colour.
pub(super) fn colour(edge: &Edge) -> String {
    let Some(median) = edge.median_seconds else {
        return "plain".to_owned();
    };
    let nth = COLOURS.iter().rposition(|(from, _)| median >= *from);
    format!("t{}", nth.unwrap_or(0))
}

fn thickness(count: u64, most: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a thickness")]
    let part = count as f64 / most.max(1) as f64;
    THICKNESS.0 + THICKNESS.1 * part.sqrt()
}

/// A duration in two digits and the unit that suits it.
pub(super) fn duration(seconds: f64) -> String {
    const UNITS: [(f64, &str); 6] = [
        (31_557_600.0, "y"),
        (86_400.0, "d"),
        (3_600.0, "h"),
        (60.0, "min"),
        (1.0, "s"),
        (0.001, "ms"),
    ];
    let unit = UNITS.iter().find(|(size, _)| seconds >= *size);
    let Some((size, name)) = unit else {
        return "0 s".to_owned();
    };
    let value = seconds / size;
    match value < 10.0 {
        true => format!("{value:.1} {name}"),
        false => format!("{value:.0} {name}"),
    }
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

/// A smooth line along points: the uniform cubic B-spline with the first and the last point as its
/// ends (as `curveBasis` of D3 draws it).
fn curve(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let Some(&first) = points.first() else {
        return path;
    };
    let at = |(x, y): (f64, f64)| format!("{x:.1} {y:.1}");
    let between = |a: (f64, f64), b: (f64, f64), part: f64| {
        (a.0 + (b.0 - a.0) * part, a.1 + (b.1 - a.1) * part)
    };
    let _ = write!(path, "M{}", at(first));
    // The line ends where its arrow begins.
    let before = points[points.len().saturating_sub(2)];
    let last = points[points.len() - 1];
    let length = (last.0 - before.0).hypot(last.1 - before.1);
    let last = between(last, before, (ARROW / length.max(ARROW)).min(1.0));
    if points.len() > 2 {
        let _ = write!(path, " L{}", at(between(first, points[1], 1.0 / 6.0)));
        let mut points = points.to_vec();
        *points.last_mut().expect("there are three") = last;
        let corners = points.windows(3);
        let corners = corners.map(|three| (three[0], three[1], three[2]));
        let ends = (points[points.len() - 2], last, last);
        for (before, here, after) in corners.chain([ends]) {
            let (one, two) = (
                between(before, here, 1.0 / 3.0),
                between(before, here, 2.0 / 3.0),
            );
            let next = between(here, after, 1.0 / 3.0);
            let end = between(two, next, 0.5);
            let _ = write!(path, " C{} {} {}", at(one), at(two), at(end));
        }
    }
    let _ = write!(path, " L{}", at(last));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_readable() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.0123, "12 ms"),
            (1.0, "1.0 s"),
            (59.0, "59 s"),
            (90.0, "1.5 min"),
            (7_200.0, "2.0 h"),
            (1_296_000.0, "15 d"),
            (63_115_200.0, "2.0 y"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
