//! Small helpers to make events and to say what an answer must be.

use std::fmt::Debug;

use retold_core::{Error, Json, NewEvent, RecordedEvent, StreamId, Timestamp};

/// The value of what must succeed.
#[track_caller]
pub(crate) fn ok<T, E: Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("must succeed, but failed with {error:?}"),
    }
}

/// The value of what must be there.
#[track_caller]
pub(crate) fn some<T>(value: Option<T>) -> T {
    match value {
        Some(value) => value,
        None => panic!("must be there, but is not"),
    }
}

/// The error of what must fail.
#[track_caller]
pub(crate) fn refused<T: Debug>(result: Result<T, Error>) -> Error {
    match result {
        Ok(value) => panic!("must be refused, but gave {value:?}"),
        Err(error) => error,
    }
}

/// Checks that a call was refused as invalid, for this field.
#[track_caller]
pub(crate) fn assert_invalid<T: Debug>(result: Result<T, Error>, wrong: &str) {
    match refused(result) {
        Error::Invalid { field, .. } => assert_eq!(field, wrong),
        other => panic!("{wrong} must be invalid, but gave {other:?}"),
    }
}

/// Checks that a call was refused as too large, with this limit.
#[track_caller]
pub(crate) fn assert_too_large<T: Debug>(result: Result<T, Error>, wrong: &str, limit: usize) {
    match refused(result) {
        Error::TooLarge { field, max, actual } => {
            assert_eq!((field.as_str(), max), (wrong, limit));
            assert!(actual > max, "{actual} is not over {max}");
        }
        other => panic!("{wrong} must be too large, but gave {other:?}"),
    }
}

/// Checks that a call was refused because nothing can be written now.
#[track_caller]
pub(crate) fn assert_busy<T: Debug>(result: Result<T, Error>) {
    let error = refused(result);
    assert!(matches!(error, Error::Busy { .. }), "not busy: {error:?}");
}

/// A stream of issues.
pub(crate) fn issue(id: &str) -> StreamId {
    stream("Issue", id)
}

/// A stream of any type.
pub(crate) fn stream(aggregate_type: &str, id: &str) -> StreamId {
    ok(StreamId::new(aggregate_type, id))
}

/// JSON that is known to be valid.
pub(crate) fn json(text: &str) -> Json {
    ok(Json::parse(text))
}

/// An event without facts.
pub(crate) fn event(stream: &StreamId) -> NewEvent {
    NewEvent::from_json(stream.clone(), "issue.commented", json("{}"))
}

/// An event that can be told from others by its payload.
pub(crate) fn numbered(stream: &StreamId, number: u64) -> NewEvent {
    NewEvent::from_json(
        stream.clone(),
        "issue.commented",
        json(&format!(r#"{{"number":{number}}}"#)),
    )
}

/// So many numbered events of one stream.
pub(crate) fn several(stream: &StreamId, count: u64) -> Vec<NewEvent> {
    (1..=count).map(|nth| numbered(stream, nth)).collect()
}

/// The instant that many seconds after 1970.
pub(crate) fn at(seconds: i64) -> Timestamp {
    ok(Timestamp::from_micros(seconds * 1_000_000))
}

/// A JSON string that takes exactly so many bytes.
pub(crate) fn json_of_bytes(bytes: usize) -> Json {
    json(&format!("\"{}\"", "x".repeat(bytes - "\"\"".len())))
}

/// The sequence numbers of events.
pub(crate) fn sequences(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.sequence_number).collect()
}

/// The positions of events.
pub(crate) fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}
