//! What happened under one correlation id, as a tree of causes.

use std::collections::HashMap;

use retold_core::{Entry, EventId, Filter, LogQuery, RecordedEvent, Text};

use crate::{Error, Retold};

/// Events of a trace at most: more than anybody looks through.
pub const TRACE_EVENTS_MAX: usize = 10_000;

/// Bytes of the events of a trace at most: it is held in memory, like a page.
const TRACE_BYTES_MAX: usize = retold_core::limits::PAGE_BYTES_MAX;

/// How deep a tree of causes goes: parsers of JSON stop at 128 levels, and each event takes two. An
/// event below begins a tree of its own, which says that it [is continued](TraceNode::is_continued).
pub const TRACE_DEPTH_MAX: usize = 50;

/// The events of one correlation id, each under the one that caused it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Trace {
    /// The correlation id.
    pub correlation_id: Text,
    /// The events without a cause among them, in the order of the log.
    pub roots: Vec<TraceNode>,
    /// How many events they are together.
    pub events: usize,
    /// Whether these are all; else there are more than a trace holds, and the rest is read from the
    /// log with a filter.
    pub is_complete: bool,
}

/// An event, and what it caused.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceNode {
    /// The event.
    pub event: RecordedEvent,
    /// What it caused, in the order of the log.
    pub children: Vec<TraceNode>,
    /// Whether its cause is in the trace too, at the bottom of another tree.
    pub is_continued: bool,
}

impl Retold {
    /// All events of one correlation id, across streams, as a tree of causes.
    ///
    /// The cause of an event is the one whose id its `causationId` names, where that is of the same
    /// correlation and came before it in the log; any other event is a root.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) where no event has the id; else
    /// [`Error::Store`].
    pub async fn trace(&self, correlation_id: impl Into<Text>) -> Result<Trace, Error> {
        let correlation_id = correlation_id.into();
        let filter = Filter {
            correlation_id: Some(correlation_id.clone()),
            ..Filter::default()
        };
        let mut query = LogQuery::after(0).filter(filter).limit(1_000);
        let (mut events, mut bytes, mut is_complete) = (Vec::new(), 0, true);
        'pages: loop {
            let page = self.store().read_log(query.clone()).await?;
            for entry in page.entries {
                let Entry::Event(event) = entry else { continue };
                bytes += event.bytes();
                if events.len() == TRACE_EVENTS_MAX || bytes > TRACE_BYTES_MAX {
                    is_complete = false;
                    break 'pages;
                }
                events.push(event);
            }
            match page.next {
                Some(next) => query.after = next,
                None => break,
            }
        }
        if events.is_empty() {
            return Err(Error::Store(retold_core::Error::NotFound {
                what: format!("an event of the correlation {correlation_id}"),
            }));
        }
        Ok(Trace {
            correlation_id,
            events: events.len(),
            roots: tree(events),
            is_complete,
        })
    }
}

/// Puts events, which are in the order of the log, under their causes.
fn tree(events: Vec<RecordedEvent>) -> Vec<TraceNode> {
    let mut known: HashMap<EventId, usize> = HashMap::new();
    let mut depths = Vec::with_capacity(events.len());
    let mut causes = Vec::with_capacity(events.len());
    for (nth, event) in events.iter().enumerate() {
        let cause = event.metadata.causation_id.as_ref();
        let cause = cause.and_then(|cause| cause.parse::<EventId>().ok());
        // Only what came before can be a cause, so there are no circles.
        let cause = cause.and_then(|cause| known.get(&cause).copied());
        let depth = cause.map_or(0, |cause: usize| depths[cause] + 1);
        depths.push(if depth < TRACE_DEPTH_MAX { depth } else { 0 });
        causes.push(cause);
        known.insert(event.metadata.event_id, nth);
    }
    // From the last to the first: what an event caused stands behind it, and is whole by then.
    let mut children: Vec<Vec<TraceNode>> = events.iter().map(|_| Vec::new()).collect();
    let mut roots = Vec::new();
    for (nth, event) in events.into_iter().enumerate().rev() {
        let mut caused = std::mem::take(&mut children[nth]);
        caused.reverse();
        let is_root = depths[nth] == 0;
        let node = TraceNode {
            event,
            children: caused,
            is_continued: is_root && causes[nth].is_some(),
        };
        match causes[nth].filter(|_| !is_root) {
            Some(cause) => children[cause].push(node),
            None => roots.push(node),
        }
    }
    roots.reverse();
    roots
}

#[cfg(test)]
mod tests {
    use retold_core::{NewEvent, StreamId, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn event(nth: u128, cause: Option<&str>) -> RecordedEvent {
        let stream = StreamId::new("Order", "1").unwrap();
        let mut event = NewEvent::new(stream, "t", &nth).unwrap();
        event = event.event_id(Uuid::from_u128(nth));
        event.metadata.causation_id = cause.map(Into::into);
        let number = u64::try_from(nth).unwrap();
        event.record(number, number, Timestamp::now())
    }

    /// A tree as a text: children in brackets, `~` where an event is continued.
    fn drawn(nodes: &[TraceNode]) -> String {
        let one = |node: &TraceNode| {
            let sign = if node.is_continued { "~" } else { "" };
            let below = match node.children.is_empty() {
                true => String::new(),
                false => format!("({})", drawn(&node.children)),
            };
            format!("{sign}{}{below}", node.event.position)
        };
        nodes.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn events_stand_under_their_causes() {
        let id = |nth| Uuid::from_u128(nth).to_string();
        let (one, three, nine) = (id(1), id(3).to_uppercase(), id(9));
        let events = vec![
            event(1, None),
            event(2, Some(&one)),
            event(3, Some(&one)),
            event(4, Some(&three)),
            event(5, Some("a click")),
            event(6, Some(&nine)),
            event(7, Some(&id(7))),
            event(9, Some(&id(6))),
        ];
        assert_eq!(drawn(&tree(events)), "1(2 3(4)) 5 6(9) 7");
    }

    #[test]
    fn a_long_chain_is_continued_in_further_trees() {
        let id = |nth| Uuid::from_u128(nth).to_string();
        let last = 2 * TRACE_DEPTH_MAX as u128 + 1;
        let events = (1..=last).map(|nth| event(nth, (nth > 1).then(|| id(nth - 1)).as_deref()));
        let roots = tree(events.collect());
        let starts = roots
            .iter()
            .map(|root| (root.event.position, root.is_continued));
        let starts: Vec<_> = starts.collect();
        assert_eq!(starts, [(1, false), (51, true), (101, true)]);
    }
}
