//! A state as it was: which prefix of a stream each moment selects, and that a snapshot never
//! changes the answer. Stores owe it exact bounds; the rule itself is `PointInTime`.

use std::time::Duration;

use retold_core::{
    Checkpoint, EventStore, Json, PointInTime, RecordedEvent, ReducerId, Snapshot, StreamId,
    StreamQuery, Timestamp,
};

use crate::events::{at, event, issue, numbered, ok, sequences};
use crate::fixture::tell;
use crate::pages::stream_events;
use crate::random::Random;
use crate::{Places, Subject};

/// The events that a moment selects, read in small pages from behind `folded` on.
async fn prefix_behind(
    store: &dyn EventStore,
    stream: &StreamId,
    folded: u64,
    moment: PointInTime,
) -> Vec<RecordedEvent> {
    let mut query = StreamQuery::new(stream.clone());
    query.from_sequence = folded + 1;
    query.limit = 3;
    let mut prefix = Vec::new();
    loop {
        let page = ok(store.read_stream(query.clone()).await);
        let next = page.next;
        for event in ok(page.into_events()) {
            if !moment.includes(&event) {
                return prefix;
            }
            prefix.push(event);
        }
        let Some(next) = next else { return prefix };
        query = query.continued(next);
    }
}

async fn prefix(store: &dyn EventStore, moment: PointInTime) -> Vec<u64> {
    sequences(&prefix_behind(store, &issue("1"), 0, moment).await)
}

/// Events dated 10, 30, 20, 40, 25 and 50 seconds, at the positions 2, 4, … 12, recorded
/// 0, 10, 10, 20, 30 and 30 seconds after the returned instant.
async fn six_events(places: Places) -> (Subject, Timestamp) {
    let subject = Subject::new(places).await;
    let start = retold_core::Clock::now(&*subject.clock);
    for (seconds, passed) in [(10, 0), (30, 10), (20, 0), (40, 10), (25, 10), (50, 0)] {
        subject.clock.advance(Duration::from_secs(passed));
        subject.append_one(event(&issue("other"))).await;
        subject
            .append_one(event(&issue("1")).timestamp(at(seconds)))
            .await;
    }
    (subject, start)
}

/// By sequence number n: the events 1 to n.
pub async fn a_sequence_number_selects_a_prefix(places: Places) {
    let (subject, _) = six_events(places).await;
    for (sequence, last) in [(0, 0), (1, 1), (4, 4), (6, 6), (99, 6)] {
        let found = prefix(&*subject, PointInTime::Sequence(sequence)).await;
        assert_eq!(found, (1..=last).collect::<Vec<_>>());
    }
    assert_eq!(prefix(&*subject, PointInTime::Head).await.len(), 6);
}

/// By position P: the stream's events at or before P.
pub async fn a_position_selects_a_prefix(places: Places) {
    let (subject, _) = six_events(places).await;
    for (position, last) in [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 1),
        (4, 2),
        (11, 5),
        (12, 6),
        (99, 6),
    ] {
        let found = prefix(&*subject, PointInTime::Position(position)).await;
        assert_eq!(found, (1..=last).collect::<Vec<_>>());
    }
}

/// By `persistedAt`: what was recorded at or before the instant.
pub async fn persisted_at_selects_what_was_known(places: Places) {
    let (subject, start) = six_events(places).await;
    for (micros, last) in [
        (-1, 0),
        (0, 1),
        (9_999_999, 1),
        (10_000_000, 3),
        (20_000_000, 4),
        (29_999_999, 4),
        (30_000_000, 6),
        (90_000_000, 6),
    ] {
        let moment = PointInTime::PersistedAt(start.saturating_add_micros(micros));
        assert_eq!(
            prefix(&*subject, moment).await,
            (1..=last).collect::<Vec<_>>()
        );
    }
}

