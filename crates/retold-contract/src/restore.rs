//! How a log moves: recorded events are written as they are into a store that holds nothing
//! else, in batches that may be told again.

use std::sync::Arc;
use std::time::Duration;

use retold_core::{
    Append, Error, EventStore, LogId, Metadata, NewEvent, Position, RecordedEvent, RestoreBatch,
};
use uuid::Uuid;

use crate::events::{
    assert_busy, assert_invalid, at, event, issue, json, numbered, ok, refused, stream,
};
use crate::pages::whole_log;
use crate::{Places, Subject};

/// Eight events of three streams, one of them reserved, in several calls and at several times.
async fn origin(places: Places) -> (LogId, Vec<RecordedEvent>) {
    let subject = Subject::new(places).await;
    let (one, machine) = (issue("1"), stream("$machine", "Issue"));
    let mut awkward = numbered(&one, 2).timestamp(at(-1_000)).tag("t").actor("me");
    awkward.payload = json(r#"{"k":1e400,"k":"\ud800"}"#);
    let calls: [Vec<NewEvent>; 4] = [
        vec![numbered(&one, 1)],
        vec![event(&machine), event(&machine)],
        vec![awkward, numbered(&one, 3)],
        (1..=3)
            .map(|nth| numbered(&stream("Order", "1"), nth))
            .collect(),
    ];
    for events in calls {
        ok(subject.store.append(Append::new(events).by_retold()).await);
        subject.clock.advance(Duration::from_secs(5));
    }
    let own = event(&one).extra("$reducer", json("1"));
    ok(subject
        .store
        .append(Append::new(vec![own]).by_retold())
        .await);
    (subject.log_id(), whole_log(&*subject).await)
}

fn batch(origin: LogId, events: &[RecordedEvent], is_last: bool) -> RestoreBatch {
    RestoreBatch {
        origin,
        events: events.to_vec(),
        is_last,
    }
}

async fn head(store: &dyn EventStore) -> Position {
    ok(store.head().await).position
}

/// Checks that a batch was refused for what an event is, and that nothing of it was kept.
fn assert_refused_for_content(result: Result<Position, Error>) {
    let error = refused(result);
    let is_for_content = matches!(
        error,
        Error::Invalid { .. } | Error::IdentityConflict { .. }
    );
    assert!(is_for_content, "{error:?}");
}

/// A restored log holds the same events, field by field, with the same digests.
pub async fn a_restored_log_has_the_same_digests(places: Places) {
    let (origin, log) = origin(places).await;
    for size in [1, 3, 100] {
        let subject = Subject::new(places).await;
        let mut batches = log.chunks(size).peekable();
        while let Some(events) = batches.next() {
            let is_last = batches.peek().is_none();
            let head = ok(subject.restore(batch(origin, events, is_last)).await);
            assert_eq!(Some(head), events.last().map(|event| event.position));
        }
        let restored = whole_log(&*subject).await;
        assert_eq!(restored, log);
        for (restored, original) in restored.iter().zip(&log) {
            assert_eq!(restored.digest(), original.digest());
            let found = ok(subject.read_event(original.metadata.event_id).await);
            assert_eq!(found.as_ref(), Some(original));
        }
    }
}

/// The digest of an event is that of the first test vector in FORMAT.md, in every store.
pub async fn a_digest_is_the_same_in_every_store(places: Places) {
    let vector = RecordedEvent {
        stream: issue("42"),
        event_type: "start_work".into(),
        payload: json("{}"),
        tags: Vec::new(),
        metadata: Metadata {
            event_id: Uuid::from_u128(1),
            version: "1.0.0".into(),
            timestamp: ok("2024-01-31T12:00:00.000001Z".parse()),
            correlation_id: "c".into(),
            causation_id: None,
            actor: None,
            extra: Vec::new(),
        },
        sequence_number: 1,
        position: 1,
        persisted_at: at(0),
    };
    let subject = Subject::new(places).await;
    ok(subject
        .restore(batch(Uuid::now_v7(), &[vector], true))
        .await);
    let found = whole_log(&*subject).await.remove(0);
    assert_eq!(
        found.digest().to_string(),
        "ec645c6fa1dd83a65ec494e1877157d7795905d3210bbba9a158d2d54cc53ea7"
    );
}

/// The store keeps an id of its own.
pub async fn a_restored_log_has_an_id_of_its_own(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    let own = subject.log_id();
    ok(subject.restore(batch(origin, &log, true)).await);
    assert_eq!(subject.log_id(), own);
    assert_ne!(own, origin);
}

/// After the last batch the log goes on: positions, sequence numbers and dates.
pub async fn a_restored_log_goes_on(places: Places) {
    let (origin, mut log) = origin(places).await;
    let subject = Subject::new(places).await;
    let later = at(2_000_000_000);
    for event in &mut log[7..] {
        event.persisted_at = later;
    }
    ok(subject.restore(batch(origin, &log, true)).await);
    let recorded = subject.append_one(event(&stream("Order", "1"))).await;
    assert_eq!((recorded.position, recorded.sequence_number), (10, 4));
    assert_eq!(recorded.persisted_at, later, "dates do not run backwards");
    let recorded = subject.append_one(event(&issue("new"))).await;
    assert_eq!((recorded.position, recorded.sequence_number), (11, 1));
}

/// The ids of restored events are known: appended again they are repetitions.
pub async fn restored_ids_are_known(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    ok(subject.restore(batch(origin, &log, true)).await);
    for original in &log {
        let again = Append::new(vec![original.clone().into_new()]).by_retold();
        let appended = ok(subject.store.append(again).await);
        assert!(!appended.is_new);
        assert_eq!(appended.events, std::slice::from_ref(original));
    }
    assert_eq!(head(&*subject).await, log.len() as u64);
}

/// A store that holds other events takes no restore.
pub async fn a_store_with_other_events_is_refused(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    subject.append_one(event(&issue("1"))).await;
    for is_last in [false, true] {
        match refused(subject.restore(batch(origin, &log, is_last)).await) {
            Error::NotEmpty { head } => assert_eq!(head, 1),
            other => panic!("must not be empty, but gave {other:?}"),
        }
    }
    assert_eq!(head(&*subject).await, 1);
    subject.append_one(event(&issue("1"))).await;
}

/// After its last batch a restore takes no further events.
pub async fn a_finished_restore_takes_no_more(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    ok(subject.restore(batch(origin, &log[..5], true)).await);
    for origin in [origin, Uuid::now_v7()] {
        let error = refused(subject.restore(batch(origin, &log[5..], true)).await);
        assert!(matches!(error, Error::NotEmpty { head: 5 }), "{error:?}");
    }
    assert_eq!(whole_log(&*subject).await, log[..5]);
}

/// A restore may be told again from its beginning or from any event: what the store has
/// already is passed over.
pub async fn a_restore_may_be_told_again(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    for (part, expected) in [
        (0..4, 4),
        (0..4, 4),
        (0..2, 4),
        (2..6, 6),
        (6..6, 6),
        (1..8, 8),
    ] {
        let head = ok(subject.restore(batch(origin, &log[part], false)).await);
        assert_eq!(head, expected);
    }
    assert_eq!(ok(subject.restore(batch(origin, &log, true)).await), 9);
    assert_eq!(whole_log(&*subject).await, log);
}

/// An event that differs from the one at its place is refused, and so is its batch.
pub async fn other_events_at_a_known_place_are_refused(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    ok(subject.restore(batch(origin, &log[..4], false)).await);
    let changes: [fn(&mut RecordedEvent); 5] = [
        |event| event.payload = json("1"),
        |event| event.metadata.event_id = Uuid::now_v7(),
        |event| event.tags = vec!["other".into()],
        |event| event.metadata.actor = Some("other".into()),
        |event| event.persisted_at = event.persisted_at.saturating_add_micros(1),
    ];
    for change in changes {
        let mut events = log.clone();
        change(&mut events[3]);
        assert_refused_for_content(subject.restore(batch(origin, &events, false)).await);
        assert_eq!(
            head(&*subject).await,
            4,
            "a refused batch is refused as a whole"
        );
    }
    ok(subject.restore(batch(origin, &log, true)).await);
    assert_eq!(whole_log(&*subject).await, log);
}

/// A batch that leaves a gap, before it or within it, is refused.
pub async fn a_gap_is_refused(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    assert_invalid(
        subject.restore(batch(origin, &log[1..], false)).await,
        "position",
    );
    ok(subject.restore(batch(origin, &log[..2], false)).await);
    assert_invalid(
        subject.restore(batch(origin, &log[3..], false)).await,
        "position",
    );
    let holed = [log[2].clone(), log[4].clone()];
    assert_invalid(
        subject.restore(batch(origin, &holed, false)).await,
        "position",
    );
    assert_eq!(head(&*subject).await, 2);
}

/// Events out of order are refused.
pub async fn a_wrong_order_is_refused(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    let swapped = [log[0].clone(), log[2].clone(), log[1].clone()];
    assert_invalid(
        subject.restore(batch(origin, &swapped, false)).await,
        "position",
    );
    let mut twice = [log[0].clone(), log[0].clone()];
    twice[1].metadata.event_id = Uuid::now_v7();
    assert_invalid(
        subject.restore(batch(origin, &twice, false)).await,
        "position",
    );
    assert_eq!(head(&*subject).await, 0);
}

/// The sequence number must be the next of its stream.
pub async fn a_wrong_sequence_number_is_refused(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    for (place, sequence_number) in [(0, 2), (2, 1), (2, 3), (3, 1), (5, 9)] {
        let mut events = log.clone();
        events[place].sequence_number = sequence_number;
        let refusal = subject.restore(batch(origin, &events, true)).await;
        assert_invalid(refusal, "sequenceNumber");
        assert_eq!(
            head(&*subject).await,
            0,
            "a refused batch is refused as a whole"
        );
    }
    ok(subject.restore(batch(origin, &log, true)).await);
}

/// An event id is restored once, within a batch and across batches.
pub async fn an_id_is_restored_once(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    let mut events = log.clone();
    events[4].metadata.event_id = log[0].metadata.event_id;
    assert_refused_for_content(subject.restore(batch(origin, &events, false)).await);
    assert_eq!(head(&*subject).await, 0);
    ok(subject.restore(batch(origin, &events[..4], false)).await);
    assert_refused_for_content(subject.restore(batch(origin, &events[4..], false)).await);
    assert_eq!(head(&*subject).await, 4);
}

/// Dates that run backwards are refused, within a batch and across batches.
pub async fn dates_that_run_backwards_are_refused(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    let mut events = log.clone();
    events[5].persisted_at = events[4].persisted_at.saturating_add_micros(-1);
    let refusal = subject.restore(batch(origin, &events, false)).await;
    assert_invalid(refusal, "persistedAt");
    ok(subject.restore(batch(origin, &events[..5], false)).await);
    let refusal = subject.restore(batch(origin, &events[5..6], false)).await;
    assert_invalid(refusal, "persistedAt");
    assert_eq!(head(&*subject).await, 5);
}

/// An unfinished restore goes on from the log that it began with, and from no other.
pub async fn another_origin_is_refused(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    ok(subject.restore(batch(origin, &log[..3], false)).await);
    for events in [&log[..], &log[3..]] {
        let error = refused(subject.restore(batch(Uuid::now_v7(), events, true)).await);
        assert!(matches!(error, Error::NotEmpty { head: 3 }), "{error:?}");
    }
    assert_eq!(ok(subject.restore(batch(origin, &log[3..], true)).await), 9);
}

/// Until the last batch is in, appends are told to try again; nothing of them is written.
pub async fn an_unfinished_restore_makes_appends_busy(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    for part in [0..0, 0..4] {
        ok(subject.restore(batch(origin, &log[part], false)).await);
        let append = Append::new(vec![event(&issue("1"))]);
        assert_busy(subject.store.append(append).await);
        assert_busy(subject.store.check_writable().await);
    }
    assert_eq!(head(&*subject).await, 4);
    ok(subject.restore(batch(origin, &log[4..], true)).await);
    ok(subject.store.check_writable().await);
    assert_eq!(subject.append_one(event(&issue("1"))).await.position, 10);
}

/// An unfinished restore is still one after reopening, and is taken up where it was.
pub async fn an_unfinished_restore_is_resumed_after_reopening(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    if !subject.can_be_reopened() {
        return;
    }
    ok(subject.restore(batch(origin, &log[..4], false)).await);
    let subject = subject.reopened().await;
    assert_busy(
        subject
            .store
            .append(Append::new(vec![event(&issue("1"))]))
            .await,
    );
    let error = refused(subject.restore(batch(Uuid::now_v7(), &log, true)).await);
    assert!(matches!(error, Error::NotEmpty { head: 4 }), "{error:?}");
    ok(subject.restore(batch(origin, &log[2..], true)).await);
    let subject = subject.reopened().await;
    assert_eq!(whole_log(&*subject).await, log);
    assert_eq!(subject.append_one(event(&issue("1"))).await.position, 10);
}

/// Restored events wake those who wait for them.
pub async fn a_restore_wakes_those_who_wait(places: Places) {
    let (origin, log) = origin(places).await;
    let subject = Subject::new(places).await;
    let store = Arc::clone(&subject.store);
    let wait = tokio::spawn(async move { store.wait_past(3).await });
    ok(subject.restore(batch(origin, &log[..2], false)).await);
    ok(subject.restore(batch(origin, &log[2..], true)).await);
    assert_eq!(ok(ok(wait.await)), 9);
}

/// An empty log is restored too; the store takes appends afterwards.
pub async fn an_empty_log_is_restored(places: Places) {
    let subject = Subject::new(places).await;
    assert_eq!(
        ok(subject.restore(batch(Uuid::now_v7(), &[], true)).await),
        0
    );
    assert_eq!(subject.append_one(event(&issue("1"))).await.position, 1);
}
