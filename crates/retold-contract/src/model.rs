//! A store beside the plain model of one: the same random operations, the same answers.

use std::sync::Arc;
use std::time::Duration;

use retold_core::{
    Append, Appended, Direction, Error, EventStore, Expected, Filter, LogQuery, NewEvent,
    RecordedEvent, RestoreBatch, StreamId, StreamQuery, StreamsQuery, Text,
};
use retold_memory::MemoryStore;

use crate::events::{at, json, ok, stream};
use crate::pages::{listed_streams, log_events, stream_events, whole_log};
use crate::random::Random;
use crate::seeds::play;
use crate::{Places, Subject};

/// Operations of one round: enough for many streams and pages, few enough to read a failure.
const OPERATIONS: u64 = 150;

/// Under random operations the store answers like the model: appends, repetitions, conflicts,
/// every read with every filter, pages of every size, and a log that is moved.
pub async fn random_operations_answer_like_the_model(places: Places) {
    play("model", |seed| async move {
        Round::new(places, seed).await.run().await
    })
    .await;
}

/// One round: a new store, a new model, and what was appended to both.
struct Round {
    random: Random,
    subject: Subject,
    model: MemoryStore,
    given: Vec<NewEvent>,
    streams: Vec<StreamId>,
    writes_several: bool,
    checks_others: bool,
}

/// What is told apart of an answer: reasons are for people and may differ.
fn gist<T>(answer: Result<T, Error>) -> Result<T, String> {
    answer.map_err(|error| match error {
        Error::IdentityConflict { event_ids, .. } => format!("identity conflict {event_ids:?}"),
        Error::Invalid { field, .. } => format!("invalid {field}"),
        other => format!("{other:?}"),
    })
}

const TEXTS: [&str; 4] = ["a", "b", "A", "é"];

impl Round {
    async fn new(places: Places, seed: u64) -> Round {
        let subject = Subject::new(places).await;
        let model = MemoryStore::with_clock(subject.clock.clone());
        let capabilities = subject.store.capabilities();
        let streams = [
            ("Issue", "1"),
            ("Issue", "2"),
            ("Issue", "10"),
            ("Order", "1"),
            ("$machine", "Issue"),
            ("issue", "é"),
        ];
        Round {
            random: Random::new(seed),
            subject,
            model,
            given: Vec::new(),
            streams: streams.map(|(kind, id)| stream(kind, id)).to_vec(),
            writes_several: capabilities.multi_stream,
            checks_others: capabilities.conditions,
        }
    }

    async fn run(mut self) {
        for _ in 0..OPERATIONS {
            self.move_clock();
            match self.random.below(100) {
                0..40 => self.append().await,
                40..55 => self.repeat().await,
                55..70 => self.read_stream().await,
                70..90 => self.read_log().await,
                90..94 => self.list_streams().await,
                94..99 => self.look_up().await,
                _ => self = self.reopen().await,
            }
        }
        self.compare_all().await;
        self.restore_elsewhere().await;
    }

    /// Lets time pass, or sets the clock back by less than what counts as a leap when it is
    /// made up for: what counts is then the same however often a store looks at its clock.
    fn move_clock(&mut self) {
        let now = retold_core::Clock::now(&*self.subject.clock);
        match self.random.below(10) {
            0 => {
                let back = i64::try_from(self.random.below(20_000_000)).expect("seconds");
                self.subject.clock.set(now.saturating_add_micros(-back));
            }
            1..5 => {
                let by = Duration::from_micros(self.random.below(2_000_000));
                self.subject.clock.advance(by);
            }
            _ => {}
        }
    }

    fn text(&mut self) -> Text {
        Text::from_static(self.random.pick::<&str>(&TEXTS))
    }

    fn timestamp(&mut self) -> retold_core::Timestamp {
        at(i64::try_from(self.random.below(12)).expect("below 12") - 6)
    }

    fn new_event(&mut self, stream: &StreamId) -> NewEvent {
        let payload = *self
            .random
            .pick(&["{}", "1", "1.0", r#"{"k":[],"k":1e400}"#]);
        let mut event = NewEvent::from_json(stream.clone(), self.text(), json(payload))
            .event_id(self.random.uuid())
            .timestamp(self.timestamp())
            .correlation_id(self.text());
        for tag in TEXTS {
            if self.random.percent(25) {
                event = event.tag(tag);
            }
        }
        if self.random.percent(50) {
            event = event.causation_id(self.text());
        }
        if self.random.percent(50) {
            event = event.actor(self.text());
        }
        if self.random.percent(10) {
            event = event.extra(self.text(), json(payload));
        }
        event
    }

    fn new_events(&mut self) -> Vec<NewEvent> {
        let mut stream = self.random.pick(&self.streams).clone();
        let count = self.random.below(5) + 1;
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.new_event(&stream));
            if self.writes_several && self.random.percent(30) {
                stream = self.random.pick(&self.streams).clone();
            }
        }
        events
    }

