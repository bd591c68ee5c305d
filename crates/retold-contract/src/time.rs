//! The two times of an event: when it happened, which the caller says, and when it was
//! recorded, which never runs backwards.

use std::time::Duration;

use retold_core::{Append, Clock, RecordedEvent, Timestamp};

use crate::events::{at, event, issue, ok, several, some};
use crate::{Places, Subject};

async fn append_one(subject: &Subject) -> RecordedEvent {
    subject.append_one(event(&issue("1"))).await
}

/// Timestamps lie between the years 0000 and 9999, also before 1970 and in the future.
pub async fn timestamps_before_1970_are_kept(places: Places) {
    let subject = Subject::new(places).await;
    let instants = [
        Timestamp::MIN,
        ok("0000-01-01T00:00:00Z".parse()),
        ok("1969-12-31T23:59:59.999999Z".parse()),
        at(0),
        ok("9999-12-30T00:00:00Z".parse()),
        Timestamp::MAX,
    ];
    for timestamp in instants {
        let recorded = subject
            .append_one(event(&issue("1")).timestamp(timestamp))
            .await;
        assert_eq!(recorded.metadata.timestamp, timestamp);
        let found = ok(subject.read_event(recorded.metadata.event_id).await);
        assert_eq!(some(found), recorded);
    }
}

/// Timestamps are kept in whole microseconds: finer digits are cut off, an offset becomes
/// UTC, and the answer shows what is kept.
pub async fn timestamps_are_kept_in_whole_microseconds(places: Places) {
    let subject = Subject::new(places).await;
    for (given, kept) in [
        (
            "2024-01-31T12:00:00.1234567+02:00",
            "2024-01-31T10:00:00.123456Z",
        ),
        (
            "1969-12-31T23:59:59.9999999Z",
            "1969-12-31T23:59:59.999999Z",
        ),
        ("2024-01-31", "2024-01-31T00:00:00Z"),
    ] {
        let timestamp: Timestamp = ok(given.parse());
        let recorded = subject
            .append_one(event(&issue("1")).timestamp(timestamp))
            .await;
        let found = some(ok(subject.read_event(recorded.metadata.event_id).await));
        assert_eq!(found.metadata.timestamp.to_string(), kept);
    }
}

/// `persistedAt` is the clock's time, one for all events of a call; a repetition keeps it.
pub async fn persisted_at_is_the_clock_s_time(places: Places) {
    let subject = Subject::new(places).await;
    for _ in 0..5 {
        subject.clock.advance(Duration::from_micros(1_234_567));
        let given = several(&issue("1"), 3);
        let recorded = subject.append(given.clone()).await;
        let now = subject.clock.now();
        assert!(recorded.iter().all(|event| event.persisted_at == now));
        assert_eq!(ok(subject.head().await).persisted_at, now);
        subject.clock.advance(Duration::from_secs(1));
        let again = ok(subject.store.append(Append::new(given)).await);
        assert_eq!(again.events, recorded);
    }
}

/// While the clock is behind the newest event, that event's date is given to new ones;
/// appends go on.
pub async fn persisted_at_never_runs_backwards(places: Places) {
    let subject = Subject::new(places).await;
    let first = append_one(&subject).await.persisted_at;
    for back_micros in [1, 500_000, 10_000_000] {
        subject.clock.set(first.saturating_add_micros(-back_micros));
        assert_eq!(append_one(&subject).await.persisted_at, first);
    }
    subject.clock.advance(Duration::from_secs(11));
    let caught_up = append_one(&subject).await.persisted_at;
    assert_eq!(caught_up, first.saturating_add_micros(1_000_000));
    subject.clock.set(at(-86_400));
    assert_eq!(append_one(&subject).await.persisted_at, caught_up);
    assert_eq!(ok(subject.head().await).persisted_at, caught_up);
}

/// A wall clock that leaps ahead of the monotonic one by more than a minute is followed only
/// after it has held for a minute.
pub async fn a_leap_is_followed_after_a_minute(places: Places) {
    let subject = Subject::new(places).await;
    let first = append_one(&subject).await.persisted_at;
    let after = |seconds: i64| first.saturating_add_micros(seconds * 1_000_000);

    subject.clock.set(after(59));
    assert_eq!(
        append_one(&subject).await.persisted_at,
        after(59),
        "less than a minute"
    );

    subject.clock.set(after(7_200));
    assert_eq!(append_one(&subject).await.persisted_at, after(59));
    subject.clock.advance(Duration::from_secs(30));
    assert_eq!(append_one(&subject).await.persisted_at, after(89));
    subject.clock.advance(Duration::from_secs(30));
    assert_eq!(
        append_one(&subject).await.persisted_at,
        after(7_260),
        "it has held"
    );

    subject.clock.set(after(90_000));
    assert_eq!(append_one(&subject).await.persisted_at, after(7_260));
    subject.clock.set(after(7_261));
    assert_eq!(
        append_one(&subject).await.persisted_at,
        after(7_261),
        "it was taken back"
    );
}

/// After reopening, dates go on from the newest event, not from the clock.
pub async fn a_reopened_log_does_not_run_backwards(places: Places) {
    let subject = Subject::new(places).await;
    if !subject.can_be_reopened() {
        return;
    }
    let first = append_one(&subject).await.persisted_at;
    let subject = subject.reopened().await;
    subject
        .clock
        .set(first.saturating_add_micros(-3_600_000_000));
    assert_eq!(append_one(&subject).await.persisted_at, first);
}
