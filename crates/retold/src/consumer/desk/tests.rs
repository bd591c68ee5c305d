//! What the desk does, in small stories.

use std::time::Duration;

use retold_core::{Json, NewEvent, RecordedEvent, StreamId, Timestamp};

use super::*;
use crate::consumer::ConsumerSettings;

fn now(seconds: u64) -> Now {
    Now {
        monotonic: Duration::from_secs(seconds),
        wall: Timestamp::from_micros(seconds as i64 * 1_000_000).unwrap(),
    }
}

fn stream(id: &str) -> StreamId {
    StreamId::new("Issue", id).unwrap()
}

/// Events of streams named by letters, in the order of the log.
fn log(streams: &str) -> Vec<RecordedEvent> {
    let mut heads: HashMap<char, u64> = HashMap::new();
    let letters = streams.chars().zip(1..);
    let events = letters.map(|(letter, position)| {
        let sequence = heads.entry(letter).or_default();
        *sequence += 1;
        let stream = stream(&letter.to_string());
        NewEvent::from_json(stream, "t", Json::null()).record(*sequence, position, now(0).wall)
    });
    events.collect()
}

fn limits(settings: impl FnOnce(&mut ConsumerSettings)) -> Limits {
    let mut chosen = ConsumerSettings {
        attempts_max: 3,
        ..ConsumerSettings::default()
    };
    settings(&mut chosen);
    chosen.limits()
}

fn desk(events: &str, settings: impl FnOnce(&mut ConsumerSettings)) -> (Desk, Vec<RecordedEvent>) {
    let log = log(events);
    let mut desk = Desk::new(limits(settings), 1, 0);
    desk.offer(log.clone(), log.len() as u64);
    (desk, log)
}

/// Reads what the desk wants, out of the log.
fn read(desk: &mut Desk, log: &[RecordedEvent]) {
    while let Some(want) = desk.want_next() {
        let of_stream = log.iter().filter(|event| {
            event.stream == want.stream
                && event.sequence_number >= want.from
                && event.position <= want.through
        });
        let events: Vec<_> = of_stream.cloned().collect();
        let looked = events.last().map_or(want.from - 1, |e| e.sequence_number);
        desk.caught(&want, events, looked, true);
    }
}

fn take_all(desk: &mut Desk, at: Now) -> Vec<Delivery> {
    std::iter::from_fn(|| desk.take(at.monotonic)).collect()
}

fn places(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|d| d.event.position).collect()
}

#[test]
fn one_event_of_each_stream_is_under_way() {
    let (mut desk, _) = desk("aabac", |_| {});
    let first = take_all(&mut desk, now(0));
    assert_eq!(places(&first), [1, 3, 5]);
    desk.finish(first[2].fence, now(0).monotonic).unwrap();
    desk.finish(first[1].fence, now(0).monotonic).unwrap();
    assert_eq!(desk.position(), 0, "the first event is not finished");
    assert_eq!(desk.progress().len(), 2, "what is ahead of it is known");
    desk.finish(first[0].fence, now(0).monotonic).unwrap();
    assert_eq!(desk.position(), 1);
    let second = take_all(&mut desk, now(0));
    assert_eq!(places(&second), [2]);
    desk.finish(second[0].fence, now(0).monotonic).unwrap();
    assert_eq!(desk.position(), 3, "one that is finished already is passed");
    let third = desk.take(now(0).monotonic).unwrap();
    desk.finish(third.fence, now(0).monotonic).unwrap();
    assert_eq!((desk.position(), desk.progress()), (5, Vec::new()));
    assert!(desk.lanes.is_empty());
}

#[test]
fn what_fails_holds_up_its_own_stream_only() {
    let (mut desk, log) = desk("abab", |_| {});
    let first = take_all(&mut desk, now(0));
    desk.fail(first[0].fence, "no".into(), None, now(0))
        .unwrap();
    desk.finish(first[1].fence, now(0).monotonic).unwrap();
    let second = take_all(&mut desk, now(0));
    assert_eq!(places(&second), [4]);
    desk.finish(second[0].fence, now(0).monotonic).unwrap();
    assert_eq!(desk.position(), 4, "the stream that waits is passed over");
    assert_eq!(desk.progress()[0].next, 1);

    desk.tick(now(2));
    read(&mut desk, &log);
    let again = take_all(&mut desk, now(2));
    assert_eq!(places(&again), [1]);
    assert_eq!(again[0].attempt, 2);
    desk.finish(again[0].fence, now(2).monotonic).unwrap();
    let rest = take_all(&mut desk, now(2));
    assert_eq!(places(&rest), [3]);
    desk.finish(rest[0].fence, now(2).monotonic).unwrap();
    read(&mut desk, &log);
    assert!(desk.lanes.is_empty());
}

