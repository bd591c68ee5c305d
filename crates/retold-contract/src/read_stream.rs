//! Reading one stream: forward and backward, by ranges, in pages.

use retold_core::{Append, Direction, EventStore, LogQuery, RecordedEvent, StreamQuery, limits};

use crate::events::{
    at, event, issue, json_of_bytes, ok, positions, sequences, several, some, stream,
};
use crate::pages::stream_events;
use crate::{Places, Subject};

/// A stream of ten events between those of another; its event n stands at position 2n.
/// Timestamps run 10, 20, … seconds, except that the sixth is dated 25.
async fn ten_events(places: Places) -> (Subject, Vec<RecordedEvent>) {
    let subject = Subject::new(places).await;
    let mut events = Vec::new();
    for nth in 1..=10 {
        subject.append_one(event(&issue("other"))).await;
        let seconds = if nth == 6 { 25 } else { nth * 10 };
        let mut given = event(&issue("1")).timestamp(at(seconds));
        if nth % 3 == 0 {
            given.event_type = "issue.closed".into();
        }
        events.push(subject.append_one(given).await);
    }
    (subject, events)
}

/// The sequence numbers that a query finds forward, the same in pages of every size, and
/// backward.
async fn found(store: &dyn EventStore, query: &StreamQuery) -> Vec<u64> {
    let mut query = query.clone();
    let found = sequences(&stream_events(store, query.clone()).await);
    for limit in [1, 2, 3, 7] {
        query.limit = limit;
        query.direction = Direction::Forward;
        assert_eq!(sequences(&stream_events(store, query.clone()).await), found);
        query.direction = Direction::Backward;
        let mut backward = sequences(&stream_events(store, query.clone()).await);
        backward.reverse();
        assert_eq!(backward, found);
    }
    found
}

/// Forward pages follow one another from the oldest event to the newest.
pub async fn pages_run_forward(places: Places) {
    let (subject, events) = ten_events(places).await;
    for limit in 1..=11 {
        let mut query = StreamQuery::new(issue("1"));
        query.limit = limit;
        let page = ok(subject.read_stream(query.clone()).await);
        assert_eq!(
            page.entries.len(),
            limit.min(10),
            "a page is filled while it can be"
        );
        assert_eq!(stream_events(&*subject, query).await, events);
    }
}

/// Backward pages follow one another from the newest event to the oldest.
pub async fn pages_run_backward(places: Places) {
    let (subject, mut events) = ten_events(places).await;
    events.reverse();
    for limit in 1..=11 {
        let mut query = StreamQuery::new(issue("1"));
        query.limit = limit;
        query.direction = Direction::Backward;
        let page = ok(subject.read_stream(query.clone()).await);
        assert_eq!(
            page.entries.len(),
            limit.min(10),
            "a page is filled while it can be"
        );
        assert_eq!(stream_events(&*subject, query).await, events);
    }
}

/// Sequence numbers bound a read at both ends, inclusively; past the stream there is nothing.
pub async fn sequence_ranges_are_inclusive(places: Places) {
    let (subject, _) = ten_events(places).await;
    for (from, to, expected) in [
        (0, u64::MAX, 1..11),
        (3, 5, 3..6),
        (3, 3, 3..4),
        (9, 20, 9..11),
        (5, 4, 0..0),
        (11, u64::MAX, 0..0),
        (u64::MAX, u64::MAX, 0..0),
        (0, 0, 0..0),
    ] {
        let mut query = StreamQuery::new(issue("1"));
        (query.from_sequence, query.to_sequence) = (from, to);
        assert_eq!(found(&*subject, &query).await, expected.collect::<Vec<_>>());
    }
}

/// Timestamps bound a read at both ends, inclusively, event by event.
pub async fn timestamp_ranges_are_inclusive(places: Places) {
    let (subject, _) = ten_events(places).await;
    for (from, to, expected) in [
        (Some(20), Some(40), &[2, 3, 4, 6][..]),
        (Some(25), Some(25), &[6]),
        (Some(81), None, &[9, 10]),
        (None, Some(19), &[1]),
        (Some(101), None, &[]),
        (None, Some(-1), &[]),
        (Some(50), Some(20), &[]),
    ] {
        let mut query = StreamQuery::new(issue("1"));
        (query.from_timestamp, query.to_timestamp) = (from.map(at), to.map(at));
        assert_eq!(found(&*subject, &query).await, expected);
    }
}

/// Events of one type are read alone.
pub async fn one_event_type_is_read(places: Places) {
    let (subject, _) = ten_events(places).await;
    let mut query = StreamQuery::new(issue("1"));
    query.event_type = Some("issue.closed".into());
    assert_eq!(found(&*subject, &query).await, [3, 6, 9]);
    (query.from_sequence, query.to_sequence) = (4, 8);
    assert_eq!(found(&*subject, &query).await, [6]);
    query.event_type = Some("issue".into());
    assert_eq!(found(&*subject, &query).await, [0; 0]);
}

