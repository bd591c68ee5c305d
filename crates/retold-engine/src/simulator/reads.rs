//! Reads of all kinds from an open store, each compared with what the model holds.

use retold_core::{
    Direction, Entry, Error, EventStore, Filter, LogQuery, StreamQuery, StreamSummary,
    StreamsQuery, Text, Timestamp,
};
use uuid::Uuid;

use super::calls::WORDS;
use super::engine::{Excuse, now};
use super::model::is_same;
use super::world::World;
use crate::EngineStore;

impl World {
    pub(super) fn read(&mut self) {
        let Some(engine) = &self.engine else { return };
        let store = std::sync::Arc::clone(&engine.store);
        let may_fail = self.disk.is_disturbed() || self.excuse() == Excuse::Unreadable;
        self.report.reads += 1;
        match self.dice.below(10) {
            0..4 => self.read_stream(&store, may_fail),
            4..7 => self.read_log(&store, may_fail),
            7 => self.read_event(&store, may_fail),
            8 => self.list_streams(&store, may_fail),
            _ => self.read_heads(&store, may_fail),
        }
    }

    fn word(&mut self) -> Text {
        Text::from_static(self.dice.pick::<&str>(&WORDS))
    }

    fn timestamp(&mut self) -> Timestamp {
        let seconds = self.dice.below(12) as i64;
        Timestamp::from_micros(seconds * 1_000_000).unwrap_or(Timestamp::MIN)
    }

    /// Compares what pages hold with what they should; `failed` is how the last one ended.
    fn compare(
        &self,
        found: &[Entry],
        wanted: impl Iterator<Item = Entry>,
        failed: Option<&Error>,
        may_fail: bool,
        query: &dyn std::fmt::Debug,
    ) {
        let mut wanted = wanted;
        for found in found {
            let kept = wanted.next();
            assert!(
                kept.as_ref().is_some_and(|kept| is_same(found, kept)),
                "{query:?} gives {found:?}, not {kept:?}"
            );
        }
        match failed {
            None => {
                let left = wanted.next();
                assert!(left.is_none(), "{query:?} leaves out {left:?}");
            }
            Some(Error::Corrupt { .. } | Error::Io { .. }) if may_fail => {}
            Some(error) => panic!("{query:?} fails: {error}"),
        }
    }

