//! Addresses of pages. Every part that comes from an id is percent-encoded, so that any id is one
//! segment of a path or one value of a query.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use retold::{EventId, SequenceNumber, StreamId};

/// What is encoded: everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, ENCODED)
}

/// The page of a stream, at its newest event.
pub(super) fn stream(stream: &StreamId) -> String {
    format!("/streams/{}", segments(stream))
}

/// The page of a stream at one of its events.
pub(super) fn moment(stream: &StreamId, at: SequenceNumber) -> String {
    format!("/streams/{}?at={at}", segments(stream))
}

/// Where the API takes transitions of a stream.
pub(super) fn transitions(stream: &StreamId) -> String {
    format!("/v1/streams/{}/transitions", segments(stream))
}

fn segments(stream: &StreamId) -> String {
    let (aggregate_type, aggregate_id) = (stream.aggregate_type(), stream.aggregate_id());
    format!("{}/{}", encode(aggregate_type), encode(aggregate_id))
}

/// An event as the API gives it.
pub(super) fn event_json(event_id: EventId) -> String {
    format!("/v1/events/{event_id}")
}

/// The page of a correlation.
pub(super) fn correlation(correlation_id: &str) -> String {
    format!("/correlations/{}", encode(correlation_id))
}

/// The page of a trace.
pub(super) fn trace(correlation_id: &str) -> String {
    format!("/traces/{}", encode(correlation_id))
}

/// The page of a process.
pub(super) fn process(aggregate_type: &str) -> String {
    format!("/processes/{}", encode(aggregate_type))
}

/// The streams that took a way of a process, behind `after`.
pub(super) fn process_streams(
    aggregate_type: &str,
    from: Option<&str>,
    to: &str,
    after: Option<&str>,
) -> String {
    let address = format!("{}/streams", process(aggregate_type));
    with_query(
        address,
        [("from", from), ("to", Some(to)), ("after", after)],
    )
}

/// The page of a consumer.
pub(super) fn consumer(name: &str) -> String {
    format!("/consumers/{}", encode(name))
}

/// Where the API takes what is decided about a consumer.
pub(super) fn consumer_call(name: &str, what: &str) -> String {
    format!("/v1/consumers/{}/{what}", encode(name))
}

/// The page of an event.
pub(super) fn event(event_id: EventId) -> String {
    format!("/events/{event_id}")
}

/// The list of streams with its filters, behind `after`.
pub(super) fn streams(
    aggregate_type: Option<&str>,
    prefix: &str,
    after: Option<&StreamId>,
) -> String {
    let parts = [
        ("type", aggregate_type),
        ("prefix", Some(prefix).filter(|prefix| !prefix.is_empty())),
        ("afterType", after.map(|after| &**after.aggregate_type())),
        ("after", after.map(|after| &**after.aggregate_id())),
    ];
    with_query(String::from("/"), parts)
}

/// The streams in the order in which they were last written, behind `after`.
pub(super) fn streams_written(
    aggregate_type: Option<&str>,
    status: Option<&str>,
    after: Option<&str>,
) -> String {
    let parts = [
        ("type", aggregate_type),
        ("status", status),
        ("sort", Some("written")),
        ("after", after),
    ];
    with_query(String::from("/"), parts)
}

/// An address with those parameters that are given.
fn with_query<'a>(
    mut address: String,
    parts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
) -> String {
    let given = parts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    for (nth, (name, value)) in given.enumerate() {
        let mark = if nth == 0 { '?' } else { '&' };
        write!(address, "{mark}{name}={}", encode(value)).expect("a String takes any text");
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment_whatever_it_holds() {
        for (id, encoded) in [
            ("42", "42"),
            ("a/b", "a%2Fb"),
            ("a%2Fb", "a%252Fb"),
            ("%2e%2e", "%252e%252e"),
            ("\"'<>&", "%22%27%3C%3E%26"),
            ("?#", "%3F%23"),
            ("\u{1F980}", "%F0%9F%A6%80"),
        ] {
            let id = StreamId::new("$machine", id).unwrap();
            assert_eq!(stream(&id), format!("/streams/%24machine/{encoded}"));
        }
    }

    #[test]
    fn filters_that_are_not_given_leave_no_trace() {
        assert_eq!(streams(None, "", None), "/");
        assert_eq!(streams(Some("Issue"), "", None), "/?type=Issue");
        let after = StreamId::new("Issue", "a&b").unwrap();
        assert_eq!(
            streams(None, "a", Some(&after)),
            "/?prefix=a&afterType=Issue&after=a%26b"
        );
    }
}
