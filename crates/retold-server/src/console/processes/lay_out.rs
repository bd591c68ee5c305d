//! Where each node and each way of a drawing is: found by dagre, in layers from the top.

use std::collections::BTreeMap;

use dagre::graph::{Graph as Dagre, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel};

use super::graph::{Edge, Graph, Node};

/// Characters on a line of a node.
const LINE_CHARS_MAX: usize = 26;

/// The room of a character of a node's and of a way's text, in the units of the drawing (pixels of
/// the drawing's own size). Wider than most, since fonts differ.
const NODE_CHAR: f64 = 8.2;
const WAY_CHAR: f64 = 6.6;

/// Heights of a line of a node, and of a way's text.
pub(super) const LINE: f64 = 18.0;
pub(super) const WAY_LINE: f64 = 18.0;

/// Room between the text of a node and its edge, on all sides together.
const PADDING: f64 = 22.0;

/// The radius of where streams begin and end.
pub(super) const DOT: f64 = 7.0;

/// Room around the drawing, for thick lines at its edge.
const MARGIN: f64 = 8.0;

/// A drawing with the places of everything in it.
pub(super) struct LaidOut {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) nodes: Vec<PlacedNode>,
    pub(super) edges: Vec<PlacedEdge>,
    pub(super) left_out: usize,
}

pub(super) struct PlacedNode {
    pub(super) node: Node,
    pub(super) lines: Vec<String>,
    /// The middle.
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

pub(super) struct PlacedEdge {
    pub(super) edge: Edge,
    pub(super) points: Vec<(f64, f64)>,
    /// The middle of its text, and how wide that is.
    pub(super) text_at: (f64, f64),
    pub(super) text_width: f64,
}

pub(super) fn lay_out(graph: Graph) -> LaidOut {
    let mut dagre: Dagre<NodeLabel, EdgeLabel> = Dagre::with_options(GraphOptions {
        directed: true,
        multigraph: true,
        compound: true,
    });
    let mut lines = BTreeMap::new();
    for (node, count) in &graph.nodes {
        let text = text_of(node, *count);
        let chars = text.iter().map(|line| line.chars().count()).max();
        let (width, height) = match chars {
            Some(chars) => (
                as_f64(chars) * NODE_CHAR + PADDING,
                as_f64(text.len()) * LINE + PADDING / 2.0,
            ),
            None => (2.0 * DOT, 2.0 * DOT),
        };
        let label = NodeLabel {
            width,
            height,
            ..NodeLabel::default()
        };
        dagre.set_node(name(node), Some(label));
        lines.insert(node.clone(), text);
    }
    for edge in &graph.edges {
        let chars = super::drawing::text_of(edge).chars().count();
        let label = EdgeLabel {
            width: as_f64(chars) * WAY_CHAR,
            height: WAY_LINE,
            // In the middle of the way, which is a node's default; the type has no public name.
            labelpos: NodeLabel::default().labelpos,
            // Frequent ways are short and straight.
            weight: weight(edge.count),
            ..EdgeLabel::default()
        };
        dagre.set_edge(name(&edge.from), name(&edge.to), Some(label), None);
    }
    let options = LayoutOptions {
        nodesep: 28.0,
        edgesep: 14.0,
        ranksep: 24.0,
        marginx: MARGIN,
        marginy: MARGIN,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut dagre, Some(options));
    placed(graph, &dagre, lines)
}

fn placed(
    graph: Graph,
    dagre: &Dagre<NodeLabel, EdgeLabel>,
    mut lines: BTreeMap<Node, Vec<String>>,
) -> LaidOut {
    let nodes = graph.nodes.keys().filter_map(|node| {
        let label = dagre.node(&name(node))?;
        Some(PlacedNode {
            lines: lines.remove(node)?,
            node: node.clone(),
            x: label.x?,
            y: label.y?,
            width: label.width,
            height: label.height,
        })
    });
    let nodes: Vec<PlacedNode> = nodes.collect();
    let edges = graph.edges.into_iter().filter_map(|edge| {
        let label = dagre.edge(&name(&edge.from), &name(&edge.to), None)?;
        Some(PlacedEdge {
            points: label
                .points
                .iter()
                .map(|point| (point.x, point.y))
                .collect(),
            text_at: (label.x?, label.y?),
            text_width: label.width,
            edge,
        })
    });
    let edges: Vec<PlacedEdge> = edges.collect();
    // Ways may bend out of what the nodes take.
    let boxes = nodes
        .iter()
        .map(|node| (node.x + node.width / 2.0, node.y + node.height / 2.0));
    let points = edges.iter().flat_map(|edge| edge.points.iter().copied());
    let texts = edges.iter().map(|edge| {
        let (x, y) = edge.text_at;
        (x + edge.text_width / 2.0, y + WAY_LINE / 2.0)
    });
    let (width, height) = boxes
        .chain(points)
        .chain(texts)
        .fold((0.0_f64, 0.0_f64), |(width, height), (x, y)| {
            (width.max(x), height.max(y))
        });
    LaidOut {
        width: width + MARGIN,
        height: height + MARGIN,
        nodes,
        edges,
        left_out: graph.left_out,
    }
}

/// The name of a node in the layout, different for each.
fn name(node: &Node) -> String {
    match node {
        Node::Beginning => "b".to_owned(),
        Node::Event(event) => format!("e{event}"),
        Node::End => "z".to_owned(),
    }
}

/// The lines of a node: a name on two at most, and how often it happened.
fn text_of(node: &Node, count: u64) -> Vec<String> {
    let Node::Event(event) = node else {
        return Vec::new();
    };
    let mut lines = wrapped(event);
    lines.push(crate::console::text::grouped(count));
    lines
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive([' ', '.', '_', '-']) {
        let line = lines.last_mut().expect("there is always one");
        let chars = line.chars().count() + word.trim_end().chars().count();
        match chars > LINE_CHARS_MAX && !line.is_empty() {
            true => lines.push(word.to_owned()),
            false => line.push_str(word),
        }
    }
    let is_cut = lines.len() > 2;
    lines.truncate(2);
    let last = lines.len() - 1;
    for (nth, line) in lines.iter_mut().enumerate() {
        let is_long = line.trim_end().chars().count() > LINE_CHARS_MAX;
        if is_long || (is_cut && nth == last) {
            let kept: String = line.trim_end().chars().take(LINE_CHARS_MAX - 1).collect();
            *line = format!("{}…", kept.trim_end());
        } else {
            *line = line.trim_end().to_owned();
        }
    }
    lines
}

/// How much a way wants to be short and straight: one more for each doubling.
fn weight(count: u64) -> i32 {
    i32::try_from(count.max(1).ilog2()).unwrap_or(0) + 1
}

#[expect(clippy::cast_precision_loss, reason = "counts of characters and lines")]
fn as_f64(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_two_lines_at_most() {
        assert_eq!(wrapped("block"), ["block"]);
        assert_eq!(
            wrapped("T02 Check confirmation of receipt"),
            ["T02 Check confirmation of", "receipt"]
        );
        let long = wrapped("T10 Determine necessity to stop indication of a long thing");
        assert_eq!(
            long,
            ["T10 Determine necessity to", "stop indication of a long…"]
        );
        let one = wrapped(&"x".repeat(40));
        assert_eq!(one[0].chars().count(), LINE_CHARS_MAX);
    }
}