    /// Adds conditions, most of which hold.
    async fn with_conditions(&mut self, mut append: Append) -> Append {
        for _ in 0..self.random.below(3) {
            let stream = match append.events().first() {
                Some(event) if !self.checks_others => event.stream.clone(),
                _ => self.random.pick(&self.streams).clone(),
            };
            let head = ok(self.model.stream_head(&stream).await);
            let sequence = head.map_or(0, |head| head.sequence_number);
            let likely = match sequence {
                0 => Expected::NoStream,
                _ => Expected::StreamExists,
            };
            let expected = match self.random.below(10) {
                0 => Expected::NoStream,
                1 => Expected::StreamExists,
                2 => Expected::Sequence(sequence + 1),
                3 => Expected::Sequence(0),
                4 => Expected::Any,
                5 | 6 => likely,
                _ => Expected::Sequence(sequence),
            };
            append = append.expect(stream, expected);
        }
        append
    }

    /// Appends to both and compares the answers.
    async fn append_to_both(&mut self, append: Append) -> Option<Appended> {
        let append = match self.random.percent(90) {
            true => append.by_retold(),
            false => append,
        };
        let expected = gist(self.model.append(append.clone()).await);
        let answer = gist(self.subject.store.append(append.clone()).await);
        assert_eq!(answer, expected, "{append:?}");
        answer.ok()
    }

    async fn append(&mut self) {
        let events = self.new_events();
        let append = self.with_conditions(Append::new(events.clone())).await;
        if self.append_to_both(append).await.is_some() {
            self.given.extend(events);
        }
    }

    /// Appends what is known already: a part of it, in another order, changed, or with others.
    async fn repeat(&mut self) {
        if self.given.is_empty() {
            return;
        }
        let from = self.random.below(self.given.len() as u64);
        let from = usize::try_from(from).expect("an index");
        let mut events: Vec<NewEvent> = self.given[from..].iter().take(4).cloned().collect();
        if !self.writes_several {
            let stream = events[0].stream.clone();
            events.retain(|event| event.stream == stream);
        }
        let last = events.len() - 1;
        match self.random.below(10) {
            0 => events.swap(0, last),
            1 => events[last].event_type = self.text(),
            2 => events[last].payload = json("1"),
            3 => events.push(events[0].clone()),
            4 => {
                let stream = events[0].stream.clone();
                let new = self.new_event(&stream);
                events.insert(0, new);
            }
            5 => {
                let mut changed = self.new_event(&events[last].stream.clone());
                changed.event_type = events[last].event_type.clone();
                changed.payload = events[last].payload.clone();
                events[last] = changed.event_id(events[last].metadata.event_id);
            }
            _ => {}
        }
        let append = self.with_conditions(Append::new(events)).await;
        if let Some(appended) = self.append_to_both(append).await {
            // A changed event may be equal to the first after all; a new one never is.
            assert!(!appended.is_new);
        }
    }

    fn bounds(&mut self, end: u64) -> (u64, u64) {
        match self.random.below(3) {
            0 => (0, u64::MAX),
            1 => (self.random.below(end + 2), u64::MAX),
            _ => (self.random.below(end + 2), self.random.below(end + 2)),
        }
    }

    fn limit(&mut self) -> usize {
        *self.random.pick(&[1, 2, 3, 10, 100, 1_000])
    }

    async fn read_stream(&mut self) {
        let mut query = StreamQuery::new(self.random.pick(&self.streams).clone());
        let head = ok(self.model.head().await).position;
        (query.from_sequence, query.to_sequence) = self.bounds(head / 3);
        (query.after_position, query.through_position) = self.bounds(head);
        if self.random.percent(40) {
            query.from_timestamp = Some(self.timestamp());
        }
        if self.random.percent(40) {
            query.to_timestamp = Some(self.timestamp());
        }
        if self.random.percent(30) {
            query.event_type = Some(self.text());
        }
        if self.random.percent(50) {
            query.direction = Direction::Backward;
        }
        query.limit = self.limit();
        let expected = stream_events(&self.model, query.clone()).await;
        let found = stream_events(&*self.subject, query.clone()).await;
        assert_eq!(found, expected, "{query:?}");
    }

    fn texts(&mut self) -> Vec<Text> {
        let count = [0, 0, 0, 1, 1, 2][usize::try_from(self.random.below(6)).expect("an index")];
        (0..count).map(|_| self.text()).collect()
    }

