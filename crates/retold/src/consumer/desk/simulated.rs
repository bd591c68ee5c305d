//! The desk against a world that it knows nothing of, from seeds: events come, answers are given,
//! fail, come late or not at all, progress is kept now and then, and the process dies. A plain
//! list of what was answered says what must be true.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use retold_core::{
    Checkpoint, ConsumerProgress, Json, NewEvent, RecordedEvent, StreamId, StreamProgress,
    Timestamp,
};
use uuid::Uuid;

use super::*;
use crate::consumer::ConsumerSettings;
use crate::consumer::desk::planted::{self, Bug};

/// The type of the events that the consumer asks for.
const WANTED: &str = "wanted";

struct World {
    limits: Limits,
    draws: u64,
    seconds: u64,
    log: Vec<RecordedEvent>,
    desk: Desk,
    epoch: u32,
    kept: ConsumerProgress,
    /// What was answered well, of each stream: all that the desk knows, and what was kept.
    finished: BTreeMap<StreamId, BTreeSet<u64>>,
    kept_finished: BTreeMap<StreamId, BTreeSet<u64>>,
    under_way: Vec<Delivery>,
    /// Parts of streams that are being read.
    reading: Vec<Want>,
    /// Deliveries that must not be answered for any more.
    late: Vec<Fence>,
    /// Events that fail until the end.
    poison: BTreeSet<Position>,
}

fn limits() -> Limits {
    ConsumerSettings {
        in_flight_max: 4,
        attempts_max: 3,
        parked_streams_max: 4,
        outage_after_s: 20,
        retry_backoff_max_ms: 8_000,
        ..ConsumerSettings::default()
    }
    .limits()
}

/// The limits of some worlds let hardly more than one event be held.
fn limits_of(seed: u64) -> Limits {
    let read_ahead_bytes = match seed % 3 {
        0 => 1_500,
        _ => limits().read_ahead_bytes,
    };
    Limits {
        read_ahead_bytes,
        ..limits()
    }
}