#[test]
fn after_the_last_attempt_an_event_is_parked_until_somebody_decides() {
    let (mut desk, log) = desk("ab", |_| {});
    // Another stream goes on, so that this is no outage.
    for attempt in 1..=3 {
        let at = now(attempt * 10);
        desk.tick(at);
        read(&mut desk, &log);
        for delivery in take_all(&mut desk, at) {
            match delivery.event.position {
                1 => desk.fail(delivery.fence, "no".into(), None, at).unwrap(),
                _ => desk.finish(delivery.fence, at.monotonic).unwrap(),
            }
        }
    }
    let parked = desk.progress().pop().unwrap().blocked.unwrap();
    assert!(parked.is_parked);
    assert_eq!((parked.attempts, parked.position), (3, 1));
    desk.tick(now(10_000));
    read(&mut desk, &log);
    assert_eq!(take_all(&mut desk, now(10_000)), []);

    assert!(desk.replay(&stream("a"), now(10_000).monotonic));
    assert!(!desk.replay(&stream("b"), now(10_000).monotonic));
    desk.tick(now(10_000));
    read(&mut desk, &log);
    let replayed = desk.take(now(10_000).monotonic).unwrap();
    assert_eq!((replayed.event.position, replayed.attempt), (1, 1));
    desk.finish(replayed.fence, now(10_000).monotonic).unwrap();
    read(&mut desk, &log);
    assert!(desk.lanes.is_empty());
}

#[test]
fn a_parked_event_that_is_skipped_lets_the_rest_of_its_stream_go_on() {
    let (mut desk, log) = desk("aab", |settings| settings.attempts_max = 1);
    let first = take_all(&mut desk, now(0));
    desk.finish(first[1].fence, now(0).monotonic).unwrap();
    desk.fail(first[0].fence, "no".into(), None, now(0))
        .unwrap();
    assert_eq!(desk.skip(&stream("a")).unwrap().position, 1);
    assert_eq!(desk.skip(&stream("a")), None);
    read(&mut desk, &log);
    let rest = take_all(&mut desk, now(0));
    assert_eq!(places(&rest), [2]);
    assert_eq!(desk.waiting, 0);
}

#[test]
fn a_late_answer_is_refused() {
    let (mut desk, log) = desk("a", |_| {});
    let first = desk.take(now(0).monotonic).unwrap();
    desk.extend(first.fence, now(20).monotonic).unwrap();
    desk.tick(now(31));
    assert_eq!(desk.in_flight(), 1);
    desk.tick(now(51));
    assert_eq!(desk.finish(first.fence, now(51).monotonic), Err(Fenced));
    desk.tick(now(60));
    read(&mut desk, &log);
    let second = desk.take(now(60).monotonic).unwrap();
    assert!(second.fence > first.fence);
    desk.finish(second.fence, now(60).monotonic).unwrap();
    assert_eq!(desk.finish(second.fence, now(60).monotonic), Err(Fenced));
    let next = Desk::new(limits(|_| {}), 2, 0);
    assert!(next.last_fence > second.fence, "also in another process");
}

#[test]
fn when_everything_fails_the_consumer_holds_and_tries_one_event() {
    let (mut desk, log) = desk("abcd", |settings| {
        settings.attempts_max = 10;
        settings.outage_after_s = 5;
        settings.retry_backoff_max_ms = 4_000;
    });
    let mut tried = 0;
    for second in 0..3_600 {
        desk.tick(now(second));
        read(&mut desk, &log);
        for delivery in take_all(&mut desk, now(second)) {
            tried += 1;
            desk.fail(delivery.fence, "down".into(), None, now(second))
                .unwrap();
        }
    }
    assert_eq!(desk.held(), Some(HoldReason::Outage));
    assert!(tried > 500, "it is still tried, but one at a time: {tried}");
    let progress = desk.progress();
    assert!(
        progress
            .iter()
            .all(|lane| !lane.blocked.as_ref().unwrap().is_parked)
    );

    for second in 3_600..3_700 {
        desk.tick(now(second));
        read(&mut desk, &log);
        for delivery in take_all(&mut desk, now(second)) {
            desk.finish(delivery.fence, now(second).monotonic).unwrap();
        }
    }
    assert_eq!((desk.held(), desk.position()), (None, 4));
    read(&mut desk, &log);
    assert!(desk.lanes.is_empty(), "nobody was needed");
}

