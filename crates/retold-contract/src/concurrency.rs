//! Many writers and readers at once. Nothing here rests on timing: whatever the interleaving,
//! the answers must fit together.

use std::sync::Arc;

use retold_core::{Append, Error, EventStore, Expected, Filter, LogQuery, StreamQuery};
use tokio::task::JoinSet;

use crate::events::{event, issue, numbered, ok, positions, sequences, some};
use crate::pages::{stream_events, whole_log};
use crate::{Places, Subject};

/// How many tasks write at once.
const WRITERS: u64 = 64;

/// Waits for all tasks and returns what they returned.
async fn joined<T: 'static>(mut tasks: JoinSet<T>) -> Vec<T> {
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(ok(result));
    }
    results
}

/// Many writers to one stream get the sequence numbers 1 to n, each once.
pub async fn writers_to_one_stream_take_turns(places: Places) {
    let subject = Subject::new(places).await;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&subject.store);
        tasks.spawn(async move {
            let mut recorded = Vec::new();
            for nth in 0..4 {
                let given = numbered(&issue("1"), writer * 4 + nth);
                let appended = ok(store.append(Append::new(vec![given.clone()])).await);
                assert!(appended.is_new);
                assert_eq!(appended.events[0].clone().into_new(), given);
                recorded.extend(appended.events);
            }
            assert!(
                sequences(&recorded).is_sorted(),
                "a writer's events are in its order"
            );
            recorded
        });
    }
    let mut recorded = joined(tasks).await.concat();
    recorded.sort_by_key(|event| event.position);
    let expected: Vec<u64> = (1..=WRITERS * 4).collect();
    assert_eq!(
        (positions(&recorded), sequences(&recorded)),
        (expected.clone(), expected)
    );
    assert_eq!(whole_log(&*subject).await, recorded);
}

/// Many writers to many streams leave no hole in any stream, nor in the log.
pub async fn writers_to_many_streams_leave_no_holes(places: Places) {
    let subject = Subject::new(places).await;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&subject.store);
        tasks.spawn(async move {
            let own = issue(&writer.to_string());
            for nth in 0..3 {
                let events = vec![numbered(&own, nth * 2), numbered(&own, nth * 2 + 1)];
                let append = Append::new(events).expect(own.clone(), Expected::Sequence(nth * 2));
                ok(store.append(append).await);
            }
        });
    }
    joined(tasks).await;
    let log = whole_log(&*subject).await;
    assert_eq!(positions(&log), (1..=WRITERS * 6).collect::<Vec<_>>());
    for writer in 0..WRITERS {
        let query = StreamQuery::new(issue(&writer.to_string()));
        let events = stream_events(&*subject, query).await;
        assert_eq!(sequences(&events), (1..=6).collect::<Vec<_>>());
    }
}

/// The same event appended by many tasks at once is one event, and new for one of them,
/// also when each expects the stream to be where it was before.
pub async fn one_event_appended_by_many_is_one_event(places: Places) {
    let subject = Subject::new(places).await;
    for round in 0..5 {
        let given = vec![numbered(&issue("1"), round), numbered(&issue("1"), round)];
        let mut tasks = JoinSet::new();
        for _ in 0..WRITERS {
            let store = Arc::clone(&subject.store);
            let append =
                Append::new(given.clone()).expect(issue("1"), Expected::Sequence(round * 2));
            tasks.spawn(async move { ok(store.append(append).await) });
        }
        let answers = joined(tasks).await;
        let new = answers.iter().filter(|appended| appended.is_new).count();
        assert_eq!(new, 1, "new for {new} of them");
        assert!(
            answers
                .iter()
                .all(|appended| appended.events == answers[0].events)
        );
        assert_eq!(ok(subject.head().await).position, round * 2 + 2);
    }
}

