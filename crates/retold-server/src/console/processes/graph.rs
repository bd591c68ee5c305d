//! What of a process is drawn: its events, and the most frequent ways between them.

use std::collections::{BTreeMap, BTreeSet};

use retold::projection::{ProcessEdge, ProcessGraph};

use super::chosen::Paths;

/// Ways that are drawn at most: a drawing of more is a black square, and takes seconds to lay out.
const EDGES_MAX: usize = 150;

/// A node: where streams begin, an event, or where they end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Beginning,
    Event(String),
    End,
}

/// A process as it is drawn.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// How often each was met.
    pub(super) nodes: BTreeMap<Node, u64>,
    pub(super) edges: Vec<Edge>,
    /// Ways that are not drawn.
    pub(super) left_out: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Edge {
    pub(super) from: Node,
    pub(super) to: Node,
    pub(super) count: u64,
    /// None for the ways from the beginning and to the end, which take no time.
    pub(super) median_seconds: Option<f64>,
}

impl Graph {
    pub(super) fn of(process: &ProcessGraph, paths: Paths) -> Graph {
        let mut edges: Vec<Edge> = process.edges.iter().map(edge).collect();
        let ends = process.events.iter().filter_map(|event| {
            let count = event.ends.filter(|count| *count > 0)?;
            Some(Edge {
                from: Node::Event(event.event_type.to_string()),
                to: Node::End,
                count,
                median_seconds: None,
            })
        });
        edges.extend(ends);
        edges.sort_by(|one, other| {
            let names = |edge: &Edge| (edge.from.clone(), edge.to.clone());
            other
                .count
                .cmp(&one.count)
                .then_with(|| names(one).cmp(&names(other)))
        });
        let total: u64 = edges.iter().map(|edge| edge.count).sum();
        let wanted = total * paths.percent() / 100;
        let mut graph = Graph::default();
        let (mut reached, mut left) = (BTreeSet::new(), BTreeSet::new());
        let mut drawn = 0;
        for edge in edges {
            let is_frequent = drawn < wanted;
            // The most frequent way to an event that is drawn, and from it, is drawn with it.
            let is_known = |node: &Node| graph.nodes.contains_key(node);
            let completes = (is_known(&edge.to) && !reached.contains(&edge.to))
                || (is_known(&edge.from) && !left.contains(&edge.from));
            if graph.edges.len() < EDGES_MAX && (is_frequent || completes) {
                drawn += edge.count;
                graph.nodes.entry(edge.from.clone()).or_default();
                graph.nodes.entry(edge.to.clone()).or_default();
                if edge.from != edge.to {
                    reached.insert(edge.to.clone());
                    left.insert(edge.from.clone());
                }
                graph.edges.push(edge);
            } else {
                graph.left_out += 1;
            }
        }
        for event in &process.events {
            let node = Node::Event(event.event_type.to_string());
            if let Some(count) = graph.nodes.get_mut(&node) {
                *count = event.count;
            }
        }
        graph
    }
}

fn edge(edge: &ProcessEdge) -> Edge {
    let from = edge.from.as_ref();
    Edge {
        from: from.map_or(Node::Beginning, |from| Node::Event(from.to_string())),
        to: Node::Event(edge.to.to_string()),
        count: edge.count,
        median_seconds: from.map(|_| edge.median_seconds),
    }
}