#[test]
fn an_event_that_nothing_can_digest_is_no_outage_for_the_others() {
    let (mut desk, mut log) = desk("a", |settings| {
        settings.attempts_max = 10;
        settings.outage_after_s = 5;
    });
    let mut seen = Vec::new();
    for second in 0..1_000 {
        if second == 500 {
            assert_eq!(desk.held(), Some(HoldReason::Outage));
        }
        if second >= 500 && second % 10 == 0 {
            let count = log.len() as u64;
            log = self::log(&format!("a{}", "b".repeat(log.len())));
            desk.offer(log[count as usize..].to_vec(), count + 1);
        }
        desk.tick(now(second));
        read(&mut desk, &log);
        for delivery in take_all(&mut desk, now(second)) {
            let at = now(second);
            match delivery.event.position {
                1 => desk.fail(delivery.fence, "no".into(), None, at).unwrap(),
                other => {
                    seen.push(other);
                    desk.finish(delivery.fence, at.monotonic).unwrap();
                }
            }
        }
    }
    assert_eq!(seen, Vec::from_iter(2..=51));
    assert_eq!(desk.held(), None);
    let parked = desk.progress().pop().unwrap().blocked.unwrap();
    assert!(parked.is_parked, "{parked:?}");
}

#[test]
fn when_too_many_streams_wait_the_consumer_holds() {
    let (mut desk, log) = desk("xabcdx", |settings| {
        settings.attempts_max = 1;
        settings.parked_streams_max = 3;
        settings.in_flight_max = 5;
    });
    let all = take_all(&mut desk, now(0));
    assert_eq!(places(&all), [1, 2, 3, 4, 5]);
    desk.finish(all[0].fence, now(0).monotonic).unwrap();
    for delivery in &all[1..3] {
        desk.fail(delivery.fence, "no".into(), None, now(0))
            .unwrap();
    }
    desk.finish(all[4].fence, now(0).monotonic).unwrap();
    desk.fail(all[3].fence, "no".into(), None, now(0)).unwrap();
    assert_eq!(desk.held(), Some(HoldReason::WaitingStreams));
    assert_eq!((desk.room(), desk.take(now(0).monotonic)), (0, None));
    desk.tick(now(1));
    read(&mut desk, &log);
    let probe = take_all(&mut desk, now(1));
    assert_eq!(probe.len(), 1);
    desk.fail(probe[0].fence, "no".into(), None, now(1))
        .unwrap();
    assert_eq!(desk.waiting, 3, "one that was parked stays parked");
    assert!(desk.replay(&probe[0].event.stream, now(2).monotonic));

    let other = desk
        .progress()
        .into_iter()
        .find(|lane| lane.stream != probe[0].event.stream);
    assert!(desk.skip(&other.unwrap().stream).is_some());
    assert_eq!(desk.held(), None);
    let next = take_all(&mut desk, now(2));
    assert_eq!(places(&next), [6]);
}

#[test]
fn what_was_kept_is_where_it_goes_on() {
    let (mut desk, log) = desk("abab", |_| {});
    let first = take_all(&mut desk, now(0));
    desk.fail(first[0].fence, "no".into(), None, now(0))
        .unwrap();
    desk.finish(first[1].fence, now(0).monotonic).unwrap();
    let changes = desk.changes().unwrap();
    assert_eq!(changes.position, 3, "position 4 is not finished");
    assert_eq!(desk.changes(), None, "nothing has happened since");
    let progress = ConsumerProgress {
        checkpoint: Some(retold_core::Checkpoint {
            log_id: uuid::Uuid::nil(),
            position: changes.position,
            event_id: uuid::Uuid::nil(),
        }),
        streams: changes.kept,
        tally: changes.tally,
    };
    let mut desk = Desk::resume(limits(|_| {}), 2, progress, Duration::ZERO);
    desk.offer(log[3..].to_vec(), 4);
    desk.tick(now(0));
    read(&mut desk, &log);
    let mut deliveries = take_all(&mut desk, now(0));
    deliveries.sort_by_key(|delivery| delivery.event.position);
    assert_eq!(places(&deliveries), [1, 4]);
    assert_eq!(deliveries[0].attempt, 2);
}