/// Positions bound a read: behind the one, through the other.
pub async fn positions_bound_a_stream(places: Places) {
    let (subject, _) = ten_events(places).await;
    for (after, through, expected) in [
        (0, u64::MAX, 1..11),
        (4, 8, 3..5),
        (3, 9, 2..5),
        (0, 1, 0..0),
        (20, u64::MAX, 0..0),
        (99, u64::MAX, 0..0),
        (0, 99, 1..11),
    ] {
        let mut query = StreamQuery::new(issue("1"));
        (query.after_position, query.through_position) = (after, through);
        assert_eq!(found(&*subject, &query).await, expected.collect::<Vec<_>>());
    }
}

/// `from` is the lower bound and `to` the upper one, whichever way the stream is read.
pub async fn bounds_do_not_turn_with_the_direction(places: Places) {
    let (subject, _) = ten_events(places).await;
    let mut query = StreamQuery::new(issue("1"));
    query.direction = Direction::Backward;
    (query.from_sequence, query.to_sequence) = (3, 6);
    (query.from_timestamp, query.to_timestamp) = (Some(at(25)), Some(at(45)));
    assert_eq!(sequences(&stream_events(&*subject, query).await), [6, 4, 3]);
}

/// An unknown stream has no events, no head and no next page; the page is complete through
/// the head of the log.
pub async fn an_unknown_stream_is_empty(places: Places) {
    let subject = Subject::new(places).await;
    for head in [0, 2] {
        for direction in [Direction::Forward, Direction::Backward] {
            let mut query = StreamQuery::new(issue("unknown"));
            query.direction = direction;
            let page = ok(subject.read_stream(query).await);
            assert!(page.entries.is_empty());
            assert_eq!(
                (page.next, page.head, page.complete_through),
                (None, None, head)
            );
        }
        assert_eq!(ok(subject.stream_head(&issue("unknown")).await), None);
        subject.append(several(&issue("1"), 2)).await;
    }
}

/// A page tells the newest event of the stream, whatever was asked for.
pub async fn a_page_tells_the_head_of_the_stream(places: Places) {
    let (subject, events) = ten_events(places).await;
    let mut query = StreamQuery::new(issue("1"));
    query.event_type = Some("nothing".into());
    query.to_sequence = 2;
    let page = ok(subject.read_stream(query).await);
    let head = some(page.head);
    assert_eq!(
        (head.sequence_number, head.position),
        (10, events[9].position)
    );
    assert_eq!(ok(subject.stream_head(&issue("1")).await), Some(head));
}

/// At its end a forward read is complete through the head of the log, or through the bound
/// asked for; before, through a place that nothing comes behind later.
pub async fn a_page_says_through_where_it_is_complete(places: Places) {
    let (subject, _) = ten_events(places).await;
    subject.append(several(&issue("other"), 5)).await;
    let mut query = StreamQuery::new(issue("1"));
    let page = ok(subject.read_stream(query.clone()).await);
    assert_eq!((page.next, page.complete_through), (None, 25));
    query.to_sequence = 4;
    let page = ok(subject.read_stream(query.clone()).await);
    assert_eq!((page.next, page.complete_through), (None, 25));
    query.through_position = 7;
    let page = ok(subject.read_stream(query.clone()).await);
    assert_eq!((page.next, page.complete_through), (None, 7));
    query = StreamQuery::new(issue("1"));
    query.limit = 3;
    let page = ok(subject.read_stream(query.clone()).await);
    assert!(
        (6..8).contains(&page.complete_through),
        "{}",
        page.complete_through
    );
    assert_eq!(page.next, Some(4));
    query.direction = Direction::Backward;
    let page = ok(subject.read_stream(query).await);
    assert_eq!((page.next, page.complete_through), (Some(7), 25));
}

/// A page holds a bounded number of bytes, however many entries were asked for.
pub async fn the_bytes_of_a_page_are_bounded(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let count = (limits::PAGE_BYTES_MAX / limits::PAYLOAD_BYTES_MAX + 2) as u64;
    for _ in 0..count {
        let mut given = event(&stream);
        given.payload = json_of_bytes(limits::PAYLOAD_BYTES_MAX);
        subject.append_one(given).await;
    }
    for direction in [Direction::Forward, Direction::Backward] {
        let mut query = StreamQuery::new(stream.clone());
        query.direction = direction;
        let page = ok(subject.read_stream(query.clone()).await);
        assert!(page.next.is_some() && page.entries.len() > 1);
        let events = stream_events(&*subject, query).await;
        assert_eq!(events.len() as u64, count);
    }
}

/// Reading a reserved stream by its name needs no asking.
pub async fn a_reserved_stream_is_read_by_its_name(places: Places) {
    let subject = Subject::new(places).await;
    let machine = stream("$machine", "Issue");
    let append = Append::new(several(&machine, 3)).by_retold();
    let recorded = ok(subject.store.append(append).await).events;
    let events = stream_events(&*subject, StreamQuery::new(machine.clone())).await;
    assert_eq!(events, recorded);
    let head = some(ok(subject.stream_head(&machine).await));
    assert_eq!(head.sequence_number, 3);
    let page = ok(subject.read_log(LogQuery::after(0)).await);
    assert_eq!(
        positions(&ok(page
            .entries
            .into_iter()
            .map(|e| e.into_event())
            .collect::<Result<Vec<_>, _>>())),
        [0; 0]
    );
}
