//! Listing streams: by type, by prefix, in order, in pages.

use retold_core::{Append, EventStore, StreamsQuery};

use crate::events::{event, ok, several, stream};
use crate::pages::listed_streams;
use crate::{Places, Subject};

/// In the order that they are listed in: by type, then by the UTF-8 bytes of the id.
const STREAMS: [(&str, &str); 12] = [
    ("Issue", "1"),
    ("Issue", "10"),
    ("Issue", "2"),
    ("Issue", "A"),
    ("Issue", "a"),
    ("Issue", "a/b"),
    ("Issue", "ab"),
    ("Issue", "\u{e9}"),
    ("Issue", "\u{e9}a"),
    ("Issue", "\u{1F980}"),
    ("Order", "1"),
    ("issue", "1"),
];

async fn listed_store(places: Places) -> Subject {
    let subject = Subject::new(places).await;
    // Appended in another order than they are listed in.
    for nth in 0..STREAMS.len() {
        let (aggregate_type, id) = STREAMS[nth * 5 % STREAMS.len()];
        subject.append_one(event(&stream(aggregate_type, id))).await;
    }
    subject
}

/// The streams that a query lists, the same in pages of every size.
async fn listed(store: &dyn EventStore, query: &StreamsQuery) -> Vec<(String, String)> {
    let mut results = Vec::new();
    for limit in [100, 1, 2, 5] {
        let query = StreamsQuery {
            limit,
            ..query.clone()
        };
        let names = listed_streams(store, query)
            .await
            .into_iter()
            .map(|listed| {
                let (aggregate_type, id) =
                    (listed.stream.aggregate_type(), listed.stream.aggregate_id());
                (aggregate_type.to_string(), id.to_string())
            });
        results.push(names.collect::<Vec<_>>());
    }
    assert!(
        results.windows(2).all(|pair| pair[0] == pair[1]),
        "{results:?}"
    );
    results.swap_remove(0)
}

fn names(names: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| (a.to_string(), b.to_string());
    names.iter().map(owned).collect()
}

/// Streams are listed by type, then by the UTF-8 bytes of their id.
pub async fn streams_are_listed_in_order(places: Places) {
    let subject = Subject::new(places).await;
    assert_eq!(listed(&*subject, &StreamsQuery::default()).await, []);
    let subject = listed_store(places).await;
    assert_eq!(
        listed(&*subject, &StreamsQuery::default()).await,
        names(&STREAMS)
    );
}

/// A type and a prefix of the id select, exactly.
pub async fn a_type_and_a_prefix_select(places: Places) {
    let subject = listed_store(places).await;
    for (aggregate_type, prefix, expected) in [
        (Some("Issue"), "", &STREAMS[..10]),
        (Some("Order"), "", &STREAMS[10..11]),
        (Some("Unknown"), "", &[]),
        (Some("Issue"), "1", &STREAMS[..2]),
        (Some("Issue"), "a", &STREAMS[4..7]),
        (Some("Issue"), "\u{e9}", &STREAMS[7..9]),
        (Some("Issue"), "\u{1F980}", &STREAMS[9..10]),
        (Some("Issue"), "zz", &[]),
        (
            None,
            "1",
            &[STREAMS[0], STREAMS[1], STREAMS[10], STREAMS[11]],
        ),
    ] {
        let query = StreamsQuery {
            aggregate_type: aggregate_type.map(Into::into),
            prefix: prefix.into(),
            ..StreamsQuery::default()
        };
        assert_eq!(listed(&*subject, &query).await, names(expected));
    }
}

/// A page goes on behind a stream, whether that stream exists or not.
pub async fn pages_go_on_behind_a_stream(places: Places) {
    let subject = listed_store(places).await;
    for (after, expected) in [
        (stream("Issue", "1"), &STREAMS[1..]),
        (stream("Issue", "11"), &STREAMS[2..]),
        (stream("A", "z"), &STREAMS),
        (stream("Issue", "\u{10ffff}"), &STREAMS[10..]),
        (stream("issue", "1"), &[]),
        (stream("z", "z"), &[]),
    ] {
        let query = StreamsQuery {
            after: Some(after),
            ..StreamsQuery::default()
        };
        assert_eq!(listed(&*subject, &query).await, names(expected));
    }
    let query = StreamsQuery {
        aggregate_type: Some("Order".into()),
        after: Some(stream("Issue", "2")),
        ..StreamsQuery::default()
    };
    assert_eq!(listed(&*subject, &query).await, names(&STREAMS[10..11]));
}

/// Reserved streams are left out unless asked for, in general or by the name of their type.
pub async fn reserved_streams_are_left_out_unless_asked(places: Places) {
    let subject = Subject::new(places).await;
    subject.append_one(event(&stream("Issue", "1"))).await;
    let append = Append::new(vec![event(&stream("$machine", "Issue"))]).by_retold();
    ok(subject.store.append(append).await);
    let mut query = StreamsQuery::default();
    assert_eq!(listed(&*subject, &query).await, names(&[("Issue", "1")]));
    query.include_reserved = true;
    let both = names(&[("$machine", "Issue"), ("Issue", "1")]);
    assert_eq!(listed(&*subject, &query).await, both);
    query.include_reserved = false;
    query.aggregate_type = Some("$machine".into());
    assert_eq!(
        listed(&*subject, &query).await,
        names(&[("$machine", "Issue")])
    );
}

/// Each stream is listed with its newest event.
pub async fn each_stream_comes_with_its_head(places: Places) {
    let subject = listed_store(places).await;
    for (aggregate_type, id) in STREAMS.into_iter().step_by(3) {
        subject
            .append(several(&stream(aggregate_type, id), 4))
            .await;
    }
    for listed in listed_streams(&*subject, StreamsQuery::default()).await {
        let head = ok(subject.stream_head(&listed.stream).await);
        assert_eq!(Some(listed.head), head);
    }
}