impl World {
    fn new(seed: u64) -> World {
        World {
            limits: limits_of(seed),
            draws: seed,
            seconds: 0,
            log: Vec::new(),
            desk: Desk::new(limits_of(seed), 1, 0),
            epoch: 1,
            kept: ConsumerProgress::default(),
            finished: BTreeMap::new(),
            kept_finished: BTreeMap::new(),
            under_way: Vec::new(),
            reading: Vec::new(),
            late: Vec::new(),
            poison: BTreeSet::new(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        (crate::consumer::settings::draw(&mut self.draws) * bound as f64) as usize
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_secs(self.seconds),
            wall: Timestamp::from_micros(self.seconds as i64 * 1_000_000).expect("small"),
        }
    }

    fn append(&mut self) {
        let stream = StreamId::new("S", self.below(7).to_string()).expect("well formed");
        let sequence = self.log.iter().filter(|e| e.stream == stream).count() as u64 + 1;
        let position = self.log.len() as u64 + 1;
        let event_type = if self.below(4) == 0 { "other" } else { WANTED };
        if self.below(12) == 0 {
            self.poison.insert(position);
        }
        let event = NewEvent::from_json(stream, event_type, Json::null());
        let event = event.event_id(Uuid::from_u128(position.into()));
        self.log
            .push(event.record(sequence, position, self.now().wall));
    }

    fn offer(&mut self) {
        if self.desk.room() == 0 {
            return;
        }
        let from = self.desk.read_through() as usize;
        let through = (from + 1 + self.below(6)).min(self.log.len());
        let events = self.log[from.min(through)..through].iter();
        let wanted = events.filter(|event| event.event_type == WANTED);
        self.desk.offer(wanted.cloned().collect(), through as u64);
    }

    /// Reads one of the streams that wait, in small parts.
    fn catch_up(&mut self) {
        // Reading takes its time: the reader of the log goes on meanwhile.
        self.reading.extend(self.desk.want_next());
        if self.reading.is_empty() || self.below(2) == 0 {
            return;
        }
        let at = self.below(self.reading.len());
        let want = self.reading.swap_remove(at);
        if self.below(10) == 0 {
            return self.desk.not_caught(&want, self.now().monotonic);
        }
        let limit = 1 + self.below(3);
        let of_stream = self.log.iter().filter(|event| {
            event.stream == want.stream
                && event.sequence_number >= want.from
                && event.position <= want.through
        });
        let all: Vec<RecordedEvent> = of_stream.cloned().collect();
        let page = &all[..limit.min(all.len())];
        let looked = page
            .last()
            .map_or(want.from.saturating_sub(1), |e| e.sequence_number);
        let wanted = page.iter().filter(|event| event.event_type == WANTED);
        let events = wanted.cloned().collect();
        self.desk
            .caught(&want, events, looked, page.len() == all.len());
    }

    /// Takes events, and checks that each is the next one of its stream.
    fn take(&mut self) {
        while let Some(delivery) = self.desk.take(self.now().monotonic) {
            let event = &delivery.event;
            assert_eq!(event.event_type, WANTED);
            let newest = self
                .under_way
                .iter()
                .map(|d| d.fence)
                .chain(self.late.iter().copied());
            assert!(
                newest.max().is_none_or(|max| delivery.fence > max),
                "a fence was given before"
            );
            let is_alone = self
                .under_way
                .iter()
                .all(|other| other.event.stream != event.stream);
            assert!(is_alone, "two events of {} are under way", event.stream);
            let finished = self.finished.entry(event.stream.clone()).or_default();
            let of_stream = self.log.iter().filter(|e| e.stream == event.stream);
            let mut wanted = of_stream.filter(|e| e.event_type == WANTED);
            let next = wanted.find(|e| !finished.contains(&e.sequence_number));
            let next = next.map(|e| e.sequence_number);
            assert_eq!(
                next,
                Some(event.sequence_number),
                "out of order in {}",
                event.stream
            );
            self.under_way.push(delivery);
            if self.below(3) == 0 {
                break;
            }
        }
    }

    fn answer(&mut self, is_mended: bool) {
        if self.under_way.is_empty() {
            return;
        }
        let at = self.below(self.under_way.len());
        let delivery = self.under_way.swap_remove(at);
        let (fence, event) = (delivery.fence, delivery.event);
        let fails = self.poison.contains(&event.position) || self.below(6) == 0;
        if fails && !is_mended {
            let failed = self.desk.fail(fence, "no".into(), None, self.now());
            assert_eq!(failed, Ok(()));
        } else {
            assert_eq!(self.desk.finish(fence, self.now().monotonic), Ok(()));
            let finished = self.finished.entry(event.stream).or_default();
            finished.insert(event.sequence_number);
        }
        self.late.push(fence);
    }

    fn answer_late(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let at = self.below(self.late.len());
        let fence = self.late[at];
        let now = self.now();
        assert_eq!(self.desk.finish(fence, now.monotonic), Err(Fenced));
        assert_eq!(self.desk.fail(fence, "late".into(), None, now), Err(Fenced));
        assert_eq!(self.desk.extend(fence, now.monotonic), Err(Fenced));
    }

    fn pass_time(&mut self, seconds: usize) {
        self.seconds += self.below(seconds) as u64;
        let now = self.now();
        self.desk.tick(now);
        let (desk, late) = (&mut self.desk, &mut self.late);
        self.under_way.retain(|delivery| {
            let is_leased = desk.flights.contains_key(&delivery.fence);
            if !is_leased {
                late.push(delivery.fence);
            }
            is_leased
        });
    }

    fn save(&mut self) {
        let Some(changes) = self.desk.changes() else {
            return;
        };
        if self.below(8) == 0 {
            return self.desk.not_kept(changes);
        }
        let mut streams: BTreeMap<StreamId, StreamProgress> = BTreeMap::new();
        for stream in std::mem::take(&mut self.kept.streams) {
            streams.insert(stream.stream.clone(), stream);
        }
        for stream in changes.removed {
            streams.remove(&stream);
        }
        for stream in changes.kept {
            streams.insert(stream.stream.clone(), stream);
        }
        self.kept = ConsumerProgress {
            checkpoint: (changes.position > 0).then_some(Checkpoint {
                log_id: Uuid::nil(),
                position: changes.position,
                event_id: Uuid::nil(),
            }),
            streams: streams.into_values().collect(),
            tally: changes.tally,
        };
        self.kept_finished.clone_from(&self.finished);
    }

    /// The process dies; another one goes on with what was kept.
    fn die(&mut self) {
        self.epoch += 1;
        self.late.extend(self.under_way.drain(..).map(|d| d.fence));
        self.reading.clear();
        self.finished.clone_from(&self.kept_finished);
        let now = self.now().monotonic;
        self.desk = Desk::resume(self.limits.clone(), self.epoch, self.kept.clone(), now);
    }

    fn decide(&mut self) {
        let parked = self.desk.progress().into_iter().filter(|stream| {
            let blocked = stream.blocked.as_ref();
            blocked.is_some_and(|blocked| blocked.is_parked)
        });
        let parked: Vec<StreamProgress> = parked.collect();
        if parked.is_empty() {
            return;
        }
        let at = self.below(parked.len());
        let stream = &parked[at].stream;
        if self.below(2) == 0 {
            self.desk.replay(stream, self.now().monotonic);
        } else if self.desk.skip(stream).is_some() {
            let finished = self.finished.entry(stream.clone()).or_default();
            finished.insert(parked[at].next);
        }
    }

    /// What the desk counts is what there is.
    fn check_counts(&self) {
        let obstacles = self
            .desk
            .lanes
            .values()
            .filter_map(|lane| lane.obstacle.as_ref());
        let waiting = obstacles.clone().filter(|obstacle| obstacle.is_waiting());
        let loaded = obstacles.filter(|obstacle| obstacle.is_loaded);
        let counted = (self.desk.waiting, self.desk.loaded);
        assert_eq!(counted, (waiting.count(), loaded.count()));
        let queues = self.desk.lanes.values().map(|lane| &lane.queue);
        let held = queues.flatten().map(bytes_of).sum::<usize>();
        assert_eq!(self.desk.held_bytes, held);
        let mut finished = Tally::default();
        for event in &self.log {
            let of_stream = self.finished.get(&event.stream);
            if of_stream.is_some_and(|f| f.contains(&event.sequence_number)) {
                finished.add(event.position);
            }
        }
        assert_eq!(self.desk.tally(), finished);
    }

    fn step(&mut self) {
        self.check_counts();
        match self.below(40) {
            0..8 => self.append(),
            8..14 => self.offer(),
            14..18 => self.catch_up(),
            18..23 => self.take(),
            23..29 => self.answer(false),
            29 => self.answer_late(),
            30..34 => self.pass_time(6),
            34 => self.pass_time(90),
            35..38 => self.save(),
            38 => self.decide(),
            _ => self.die(),
        }
    }

    /// Everything is mended: nothing may be left.
    fn end(&mut self) {
        for _ in 0..20_000 {
            self.offer();
            self.catch_up();
            self.take();
            self.answer(true);
            self.pass_time(3);
            let parked = self.desk.progress().into_iter().map(|stream| stream.stream);
            for stream in parked.collect::<Vec<_>>() {
                self.desk.replay(&stream, self.now().monotonic);
            }
            let head = self.log.len() as u64;
            if self.desk.position() == head && self.desk.lanes.is_empty() {
                break;
            }
        }
        for event in self.log.iter().filter(|event| event.event_type == WANTED) {
            let finished = self.finished.get(&event.stream);
            let is_finished = finished.is_some_and(|f| f.contains(&event.sequence_number));
            assert!(
                is_finished,
                "{} of {} was skipped",
                event.sequence_number, event.stream
            );
        }
        assert_eq!(self.desk.position(), self.log.len() as u64);
        assert_eq!(self.desk.lanes.len(), 0, "something is still waited for");
        assert_eq!((self.desk.waiting, self.desk.loaded), (0, 0));
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..400 {
        world.step();
    }
    world.end();
}

/// `RETOLD_CONSUMER_SEEDS` asks for more, from `RETOLD_CONSUMER_SEED` on.
#[test]
fn nothing_is_skipped_or_out_of_order_whatever_happens() {
    let number = |name: &str, default: u64| {
        let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let first = number("RETOLD_CONSUMER_SEED", 1);
    let seeds = number("RETOLD_CONSUMER_SEEDS", 2_000);
    for seed in first..first + seeds {
        let outcome = std::panic::catch_unwind(|| run(seed));
        assert!(
            outcome.is_ok(),
            "RETOLD_CONSUMER_SEED={seed} RETOLD_CONSUMER_SEEDS=1 shows it"
        );
    }
    println!("{seeds} seeds from {first}");
}

#[test]
fn each_planted_bug_is_found() {
    for bug in Bug::ALL {
        let found = (1..=3_000).find(|seed| {
            let planted = planted::plant(bug);
            let outcome = std::panic::catch_unwind(|| run(*seed));
            drop(planted);
            outcome.is_err()
        });
        println!("{bug:?}: {found:?}");
        assert!(found.is_some(), "{bug:?} is not found within 3,000 seeds");
    }
}
