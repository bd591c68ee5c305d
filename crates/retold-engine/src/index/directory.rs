//! The directory of streams: the names that the parts hold, in one order.

use std::collections::VecDeque;
use std::ops::Bound;

use retold_core::{StreamId, StreamSummary, StreamsPage, StreamsQuery, Text};

use super::part::{Fault, Part};
use super::view::View;

/// Streams that one listing looks at: a prefix may match few of many.
const STREAMS_EXAMINED_MAX: usize = 100_000;

/// Names taken from a part at once.
const NAMES: usize = 128;

impl View {
    /// Lists streams.
    pub(crate) fn streams(&self, query: &StreamsQuery) -> Result<StreamsPage, Fault> {
        let mut directory = Directory::new(self, first_candidate(query));
        let mut streams: Vec<StreamSummary> = Vec::new();
        let mut examined: Option<StreamId> = None;
        let mut number = 0;
        while let Some(stream) = directory.next()? {
            if number == STREAMS_EXAMINED_MAX {
                return Ok(StreamsPage {
                    streams,
                    next: examined,
                });
            }
            number += 1;
            if is_past(query, &stream) {
                break;
            }
            examined = Some(stream.clone());
            if !query.admits(&stream) {
                continue;
            }
            if streams.len() == query.limit {
                let next = streams.last().map(|last| last.stream.clone());
                return Ok(StreamsPage { streams, next });
            }
            streams.extend(self.summary(stream)?);
        }
        Ok(StreamsPage {
            streams,
            next: None,
        })
    }
}

/// Whether neither a stream nor any behind it is asked for.
fn is_past(query: &StreamsQuery, stream: &StreamId) -> bool {
    query.aggregate_type.as_ref().is_some_and(|aggregate_type| {
        let (its_type, id) = (stream.aggregate_type(), stream.aggregate_id());
        let is_behind_prefix = !id.starts_with(&*query.prefix) && **id > *query.prefix;
        its_type > aggregate_type || its_type == aggregate_type && is_behind_prefix
    })
}

/// Walks through the names of all parts.
struct Directory<'a> {
    view: &'a View,
    lists: Vec<List<'a>>,
}

/// The names of one part that come next; none for those of streams with a lost event.
struct List<'a> {
    part: Option<&'a Part>,
    names: VecDeque<StreamId>,
    from: Bound<StreamId>,
    is_ended: bool,
}

impl<'a> Directory<'a> {
    fn new(view: &'a View, from: Bound<StreamId>) -> Directory<'a> {
        let list = |part| List {
            part,
            names: VecDeque::new(),
            from: from.clone(),
            is_ended: false,
        };
        let parts = view.current.parts.iter().map(|part| list(Some(part)));
        Directory {
            view,
            lists: parts.chain([list(None)]).collect(),
        }
    }

    fn next(&mut self) -> Result<Option<StreamId>, Fault> {
        for list in &mut self.lists {
            list.fill(self.view)?;
        }
        let names = self.lists.iter().filter_map(|list| list.names.front());
        let least = names.min().cloned();
        if let Some(least) = &least {
            for list in &mut self.lists {
                while list.names.front() == Some(least) {
                    list.names.pop_front();
                }
            }
        }
        Ok(least)
    }
}

impl List<'_> {
    fn fill(&mut self, view: &View) -> Result<(), Fault> {
        if self.is_ended || !self.names.is_empty() {
            return Ok(());
        }
        let from = self.from.as_ref();
        let names: Vec<StreamId> = match self.part {
            Some(part) => part.names(from, view.head.position, NAMES, view.reach)?,
            None => {
                let lost = view.current.losses.lost.range((from, Bound::Unbounded));
                lost.map(|(name, _)| name.clone()).take(NAMES).collect()
            }
        };
        self.is_ended = names.len() < NAMES;
        if let Some(last) = names.last() {
            self.from = Bound::Excluded(last.clone());
        }
        self.names = names.into();
        Ok(())
    }
}

/// From where on streams may be those asked for.
fn first_candidate(query: &StreamsQuery) -> Bound<StreamId> {
    let by_prefix = query.aggregate_type.as_ref().and_then(|aggregate_type| {
        // The empty prefix and the two ids that no stream has come before every stream.
        let from = if query.prefix.is_empty() {
            Text::from_static("\u{20}")
        } else {
            query.prefix.clone()
        };
        StreamId::new(aggregate_type.clone(), from).ok()
    });
    match (&query.after, by_prefix) {
        (Some(after), Some(first)) if *after < first => Bound::Included(first),
        (Some(after), _) => Bound::Excluded(after.clone()),
        (None, Some(first)) => Bound::Included(first),
        (None, None) => Bound::Unbounded,
    }
}