    fn read_stream(&mut self, store: &EngineStore, may_fail: bool) {
        let mut query = StreamQuery::new(self.caller.stream(&mut self.dice));
        let head = self.model.durable();
        if self.dice.percent(40) {
            query.from_sequence = self.dice.below(head + 2);
        }
        if self.dice.percent(40) {
            query.to_sequence = self.dice.below(head + 2);
        }
        if self.dice.percent(30) {
            query.through_position = self.dice.below(head + 2);
        }
        if self.dice.percent(30) {
            query.after_position = self.dice.below(head + 1);
        }
        if self.dice.percent(20) {
            query.from_timestamp = Some(self.timestamp());
        }
        if self.dice.percent(20) {
            query.event_type = Some(self.word());
        }
        if self.dice.flip() {
            query.direction = Direction::Backward;
        }
        query.limit = *self.dice.pick(&[1, 3, 100]);
        let first = query.clone();
        let (mut found, mut failed) = (Vec::new(), None);
        loop {
            match now(store.read_stream(query.clone())) {
                Ok(page) => {
                    found.extend(page.entries);
                    match page.next {
                        Some(next) => query = query.continued(next),
                        None => break,
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if self.model.is_damaged(&first.stream) {
            // What is missing of it is answered in its own way; what is there must be true.
            for entry in found {
                let kept = self.model.entries().get(entry.position() as usize - 1);
                assert!(
                    kept.is_some_and(|kept| is_same(&entry, kept)),
                    "{entry:?} was {kept:?}"
                );
            }
            return;
        }
        let is_wanted = |entry: &&Entry| match entry {
            Entry::Event(event) => event.stream == first.stream && first.admits(event),
            _ => false,
        };
        let mut wanted: Vec<Entry> = self
            .model
            .entries()
            .iter()
            .filter(is_wanted)
            .cloned()
            .collect();
        if first.direction == Direction::Backward {
            wanted.reverse();
        }
        self.compare(
            &found,
            wanted.into_iter(),
            failed.as_ref(),
            may_fail,
            &first,
        );
    }

    fn read_log(&mut self, store: &EngineStore, may_fail: bool) {
        let head = self.model.durable();
        let mut query = LogQuery::after(self.dice.below(head + 1));
        query.filter = self.filter();
        query.limit = *self.dice.pick(&[1, 3, 10, 100]);
        if self.dice.percent(30) {
            query.through = query.after + self.dice.below(head + 1);
        }
        let first = query.clone();
        let (mut found, mut failed) = (Vec::new(), None);
        loop {
            match now(store.read_log(query.clone())) {
                Ok(page) => {
                    let end = query.through.min(head).max(query.after);
                    assert!(page.complete_through <= end, "complete beyond the range");
                    assert_eq!(
                        page.next.is_none(),
                        page.complete_through == end,
                        "{query:?}"
                    );
                    found.extend(page.entries);
                    match page.next {
                        Some(next) => query.after = next,
                        None => break,
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let is_wanted = |entry: &&Entry| {
            let is_in = entry.position() > first.after && entry.position() <= first.through;
            is_in
                && match entry {
                    Entry::Event(event) => first.filter.admits(event),
                    _ => true,
                }
        };
        let wanted = self.model.entries().iter().filter(is_wanted).cloned();
        self.compare(&found, wanted, failed.as_ref(), may_fail, &first);
    }

    fn filter(&mut self) -> Filter {
        let mut filter = Filter {
            include_reserved: self.dice.flip(),
            ..Filter::default()
        };
        match self.dice.below(6) {
            0 => filter.correlation_id = Some(self.word()),
            1 => filter.tags = vec![self.word(), self.word()],
            2 => filter.event_types = vec![self.word()],
            3 => filter.from_timestamp = Some(self.timestamp()),
            4 => filter.aggregate_types = vec![Text::from_static("Issue")],
            _ => {}
        }
        filter
    }

    fn read_event(&mut self, store: &EngineStore, may_fail: bool) {
        let head = self.model.durable();
        let position = 1 + self.dice.below(head + 1);
        let event_id = match self.model.event(position) {
            Some(event) => event.metadata.event_id,
            None => Uuid::from_u64_pair(self.dice.next(), 0),
        };
        match now(store.read_event(event_id)) {
            Ok(found) => {
                let kept = self.model.position_of(event_id);
                let kept = kept.and_then(|position| self.model.event(position));
                let fits = match (&found, kept) {
                    (Some(found), Some(kept)) => {
                        is_same(&Entry::Event(found.clone()), &Entry::Event(kept.clone()))
                    }
                    (None, None) => true,
                    _ => false,
                };
                assert!(fits, "event {event_id} is {found:?}, not {kept:?}");
            }
            Err(Error::Corrupt { .. } | Error::Io { .. }) if may_fail => {}
            Err(error) => panic!("event {event_id} cannot be read: {error}"),
        }
    }

    fn list_streams(&mut self, store: &EngineStore, may_fail: bool) {
        if !self.model.is_whole() {
            return;
        }
        let mut query = StreamsQuery {
            prefix: Text::from_static(self.dice.pick::<&str>(&["", "", "1", "10"])),
            include_reserved: self.dice.flip(),
            limit: *self.dice.pick(&[1, 2, 100]),
            ..StreamsQuery::default()
        };
        if self.dice.flip() {
            query.aggregate_type = Some(Text::from_static("Issue"));
        }
        let first = query.clone();
        let mut found: Vec<StreamSummary> = Vec::new();
        loop {
            let page = now(store.streams(query.clone()));
            let page = match page {
                Ok(page) => page,
                Err(Error::Corrupt { .. } | Error::Io { .. }) if may_fail => return,
                Err(error) => panic!("{query:?} fails: {error}"),
            };
            found.extend(page.streams);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        let heads = self
            .model
            .heads()
            .filter(|(stream, _)| first.admits(stream));
        let wanted: Vec<StreamSummary> = heads
            .map(|(stream, head)| StreamSummary {
                stream: stream.clone(),
                head,
            })
            .collect();
        assert_eq!(found, wanted, "{first:?}");
    }

    fn read_heads(&mut self, store: &EngineStore, may_fail: bool) {
        let head = now(store.head()).unwrap_or_else(|error| panic!("the head: {error}"));
        assert_eq!(head.position, self.model.durable());
        let stream = self.caller.stream(&mut self.dice);
        if !self.model.is_damaged(&stream) {
            let head = now(store.stream_head(&stream));
            match head {
                Ok(head) => {
                    assert_eq!(head, self.model.head_of(&stream), "the head of {stream}");
                }
                Err(Error::Corrupt { .. } | Error::Io { .. }) if may_fail => {}
                Err(error) => panic!("the head of {stream}: {error}"),
            }
        }
    }
}