    fn filter(&mut self) -> Filter {
        let mut filter = Filter {
            event_types: self.texts(),
            tags: self.texts(),
            include_reserved: self.random.percent(50),
            ..Filter::default()
        };
        if self.random.percent(30) {
            let streams = [
                self.random.pick(&self.streams),
                self.random.pick(&self.streams),
            ];
            filter.aggregate_types = streams.map(|s| s.aggregate_type().clone()).to_vec();
        }
        if self.random.percent(20) {
            filter.correlation_id = Some(self.text());
        }
        if self.random.percent(20) {
            filter.causation_id = Some(self.text());
        }
        if self.random.percent(20) {
            filter.actor = Some(self.text());
        }
        if self.random.percent(20) {
            filter.from_timestamp = Some(self.timestamp());
        }
        if self.random.percent(20) {
            filter.to_timestamp = Some(self.timestamp());
        }
        filter
    }

    async fn read_log(&mut self) {
        let head = ok(self.model.head().await).position;
        let mut query = LogQuery::after(self.random.below(head + 1));
        query.filter = self.filter();
        query.limit = self.limit();
        if self.random.percent(30) {
            query.through = query.after + self.random.below(head + 1);
        }
        let expected = log_events(&self.model, query.clone()).await;
        let found = log_events(&*self.subject, query.clone()).await;
        assert_eq!(found, expected, "{query:?}");
    }

    async fn list_streams(&mut self) {
        let mut query = StreamsQuery {
            prefix: Text::from_static(self.random.pick::<&str>(&["", "", "1", "10", "é"])),
            include_reserved: self.random.percent(50),
            limit: self.limit(),
            ..StreamsQuery::default()
        };
        let one = self.random.pick(&self.streams).clone();
        if self.random.percent(50) {
            query.aggregate_type = Some(one.aggregate_type().clone());
        }
        if self.random.percent(30) {
            query.after = Some(self.random.pick(&self.streams).clone());
        }
        let expected = listed_streams(&self.model, query.clone()).await;
        let found = listed_streams(&*self.subject, query.clone()).await;
        assert_eq!(found, expected, "{query:?}");
    }

    async fn look_up(&mut self) {
        let event_id = match self.given.is_empty() || self.random.percent(20) {
            true => self.random.uuid(),
            false => self.random.pick(&self.given).metadata.event_id,
        };
        let expected = ok(self.model.read_event(event_id).await);
        assert_eq!(ok(self.subject.read_event(event_id).await), expected);
        for stream in &self.streams {
            let expected = ok(self.model.stream_head(stream).await);
            assert_eq!(ok(self.subject.stream_head(stream).await), expected);
        }
        let expected = ok(self.model.head().await);
        assert_eq!(ok(self.subject.head().await), expected);
    }

    async fn reopen(mut self) -> Self {
        if self.subject.store.capabilities().durable {
            self.subject = self.subject.reopened().await;
        }
        self
    }

    async fn compare_all(&mut self) {
        let (expected, found) = (
            whole_log(&self.model).await,
            whole_log(&*self.subject).await,
        );
        assert_eq!(found, expected);
        let mut newest: Vec<(StreamId, u64)> = Vec::new();
        for (event, nth) in found.iter().zip(1..) {
            assert_eq!(event.position, nth);
            let known = newest
                .iter_mut()
                .find(|(stream, _)| *stream == event.stream);
            let previous = known.as_ref().map_or(0, |(_, newest)| *newest);
            assert_eq!(event.sequence_number, previous + 1);
            match known {
                Some((_, newest)) => *newest = event.sequence_number,
                None => newest.push((event.stream.clone(), event.sequence_number)),
            }
        }
        assert!(found.iter().map(|event| event.persisted_at).is_sorted());
    }

    /// Moves the log into a new store, in batches of any size, some told twice.
    async fn restore_elsewhere(&mut self) {
        let log = whole_log(&*self.subject).await;
        let target =
            Subject::with_clock(self.subject.places, Arc::clone(&self.subject.clock)).await;
        let origin = self.subject.log_id();
        let mut restored = 0;
        while restored < log.len() {
            let size = usize::try_from(self.random.below(40) + 1).expect("small");
            let again = usize::try_from(self.random.below(5))
                .expect("small")
                .min(restored);
            let end = (restored + size).min(log.len());
            let batch = RestoreBatch {
                origin,
                events: log[restored - again..end].to_vec(),
                is_last: end == log.len(),
            };
            assert_eq!(ok(target.restore(batch).await), end as u64);
            restored = end;
        }
        let digests =
            |log: &[RecordedEvent]| -> Vec<_> { log.iter().map(RecordedEvent::digest).collect() };
        assert_eq!(digests(&whole_log(&*target).await), digests(&log));
    }
}