/// By `timestamp`: the longest prefix before the first event that is dated later, whatever
/// the dates of the events behind it.
pub async fn a_timestamp_selects_the_prefix_before_the_first_later_event(places: Places) {
    let (subject, _) = six_events(places).await;
    for (seconds, last) in [
        (9, 0),
        (10, 1),
        (20, 1),
        (29, 1),
        (30, 3),
        (39, 3),
        (40, 5),
        (50, 6),
    ] {
        let found = prefix(&*subject, PointInTime::Timestamp(at(seconds))).await;
        assert_eq!(found, (1..=last).collect::<Vec<_>>());
    }
}

/// The events behind the prefix that are dated at or before the instant can be counted.
pub async fn events_behind_the_prefix_can_be_counted(places: Places) {
    let (subject, _) = six_events(places).await;
    for (seconds, expected) in [
        (9, &[][..]),
        (20, &[3]),
        (25, &[3, 5]),
        (30, &[5]),
        (40, &[]),
    ] {
        let folded = prefix(&*subject, PointInTime::Timestamp(at(seconds))).await;
        let mut query = StreamQuery::new(issue("1"));
        query.from_sequence = folded.len() as u64 + 1;
        query.to_timestamp = Some(at(seconds));
        assert_eq!(sequences(&stream_events(&*subject, query).await), expected);
    }
}

/// The snapshot after each event of a stream, its state the payloads so far.
fn snapshots_of(store: &dyn EventStore, events: &[RecordedEvent]) -> Vec<Snapshot> {
    let mut latest_timestamp = Timestamp::MIN;
    let mut state = Vec::new();
    let mut snapshots = Vec::new();
    for event in events {
        latest_timestamp = latest_timestamp.max(event.metadata.timestamp);
        state.push(event.payload.clone());
        snapshots.push(Snapshot {
            stream: event.stream.clone(),
            reducer: ReducerId {
                name: "payloads".into(),
                fingerprint: "1".into(),
            },
            sequence_number: event.sequence_number,
            checkpoint: Checkpoint {
                log_id: store.log_id(),
                position: event.position,
                event_id: event.metadata.event_id,
            },
            latest_timestamp,
            last_persisted_at: event.persisted_at,
            state: ok(Json::from_value(&state)),
            metadata: Json::null(),
            created_at: event.persisted_at,
        });
    }
    snapshots
}

/// The answer with snapshots equals the answer without, for every n, P and T.
pub async fn a_snapshot_gives_the_same_answer(places: Places) {
    let seed = crate::seeds::seed();
    tell(&format!("point in time: seed {seed}"));
    let mut random = Random::new(seed);
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let start = retold_core::Clock::now(&*subject.clock);
    let mut moments = vec![PointInTime::Head];
    for nth in 1..=25 {
        subject.clock.advance(Duration::from_secs(random.below(3)));
        if random.percent(40) {
            subject.append_one(event(&issue("other"))).await;
        }
        let timestamp = at(i64::try_from(random.below(30)).expect("below 30"));
        subject
            .append_one(numbered(&stream, nth).timestamp(timestamp))
            .await;
    }
    for step in 0..=60 {
        let seconds = i64::try_from(step).expect("at most 60");
        let persisted_at = start.saturating_add_micros(seconds * 1_000_000);
        moments.push(PointInTime::Sequence(step));
        moments.push(PointInTime::Position(step));
        moments.push(PointInTime::PersistedAt(persisted_at));
        moments.push(PointInTime::Timestamp(at(seconds)));
    }
    let all = stream_events(&*subject, StreamQuery::new(stream.clone())).await;
    let snapshots = snapshots_of(&*subject, &all);
    for moment in moments {
        let without = prefix_behind(&*subject, &stream, 0, moment).await;
        let payloads: Vec<&Json> = without.iter().map(|event| &event.payload).collect();
        let expected = ok(Json::from_value(&payloads));
        for snapshot in snapshots
            .iter()
            .filter(|kept| moment.includes_snapshot(kept))
        {
            let folded = snapshot.sequence_number;
            let mut state: Vec<Json> = ok(snapshot.state.decode());
            let behind = prefix_behind(&*subject, &stream, folded, moment).await;
            state.extend(behind.into_iter().map(|event| event.payload));
            assert_eq!(
                ok(Json::from_value(&state)),
                expected,
                "{moment:?} from {folded}"
            );
        }
    }
}
