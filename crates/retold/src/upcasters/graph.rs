//! The upcasters that events of one aggregate type meet: versions of event types, and what takes
//! each of them further. A graph that was checked has one answer for every version, and an end.

use std::collections::{BTreeMap, HashMap};

use retold_core::Text;

use super::error::UpcastersError;
use super::set::{Edge, Upcasters};
use super::{EventVersion, UpcastError};

/// Which versions of each event type are known.
#[derive(Clone, Default)]
pub(super) struct Graph {
    by_type: HashMap<Text, Vec<Known>>,
    /// What is declared, in an order that does not depend on that of the declarations.
    pub(super) declared: Vec<String>,
}

/// A version that is known, and the upcaster that begins at it; none at today's.
#[derive(Clone)]
struct Known {
    version: Text,
    further: Option<Edge>,
}

impl Graph {
    /// The graph of the sets that concern one aggregate type, or all types.
    pub(super) fn new<'a>(
        aggregate_type: Option<&Text>,
        sets: impl Iterator<Item = &'a Upcasters> + Clone,
    ) -> Result<Graph, UpcastersError> {
        let mut further: BTreeMap<&EventVersion, Option<&Edge>> = BTreeMap::new();
        for edge in sets.clone().flat_map(|set| &set.edges) {
            for to in &edge.to {
                further.entry(to).or_default();
            }
            if let Some(first) = further.insert(&edge.from, Some(edge)).flatten() {
                return Err(UpcastersError::Ambiguous {
                    aggregate_type: aggregate_type.cloned(),
                    event: edge.from.clone(),
                    first: first.to.clone(),
                    second: edge.to.clone(),
                });
            }
        }
        for current in sets.clone().flat_map(|set| &set.current) {
            if let Some(edge) = *further.entry(current).or_default() {
                return Err(UpcastersError::NotCurrent {
                    aggregate_type: aggregate_type.cloned(),
                    event: current.clone(),
                    further: edge.to.clone(),
                });
            }
        }
        check_names(further.keys().copied())?;
        check_circles(aggregate_type, &further)?;
        check_gaps(aggregate_type, &further)?;
        let mut graph = Graph {
            by_type: HashMap::new(),
            declared: declared(sets),
        };
        for (event, edge) in further {
            let known = Known {
                version: event.version.clone(),
                further: edge.cloned(),
            };
            let of_type = graph.by_type.entry(event.event_type.clone());
            of_type.or_default().push(known);
        }
        Ok(graph)
    }

    /// What takes a version further; none for today's, and for a type that no upcaster names.
    pub(super) fn further(
        &self,
        event_type: &Text,
        version: &Text,
    ) -> Result<Option<&Edge>, UpcastError> {
        let Some(known) = self.by_type.get(event_type) else {
            return Ok(None);
        };
        let found = known.iter().find(|known| known.version == *version);
        match found {
            Some(known) => Ok(known.further.as_ref()),
            None => Err(UpcastError::UnknownVersion {
                event: EventVersion::new(event_type.clone(), version.clone()),
                known: known.iter().map(|known| known.version.clone()).collect(),
            }),
        }
    }

    /// The event types that events of the types given were perhaps written as, themselves among
    /// them.
    pub(super) fn written_as(&self, event_types: &[Text]) -> Vec<Text> {
        let mut wanted: Vec<Text> = event_types.to_vec();
        let mut nth = 0;
        while let Some(target) = wanted.get(nth).cloned() {
            for (event_type, known) in &self.by_type {
                let mut targets = known.iter().filter_map(|known| known.further.as_ref());
                let leads = targets.any(|edge| edge.to.iter().any(|to| to.event_type == target));
                if leads && !wanted.contains(event_type) {
                    wanted.push(event_type.clone());
                }
            }
            nth += 1;
        }
        wanted
    }
}

/// Events of these types are written by Retold only, and have no versions of the application's.
const RESERVED: char = '$';

fn check_names<'a>(events: impl Iterator<Item = &'a EventVersion>) -> Result<(), UpcastersError> {
    for event in events {
        for name in [&event.event_type, &event.version] {
            let wrong = |reason| UpcastersError::Name {
                name: name.clone(),
                reason,
            };
            if name.is_empty() {
                return Err(wrong("is neither an event type nor a version; name one"));
            }
        }
        if event.event_type.starts_with(RESERVED) {
            return Err(UpcastersError::Name {
                name: event.event_type.clone(),
                reason: "is one of Retold's own event types, which start with $; choose another",
            });
        }
    }
    Ok(())
}

/// Looks for a way that leads back to where it began, depth first.
fn check_circles(
    aggregate_type: Option<&Text>,
    further: &BTreeMap<&EventVersion, Option<&Edge>>,
) -> Result<(), UpcastersError> {
    let mut finished: Vec<&EventVersion> = Vec::new();
    for start in further.keys().copied() {
        // The way from `start` to where the search is, with the number of targets tried at each.
        let mut way: Vec<(&EventVersion, usize)> = vec![(start, 0)];
        while let Some((event, tried)) = way.last_mut() {
            let targets = further[*event].map_or(&[][..], |edge| &edge.to);
            let next = targets.get(*tried);
            *tried += 1;
            let Some(next) = next else {
                finished.push(event);
                way.pop();
                continue;
            };
            if let Some(at) = way.iter().position(|(event, _)| *event == next) {
                let round = way[at..].iter().map(|(event, _)| *event).chain([next]);
                return Err(UpcastersError::Loop {
                    aggregate_type: aggregate_type.cloned(),
                    path: round.cloned().collect(),
                });
            }
            if !finished.contains(&next) {
                way.push((next, 0));
            }
        }
    }
    Ok(())
}

/// Of each event type at most one version may be where chains end.
fn check_gaps(
    aggregate_type: Option<&Text>,
    further: &BTreeMap<&EventVersion, Option<&Edge>>,
) -> Result<(), UpcastersError> {
    let mut ends: BTreeMap<&Text, Vec<Text>> = BTreeMap::new();
    for (event, edge) in further {
        if edge.is_none() {
            let of_type = ends.entry(&event.event_type).or_default();
            of_type.push(event.version.clone());
        }
    }
    match ends.into_iter().find(|(_, versions)| versions.len() > 1) {
        None => Ok(()),
        Some((event_type, versions)) => Err(UpcastersError::Gap {
            aggregate_type: aggregate_type.cloned(),
            event_type: event_type.clone(),
            versions,
        }),
    }
}

fn declared<'a>(sets: impl Iterator<Item = &'a Upcasters>) -> Vec<String> {
    let mut declared: Vec<String> = sets
        .flat_map(|set| {
            let revision = &set.revision;
            set.edges
                .iter()
                .map(move |edge| format!("{edge} ({revision})"))
        })
        .collect();
    declared.sort_unstable();
    declared
}
