//! What a writer may expect of streams, and how it learns that it is not so.

use retold_core::{Append, Error, Expected, StreamConflict, StreamId};

use crate::events::{event, issue, ok, refused, several, stream};
use crate::{Places, Subject};

fn conflict(stream: &StreamId, expected: Expected, actual: u64) -> StreamConflict {
    StreamConflict {
        stream: stream.clone(),
        expected,
        actual,
    }
}

/// Each expectation lets an append through when it holds; `Sequence(0)` is `NoStream`.
pub async fn each_expectation_holds_when_it_should(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let mut sequence_number = 0;
    for expected in [
        Expected::NoStream,
        Expected::StreamExists,
        Expected::Sequence(2),
        Expected::Any,
    ] {
        let append = Append::new(vec![event(&stream)]).expect(stream.clone(), expected);
        let appended = ok(subject.store.append(append).await);
        sequence_number += 1;
        assert_eq!(appended.events[0].sequence_number, sequence_number);
    }
    for (id, expected) in [("2", Expected::Sequence(0)), ("3", Expected::Any)] {
        let append = Append::new(vec![event(&issue(id))]).expect(issue(id), expected);
        assert!(ok(subject.store.append(append).await).is_new);
    }
}

/// Each expectation that does not hold is a conflict that tells the actual sequence number
/// and the ids of the events that were not written.
pub async fn each_failing_expectation_is_a_conflict(places: Places) {
    let subject = Subject::new(places).await;
    let (known, unknown) = (issue("1"), issue("2"));
    subject.append(several(&known, 2)).await;
    for (stream, expected, actual) in [
        (&known, Expected::NoStream, 2),
        (&known, Expected::Sequence(0), 2),
        (&known, Expected::Sequence(1), 2),
        (&known, Expected::Sequence(3), 2),
        (&unknown, Expected::StreamExists, 0),
        (&unknown, Expected::Sequence(1), 0),
    ] {
        let given = event(stream);
        let event_id = given.metadata.event_id;
        let append = Append::new(vec![given]).expect(stream.clone(), expected);
        match refused(subject.store.append(append).await) {
            Error::Conflict {
                conflicts,
                event_ids,
            } => {
                assert_eq!(conflicts, [conflict(stream, expected, actual)]);
                assert_eq!(event_ids, [event_id]);
            }
            other => panic!("must be a conflict, but gave {other:?}"),
        }
    }
}

/// All checks that fail are reported together, in the order of the call.
pub async fn all_failing_checks_are_reported_together(places: Places) {
    let subject = Subject::new(places).await;
    let (one, two) = (issue("1"), issue("2"));
    subject.append(several(&one, 3)).await;
    let mut append = Append::new(vec![event(&one)])
        .expect(one.clone(), Expected::Sequence(2))
        .expect(one.clone(), Expected::Sequence(3))
        .expect(one.clone(), Expected::NoStream);
    let mut expected = vec![
        conflict(&one, Expected::Sequence(2), 3),
        conflict(&one, Expected::NoStream, 3),
    ];
    if subject.store.capabilities().conditions {
        append = append.expect(two.clone(), Expected::StreamExists);
        expected.push(conflict(&two, Expected::StreamExists, 0));
    }
    match refused(subject.store.append(append).await) {
        Error::Conflict { conflicts, .. } => assert_eq!(conflicts, expected),
        other => panic!("must be a conflict, but gave {other:?}"),
    }
}

/// A stream may be checked without being written.
pub async fn a_stream_is_checked_without_being_written(places: Places) {
    let subject = Subject::new(places).await;
    let (one, two) = (issue("1"), stream("Order", "1"));
    let with = |expected| Append::new(vec![event(&one)]).expect(two.clone(), expected);
    if !subject.store.capabilities().conditions {
        let error = refused(subject.store.append(with(Expected::NoStream)).await);
        assert!(matches!(error, Error::Unsupported { .. }));
        return;
    }
    ok(subject.store.append(with(Expected::NoStream)).await);
    assert_eq!(ok(subject.stream_head(&two).await), None);
    refused(subject.store.append(with(Expected::StreamExists)).await);
    subject.append(several(&two, 2)).await;
    ok(subject.store.append(with(Expected::Sequence(2))).await);
    refused(subject.store.append(with(Expected::NoStream)).await);
    let head = ok(subject.stream_head(&two).await).map(|head| head.sequence_number);
    assert_eq!(head, Some(2));
}

/// Conditions are checked against the state before the call, whatever it appends.
pub async fn conditions_are_checked_against_the_state_before_the_call(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let append = Append::new(several(&stream, 3)).expect(stream.clone(), Expected::NoStream);
    ok(subject.store.append(append).await);
    let append = Append::new(several(&stream, 3))
        .expect(stream.clone(), Expected::Sequence(3))
        .expect(stream.clone(), Expected::StreamExists);
    ok(subject.store.append(append).await);
    let append = Append::new(several(&stream, 1)).expect(stream.clone(), Expected::Sequence(7));
    refused(subject.store.append(append).await);
}

/// One failing condition among many that hold writes nothing.
pub async fn a_failed_condition_writes_nothing(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    subject.append(several(&stream, 1)).await;
    let mut append = Append::new(several(&stream, 5));
    for _ in 0..20 {
        append = append.expect(stream.clone(), Expected::Sequence(1));
    }
    refused(
        subject
            .store
            .append(append.expect(stream.clone(), Expected::Sequence(2)))
            .await,
    );
    assert_eq!(ok(subject.head().await).position, 1);
    let head = ok(subject.stream_head(&stream).await).map(|head| head.sequence_number);
    assert_eq!(head, Some(1));
}
