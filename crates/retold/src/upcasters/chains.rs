//! The upcasters of a handle, checked together, and running them on an event.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use retold_core::{Filter, Json, RecordedEvent, Text};

use super::error::UpcastersError;
use super::graph::Graph;
use super::part::Part;
use super::set::{Edge, Upcasters};
use super::{EventVersion, UPCAST_EVENTS_MAX, UpcastError};
use crate::{BoxError, Error};

/// Upcasters that were checked. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Chains {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What concerns the types that upcasters name, those of every type among it.
    by_type: HashMap<Text, Graph>,
    /// What concerns all the other types.
    others: Graph,
}

impl Chains {
    /// Checks the sets together.
    pub(crate) fn new(sets: &[Upcasters]) -> Result<Chains, UpcastersError> {
        let of_all = sets.iter().filter(|set| set.aggregate_type.is_none());
        let others = Graph::new(None, of_all)?;
        let mut by_type = HashMap::new();
        for aggregate_type in sets.iter().filter_map(|set| set.aggregate_type.as_ref()) {
            let concerns = |set: &&Upcasters| {
                let of = set.aggregate_type.as_ref();
                of.is_none_or(|of| of == aggregate_type)
            };
            if !by_type.contains_key(aggregate_type) {
                let graph = Graph::new(Some(aggregate_type), sets.iter().filter(concerns))?;
                by_type.insert(aggregate_type.clone(), graph);
            }
        }
        Ok(Chains {
            shared: Arc::new(Shared { by_type, others }),
        })
    }

    /// What today's code would have written in place of an event: itself, another or several.
    ///
    /// # Errors
    /// [`Error::Upcast`] names the event.
    pub(crate) fn upcast<'a>(
        &self,
        event: &'a RecordedEvent,
    ) -> Result<Cow<'a, [RecordedEvent]>, Error> {
        self.try_upcast(event).map_err(|source| Error::Upcast {
            stream: event.stream.clone(),
            sequence_number: event.sequence_number,
            position: event.position,
            source: Box::new(source),
        })
    }

    /// The same with the reason alone.
    pub(super) fn try_upcast<'a>(
        &self,
        event: &'a RecordedEvent,
    ) -> Result<Cow<'a, [RecordedEvent]>, UpcastError> {
        let graph = self.graph(event.stream.aggregate_type());
        let unchanged = || Ok(Cow::Borrowed(std::slice::from_ref(event)));
        if event.stream.is_reserved() {
            return unchanged();
        }
        let Some(first) = graph.further(&event.event_type, &event.metadata.version)? else {
            return unchanged();
        };
        let mut upcasted = Vec::new();
        // What is still to be taken further, the next one last.
        let mut waiting = run(first, &event.payload)?;
        while let Some((into, payload)) = waiting.pop() {
            match graph.further(&into.event_type, &into.version)? {
                Some(edge) => waiting.extend(run(edge, &payload)?),
                None => upcasted.push(with(event, into, payload)),
            }
            if upcasted.len() + waiting.len() > UPCAST_EVENTS_MAX {
                let event = EventVersion::new(&*event.event_type, &*event.metadata.version);
                return Err(UpcastError::TooMany { event });
            }
        }
        Ok(Cow::Owned(upcasted))
    }

    /// Whether an upcaster begins at a version, for events of an aggregate type or of all.
    #[cfg(feature = "testing")]
    pub(crate) fn takes_further(
        &self,
        aggregate_type: Option<&Text>,
        event: &EventVersion,
    ) -> bool {
        let takes_further = |graph: &Graph| {
            let further = graph.further(&event.event_type, &event.version);
            matches!(further, Ok(Some(_)))
        };
        match aggregate_type {
            Some(aggregate_type) => takes_further(self.graph(aggregate_type)),
            // Said of no type in particular, so any set may mean it.
            None => {
                takes_further(&self.shared.others)
                    || self.shared.by_type.values().any(takes_further)
            }
        }
    }

    /// The upcasters that may touch events of an aggregate type, as they are declared.
    pub(crate) fn declared(&self, aggregate_type: &Text) -> &[String] {
        &self.graph(aggregate_type).declared
    }

    /// All upcasters, as they are declared, in order.
    pub(crate) fn all_declared(&self) -> Vec<String> {
        let graphs = self.shared.by_type.iter();
        let graphs = graphs.map(|(aggregate_type, graph)| (&**aggregate_type, graph));
        let mut all: Vec<String> = graphs
            .chain([("", &self.shared.others)])
            .flat_map(|(of, graph)| graph.declared.iter().map(move |one| format!("{of}: {one}")))
            .collect();
        all.sort();
        all
    }

    /// A filter of what was written that leaves out nothing which upcasting turns into what is
    /// wanted.
    pub(crate) fn widened(&self, wanted: &Filter) -> Filter {
        let mut widened = wanted.clone();
        if !wanted.event_types.is_empty() {
            let mut graphs = vec![&self.shared.others];
            graphs.extend(self.shared.by_type.values());
            for graph in graphs {
                for event_type in graph.written_as(&wanted.event_types) {
                    if !widened.event_types.contains(&event_type) {
                        widened.event_types.push(event_type);
                    }
                }
            }
        }
        widened
    }

    fn graph(&self, aggregate_type: &Text) -> &Graph {
        let by_type = self.shared.by_type.get(aggregate_type);
        by_type.unwrap_or(&self.shared.others)
    }
}

/// Runs one upcaster; the first of what it made comes last.
fn run(edge: &Edge, payload: &Json) -> Result<Vec<(EventVersion, Json)>, UpcastError> {
    let failed = |source: BoxError| UpcastError::Failed {
        event: edge.from.clone(),
        source: Arc::from(source),
    };
    let parts = (edge.function)(payload).map_err(failed)?;
    let part = |part: Part| {
        if !edge.to.contains(&part.event) {
            return Err(UpcastError::Undeclared {
                event: edge.from.clone(),
                part: part.event,
                declared: edge.to.clone(),
            });
        }
        let payload = part.payload.map_err(|error| failed(error.into()))?;
        Ok((part.event, payload))
    };
    parts.into_iter().rev().map(part).collect()
}

/// The recorded event with another type, version and payload.
fn with(recorded: &RecordedEvent, into: EventVersion, payload: Json) -> RecordedEvent {
    let mut event = recorded.clone();
    event.event_type = into.event_type;
    event.metadata.version = into.version;
    event.payload = payload;
    event
}
