//! How pages are cut from the log in memory. The second that a read may take is not measured:
//! a million records in memory take a fraction of it.

use retold_core::{
    Direction, Entry, LogPage, LogQuery, Position, RecordedEvent, SequenceNumber, StreamPage,
    StreamQuery, StreamSummary, StreamsPage, StreamsQuery, limits,
};

use crate::log::Log;

/// A page that is being filled, and what it may still take.
struct Filling {
    entries: Vec<Entry>,
    entries_max: usize,
    bytes: usize,
    records_left: u64,
}

impl Filling {
    fn new(entries_max: usize, records_max: u64) -> Filling {
        Filling {
            entries: Vec::new(),
            entries_max,
            bytes: 0,
            records_left: records_max,
        }
    }

    /// Looks at a record and takes it where it is asked for; false when the page must end
    /// before it. The first record always fits, so that each page gets on.
    fn look_at(&mut self, event: &RecordedEvent, is_asked_for: bool) -> bool {
        if self.records_left == 0 || self.entries.len() == self.entries_max {
            return false;
        }
        if is_asked_for {
            let bytes = self.bytes + event.bytes();
            if bytes > limits::PAGE_BYTES_MAX && !self.entries.is_empty() {
                return false;
            }
            self.bytes = bytes;
            self.entries.push(Entry::Event(event.clone()));
        }
        self.records_left -= 1;
        true
    }
}

impl Log {
    pub(crate) fn stream_page(&self, query: &StreamQuery, records_max: u64) -> StreamPage {
        let positions = self
            .streams
            .get(&query.stream)
            .map_or(&[][..], Vec::as_slice);
        let from = query.from_sequence.max(1);
        let to = query.to_sequence.min(positions.len() as SequenceNumber);
        let mut page = Filling::new(query.limit, records_max);
        let mut examined_through = 0;
        let mut look_at = |sequence_number: SequenceNumber| {
            let event = self.at(positions[crate::log::place(sequence_number)]);
            let goes_on = page.look_at(event, query.admits(event));
            if goes_on {
                examined_through = event.position;
            }
            goes_on
        };
        let next = match query.direction {
            Direction::Forward => (from..=to).find(|&sequence| !look_at(sequence)),
            Direction::Backward => (from..=to).rev().find(|&sequence| !look_at(sequence)),
        };
        let complete_through = match (query.direction, next) {
            (Direction::Backward, _) => self.head(),
            (Direction::Forward, None) => self.head().min(query.through_position),
            (Direction::Forward, Some(_)) => examined_through.min(query.through_position),
        };
        StreamPage {
            entries: page.entries,
            next,
            complete_through,
            head: self.stream_head(&query.stream),
        }
    }

    pub(crate) fn log_page(&self, query: &LogQuery, records_max: u64) -> LogPage {
        let through = query.through.min(self.head());
        let mut page = Filling::new(query.limit, records_max);
        let refused: Option<Position> = (query.after + 1..=through).find(|&position| {
            let event = self.at(position);
            !page.look_at(event, query.filter.admits(event))
        });
        let next = refused.map(|position| position - 1);
        LogPage {
            entries: page.entries,
            next,
            complete_through: next.unwrap_or(through),
        }
    }

    pub(crate) fn streams_page(&self, query: &StreamsQuery) -> StreamsPage {
        let mut asked_for = self.streams.keys().filter(|stream| query.admits(stream));
        let streams: Vec<StreamSummary> = asked_for
            .by_ref()
            .take(query.limit)
            .filter_map(|stream| {
                Some(StreamSummary {
                    stream: stream.clone(),
                    head: self.stream_head(stream)?,
                })
            })
            .collect();
        let is_end = asked_for.next().is_none();
        let last = streams.last().map(|summary| summary.stream.clone());
        StreamsPage {
            next: last.filter(|_| !is_end),
            streams,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use retold_core::{
        Append, EventStore, Filter, LogQuery, NewEvent, StreamId, StreamQuery, SystemClock,
    };

    use crate::MemoryStore;

    async fn ten_events() -> (MemoryStore, StreamId) {
        let store = MemoryStore::with_clock(Arc::new(SystemClock::default()));
        let stream = StreamId::new("Issue", "1").unwrap();
        let event = || NewEvent::new(stream.clone(), "opened", &()).unwrap();
        let events = (0..10).map(|_| event()).collect();
        store.append(Append::new(events)).await.unwrap();
        (store, stream)
    }

    #[tokio::test]
    async fn a_read_of_the_log_that_looked_at_enough_answers_with_what_it_has() {
        let (store, _) = ten_events().await;
        let nothing = Filter {
            event_types: vec!["closed".into()],
            ..Filter::default()
        };
        let mut query = LogQuery::after(0).filter(nothing);
        for (next, complete_through) in [(Some(4), 4), (Some(8), 8), (None, 10)] {
            let page = store.log().log_page(&query, 4);
            assert!(page.entries.is_empty());
            assert_eq!((page.next, page.complete_through), (next, complete_through));
            query.after = page.complete_through;
        }
    }

    #[tokio::test]
    async fn a_read_of_a_stream_that_looked_at_enough_answers_with_what_it_has() {
        let (store, stream) = ten_events().await;
        let mut query = StreamQuery::new(stream);
        query.event_type = Some("closed".into());
        for (next, complete_through) in [(Some(5), 4), (Some(9), 8), (None, 10)] {
            let page = store.log().stream_page(&query, 4);
            assert!(page.entries.is_empty());
            assert_eq!((page.next, page.complete_through), (next, complete_through));
            query.from_sequence = next.unwrap_or_default();
        }
    }
}
