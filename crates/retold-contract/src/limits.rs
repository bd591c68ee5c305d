//! Every limit, at its edge and past it, with the field that the error names.

use retold_core::{
    Append, Error, Expected, Json, JsonError, LogQuery, NewEvent, StreamId, StreamQuery,
    StreamsQuery, limits,
};

use crate::events::{
    assert_invalid, assert_too_large, event, issue, json, json_of_bytes, ok, refused, several,
    some, stream,
};
use crate::{Places, Subject};

/// Appends one event and checks that it is found again as it was given.
async fn assert_kept(subject: &Subject, given: NewEvent) {
    subject.append_one(given.clone()).await;
    let found = some(ok(subject.read_event(given.metadata.event_id).await));
    assert_eq!(found.into_new(), given);
}

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Aggregate types and ids are limited in form and length, also as streams to be read.
pub async fn names_and_ids_are_limited(places: Places) {
    let subject = Subject::new(places).await;
    for (aggregate_type, id) in [
        ("A", "1"),
        ("a.b_c-9", "..."),
        (&long(128), &long(512)),
        ("Issue", &"é".repeat(256)),
    ] {
        assert_kept(&subject, event(&stream(aggregate_type, id))).await;
    }
    for id in ["", ".", ".."] {
        assert_invalid(StreamId::new("Issue", id), "aggregateId");
    }
    assert_invalid(StreamId::new(long(129), "1"), "aggregateType");
    assert_invalid(StreamId::new("", "1"), "aggregateType");
    assert_invalid(StreamId::new("Is sue", "1"), "aggregateType");
    assert_invalid(StreamId::new("Issue", long(513)), "aggregateId");
    let query = StreamsQuery {
        aggregate_type: Some(long(129).into()),
        ..StreamsQuery::default()
    };
    assert_invalid(subject.streams(query).await, "aggregateType");
}

/// An event whose every field is at its limit is kept as it is.
pub async fn each_field_at_its_limit_is_kept(places: Places) {
    let subject = Subject::new(places).await;
    let mut given = event(&stream(&long(128), &long(512)))
        .version(long(128))
        .correlation_id(long(128))
        .causation_id(long(128))
        .actor(long(512));
    given.event_type = long(128).into();
    for nth in 0..limits::TAGS_MAX {
        given = given.tag(format!("{nth:0>128}"));
    }
    assert_kept(&subject, given).await;
}

/// Each field past its limit is refused by its name, and nothing is written.
pub async fn each_field_over_its_limit_is_refused_by_name(places: Places) {
    let subject = Subject::new(places).await;
    let given = || event(&issue("1"));
    let typed = |event_type: String| {
        let mut event = given();
        event.event_type = event_type.into();
        event
    };
    let many_tags = (0..=limits::TAGS_MAX).fold(given(), |event, nth| event.tag(format!("{nth}")));
    for (event, wrong) in [
        (typed(String::new()), "eventType"),
        (typed(long(129)), "eventType"),
        (many_tags, "tags"),
        (given().tag(""), "tags"),
        (given().tag(long(129)), "tags"),
        (given().tag("twice").tag("twice"), "tags"),
        (given().version(""), "metadata.version"),
        (given().version(long(129)), "metadata.version"),
        (given().correlation_id(""), "metadata.correlationId"),
        (given().correlation_id(long(129)), "metadata.correlationId"),
        (given().causation_id(""), "metadata.causationId"),
        (given().causation_id(long(129)), "metadata.causationId"),
        (given().actor(""), "metadata.actor"),
        (given().actor(long(513)), "metadata.actor"),
        (given().extra("actor", json("1")), "metadata.actor"),
    ] {
        assert_invalid(subject.store.append(Append::new(vec![event])).await, wrong);
    }
    assert_eq!(ok(subject.head().await).position, 0);
}

/// Names, ids and tags hold no control characters (U+0000–001F, 007F–009F); payloads may.
pub async fn control_characters_are_refused(places: Places) {
    let subject = Subject::new(places).await;
    for control in ['\0', '\n', '\u{1f}', '\u{7f}', '\u{85}', '\u{9f}'] {
        let text = format!("a{control}b");
        let given = || event(&issue("1"));
        let mut typed = given();
        typed.event_type = text.clone().into();
        for (event, wrong) in [
            (typed, "eventType"),
            (given().tag(text.clone()), "tags"),
            (given().version(text.clone()), "metadata.version"),
            (
                given().correlation_id(text.clone()),
                "metadata.correlationId",
            ),
            (given().causation_id(text.clone()), "metadata.causationId"),
            (given().actor(text.clone()), "metadata.actor"),
            (given().extra(text.clone(), json("1")), "metadata"),
        ] {
            assert_invalid(subject.store.append(Append::new(vec![event])).await, wrong);
        }
        assert_invalid(StreamId::new("Issue", text), "aggregateId");
    }
    for beside in ['\u{20}', '\u{7e}', '\u{a0}'] {
        assert_kept(&subject, event(&issue("1")).tag(format!("a{beside}b"))).await;
    }
    let mut given = event(&issue("1"));
    given.payload = json("[\"\\u0000\\u001f\",\"\u{7f}\u{85}\"]");
    assert_kept(&subject, given).await;
}