/// Of many tasks that append other contents under one id, one wins; the others learn that
/// the id is taken.
pub async fn one_id_for_many_contents_is_one_event(places: Places) {
    let subject = Subject::new(places).await;
    let event_id = event(&issue("1")).metadata.event_id;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&subject.store);
        let given = numbered(&issue(&writer.to_string()), writer).event_id(event_id);
        tasks.spawn(async move { store.append(Append::new(vec![given])).await });
    }
    let mut winners = 0;
    for answer in joined(tasks).await {
        match answer {
            Ok(appended) if appended.is_new => winners += 1,
            Err(Error::IdentityConflict { event_ids, .. }) => assert_eq!(event_ids, [event_id]),
            other => panic!("must win or conflict, but gave {other:?}"),
        }
    }
    assert_eq!((winners, ok(subject.head().await).position), (1, 1));
}

/// A close beside writers finishes what was accepted: what was acknowledged is in the log,
/// and what was said not to be written is not.
pub async fn a_close_beside_writers_keeps_its_word(places: Places) {
    let subject = Subject::new(places).await;
    if !subject.can_be_reopened() {
        return;
    }
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&subject.store);
        tasks.spawn(async move {
            let given = numbered(&issue("1"), writer);
            let event_id = given.metadata.event_id;
            (event_id, store.append(Append::new(vec![given])).await)
        });
    }
    tokio::task::yield_now().await;
    ok(subject.close().await);
    let answers = joined(tasks).await;
    let subject = subject.reopened().await;
    for (event_id, answer) in answers {
        let found = ok(subject.read_event(event_id).await);
        match answer {
            Ok(appended) => assert_eq!(found.as_ref(), appended.events.first()),
            Err(Error::UnknownOutcome { .. }) => {}
            Err(error) => assert_eq!(found, None, "written in spite of {error:?}"),
        }
    }
}

/// Of those who expect the same sequence number, exactly one wins; the others learn the
/// actual one.
pub async fn one_of_those_who_expect_the_same_wins(places: Places) {
    let subject = Subject::new(places).await;
    for expected in 0..8 {
        let mut tasks = JoinSet::new();
        for writer in 0..16 {
            let store = Arc::clone(&subject.store);
            let append = Append::new(vec![numbered(&issue("1"), writer)])
                .expect(issue("1"), Expected::Sequence(expected));
            tasks.spawn(async move { store.append(append).await });
        }
        let mut winners = 0;
        for answer in joined(tasks).await {
            match answer {
                Ok(appended) => {
                    winners += 1;
                    assert_eq!(appended.events[0].sequence_number, expected + 1);
                }
                Err(Error::Conflict { conflicts, .. }) => {
                    assert_eq!(conflicts[0].actual, expected + 1);
                }
                Err(other) => panic!("must win or conflict, but gave {other:?}"),
            }
        }
        assert_eq!(winners, 1);
    }
    assert_eq!(ok(subject.head().await).position, 8);
}

/// The events of a call become visible at once: no head lies within a call.
pub async fn calls_become_visible_as_a_whole(places: Places) {
    const CALL_EVENTS: u64 = 3;
    const CALLS: u64 = 25;
    let subject = Subject::new(places).await;
    let other = match subject.store.capabilities().multi_stream {
        true => issue("2"),
        false => issue("1"),
    };
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let store = Arc::clone(&subject.store);
        let other = other.clone();
        tasks.spawn(async move {
            for _ in 0..CALLS {
                let events = vec![event(&issue("1")), event(&other), event(&issue("1"))];
                ok(store.append(Append::new(events)).await);
            }
        });
    }
    let end = 4 * CALLS * CALL_EVENTS;
    let mut head = 0;
    while head < end {
        head = ok(subject.wait_past(head).await);
        assert_eq!(head % CALL_EVENTS, 0, "the head lies within a call");
        let now = ok(subject.head().await).position;
        assert!(
            now >= head && now % CALL_EVENTS == 0,
            "the head lies within a call"
        );
        let page = ok(subject.read_log(LogQuery::after(0).limit(1_000)).await);
        assert!(page.complete_through >= now);
        assert_eq!(page.entries.len() as u64 % CALL_EVENTS, 0);
    }
    joined(tasks).await;
}