/// A payload takes up to 960 KiB.
pub async fn payloads_are_limited_in_size(places: Places) {
    let subject = Subject::new(places).await;
    let mut given = event(&issue("1"));
    given.payload = json_of_bytes(limits::PAYLOAD_BYTES_MAX + 1);
    let refusal = subject.store.append(Append::new(vec![given.clone()])).await;
    assert_too_large(refusal, "payload", limits::PAYLOAD_BYTES_MAX);
    given.payload = json_of_bytes(limits::PAYLOAD_BYTES_MAX);
    assert_kept(&subject, given).await;
}

/// A payload and a metadata value are nested up to 128 deep; a scalar has depth 0, `[]` 1.
pub async fn payloads_are_limited_in_depth(places: Places) {
    let subject = Subject::new(places).await;
    let arrays = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"k":"#.repeat(depth), "}".repeat(depth));
    for nested in [arrays, objects] {
        let deepest = json(&nested(limits::JSON_DEPTH_MAX));
        let mut given = event(&issue("1")).extra("nested", deepest.clone());
        given.payload = deepest;
        assert_kept(&subject, given).await;
        let deeper = Json::parse(nested(limits::JSON_DEPTH_MAX + 1));
        assert_eq!(deeper, Err(JsonError::TooDeep));
    }
}

/// All metadata of an event take up to 32 KiB.
pub async fn metadata_are_limited_in_size(places: Places) {
    let subject = Subject::new(places).await;
    let plain = event(&issue("1"));
    let others = "Issue".len() + "1".len() + plain.event_type.len() + plain.payload.as_str().len();
    let around_name = r#","k":"#.len();
    let room = limits::METADATA_BYTES_MAX - (plain.bytes() - others) - around_name;
    let over = plain.clone().extra("k", json_of_bytes(room + 1));
    let refusal = subject.store.append(Append::new(vec![over])).await;
    assert_too_large(refusal, "metadata", limits::METADATA_BYTES_MAX);
    assert_kept(&subject, plain.extra("k", json_of_bytes(room))).await;
}

/// A call holds 1 to 1,000 events.
pub async fn the_number_of_events_is_limited(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let max = limits::EVENTS_PER_APPEND_MAX as u64;
    assert_invalid(
        subject.store.append(Append::new(Vec::new())).await,
        "events",
    );
    let refusal = subject
        .store
        .append(Append::new(several(&stream, max + 1)))
        .await;
    assert_too_large(refusal, "events", limits::EVENTS_PER_APPEND_MAX);
    assert_eq!(ok(subject.head().await).position, 0);
    let recorded = subject.append(several(&stream, max)).await;
    assert_eq!(recorded.last().map(|event| event.position), Some(max));
}

/// A call holds up to 1,000 conditions.
pub async fn the_number_of_conditions_is_limited(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let mut append = Append::new(vec![event(&stream)]);
    for _ in 0..limits::CONDITIONS_PER_APPEND_MAX {
        append = append.expect(stream.clone(), Expected::NoStream);
    }
    let over = append.clone().expect(stream.clone(), Expected::NoStream);
    let refusal = subject.store.append(over).await;
    assert_too_large(refusal, "checks", limits::CONDITIONS_PER_APPEND_MAX);
    ok(subject.store.append(append).await);
}

/// A call takes up to 8 MiB.
pub async fn the_bytes_of_a_call_are_limited(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let fill = |over: usize| {
        let mut events: Vec<NewEvent> = (0..9).map(|_| event(&stream)).collect();
        let empty: usize = events.iter().map(NewEvent::bytes).sum();
        let room = limits::APPEND_BYTES_MAX - empty + over + events.len() * "{}".len();
        let (each, rest) = (room / events.len(), room % events.len());
        for (nth, event) in events.iter_mut().enumerate() {
            event.payload = json_of_bytes(each + if nth == 0 { rest } else { 0 });
        }
        Append::new(events)
    };
    let refusal = subject.store.append(fill(1)).await;
    assert_too_large(refusal, "body", limits::APPEND_BYTES_MAX);
    assert_eq!(ok(subject.head().await).position, 0);
    let recorded = ok(subject.store.append(fill(0)).await).events;
    let found = ok(subject.read_stream(StreamQuery::new(stream.clone())).await);
    assert_eq!(ok(found.into_events()), recorded);
}

/// A page holds at least one entry.
pub async fn a_page_of_nothing_is_refused(places: Places) {
    let subject = Subject::new(places).await;
    let mut of_stream = StreamQuery::new(issue("1"));
    of_stream.limit = 0;
    assert_invalid(subject.read_stream(of_stream).await, "limit");
    assert_invalid(subject.read_log(LogQuery::after(0).limit(0)).await, "limit");
    let streams = StreamsQuery {
        limit: 0,
        ..StreamsQuery::default()
    };
    let error = refused(subject.streams(streams).await);
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
}