/// Writers beside which a reader reads: so many events in all, those of `issue/even` tagged.
fn write_beside(subject: &Subject) -> (JoinSet<()>, u64) {
    let mut tasks = JoinSet::new();
    for writer in 0..4 {
        let store = Arc::clone(&subject.store);
        tasks.spawn(async move {
            for nth in 0..50 {
                let of_writer = |number| match number % 2 {
                    0 => numbered(&issue("even"), number).tag("even"),
                    _ => numbered(&issue("odd"), number),
                };
                let number = writer * 50 + nth;
                let size = number % 3 + 1;
                // One stream a call, so that every store can take it.
                let events = (0..size).map(|_| of_writer(number)).collect();
                ok(store.append(Append::new(events)).await);
            }
        });
    }
    let total = (0..200).map(|number| number % 3 + 1).sum();
    (tasks, total)
}

/// Follows the log with a filter until `total`, checking that no page came too late.
async fn follow(store: Arc<dyn EventStore>, filter: Filter, total: u64) -> Vec<u64> {
    let mut query = LogQuery::after(0).filter(filter).limit(7);
    let mut seen = Vec::new();
    while query.after < total {
        let page = ok(store.read_log(query.clone()).await);
        for entry in page.entries {
            let position = entry.position();
            assert!(position > query.after && position <= page.complete_through);
            assert!(seen.last().is_none_or(|&last| last < position));
            seen.push(position);
        }
        if page.complete_through == query.after {
            ok(store.wait_past(query.after).await);
        }
        query.after = page.complete_through;
    }
    seen
}

/// A reader of the log beside writers never sees N+1 before N and never skips one: what a
/// page was complete through stays so.
pub async fn a_reader_of_the_log_beside_writers_skips_nothing(places: Places) {
    let subject = Subject::new(places).await;
    let (writers, total) = write_beside(&subject);
    let tagged = Filter {
        tags: vec!["even".into()],
        ..Filter::default()
    };
    let mut readers = JoinSet::new();
    for filter in [Filter::default(), tagged.clone()] {
        readers.spawn(follow(Arc::clone(&subject.store), filter, total));
    }
    let mut seen = joined(readers).await;
    joined(writers).await;
    seen.sort_by_key(Vec::len);
    let log = whole_log(&*subject).await;
    let even: Vec<_> = log
        .iter()
        .filter(|event| tagged.admits(event))
        .cloned()
        .collect();
    assert_eq!(seen, [positions(&even), (1..=total).collect()]);
}

/// The same for a stream.
pub async fn a_reader_of_a_stream_beside_writers_skips_nothing(places: Places) {
    let subject = Subject::new(places).await;
    let (writers, total) = write_beside(&subject);
    let mut query = StreamQuery::new(issue("even"));
    query.limit = 5;
    let (mut seen, mut complete_through) = (Vec::new(), 0);
    while complete_through < total {
        let page = ok(subject.read_stream(query.clone()).await);
        let (next, through) = (page.next, page.complete_through);
        let head = page.head.map_or(0, |head| head.sequence_number);
        assert!(through >= complete_through, "a page went back");
        for event in ok(page.into_events()) {
            assert!(
                event.position > complete_through,
                "event {} is late",
                event.position
            );
            assert!(event.sequence_number <= head);
            assert_eq!(event.sequence_number, seen.len() as u64 + 1);
            seen.push(event.sequence_number);
        }
        let goes_on_at = next.unwrap_or(seen.len() as u64 + 1);
        assert_eq!(goes_on_at, seen.len() as u64 + 1);
        query = query.continued(goes_on_at);
        if next.is_none() && through < total {
            ok(subject.wait_past(through).await);
        }
        complete_through = through;
    }
    joined(writers).await;
    let head = some(ok(subject.stream_head(&issue("even")).await));
    assert_eq!(head.sequence_number, seen.len() as u64);
}
