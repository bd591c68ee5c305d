//! What an append does, and that an event comes back as it went in.

use std::pin::pin;
use std::task::{Context, Waker};

use retold_core::{Append, Expected, LogQuery, NewEvent, StreamQuery, StreamsQuery};

use crate::events::{
    assert_invalid, event, issue, json, numbered, ok, positions, refused, sequences, several, some,
    stream,
};
use crate::pages::whole_log;
use crate::{Places, Subject};

/// Positions and the sequence numbers of each stream are 1, 2, 3, … without holes.
pub async fn positions_and_sequence_numbers_have_no_holes(places: Places) {
    let subject = Subject::new(places).await;
    let (one, two) = (issue("1"), issue("2"));
    let first = subject.append(several(&one, 3)).await;
    assert_eq!(
        (positions(&first), sequences(&first)),
        (vec![1, 2, 3], vec![1, 2, 3])
    );
    let second = subject.append(several(&two, 2)).await;
    assert_eq!(
        (positions(&second), sequences(&second)),
        (vec![4, 5], vec![1, 2])
    );
    let third = subject.append_one(event(&one)).await;
    assert_eq!((third.position, third.sequence_number), (6, 4));
    // The same id under another type is another stream.
    let fourth = subject.append_one(event(&stream("Order", "1"))).await;
    assert_eq!((fourth.position, fourth.sequence_number), (7, 1));
    assert_eq!(
        positions(&whole_log(&*subject).await),
        [1, 2, 3, 4, 5, 6, 7]
    );
}

/// A refused append uses up no position, no sequence number and no event id.
pub async fn a_refused_append_uses_up_nothing(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let known = subject.append_one(numbered(&stream, 1)).await;
    let head = ok(subject.head().await);
    let new = numbered(&stream, 2);

    let conflicting = Append::new(vec![new.clone()]).expect(stream.clone(), Expected::NoStream);
    refused(subject.store.append(conflicting).await);
    let invalid = Append::new(vec![new.clone(), event(&stream).tag("")]);
    assert_invalid(subject.store.append(invalid).await, "tags");
    let taken = numbered(&stream, 3).event_id(known.metadata.event_id);
    refused(
        subject
            .store
            .append(Append::new(vec![new.clone(), taken]))
            .await,
    );

    assert_eq!(ok(subject.head().await), head);
    assert_eq!(ok(subject.read_event(new.metadata.event_id).await), None);
    let recorded = subject.append_one(new).await;
    assert_eq!((recorded.position, recorded.sequence_number), (2, 2));
}

/// The answer holds the events as every read finds them, in the order of the call.
pub async fn the_answer_is_what_every_read_finds(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let happened = ok("2024-01-31T12:00:00.000001Z".parse());
    let full = NewEvent::from_json(stream.clone(), "issue.opened", json(r#"{"title":"x"}"#))
        .tag("urgent")
        .tag("backend")
        .version("2.1.0")
        .timestamp(happened)
        .correlation_id("request-7")
        .causation_id("command-3")
        .actor("user-123")
        .extra("traceparent", json(r#""00-ab-cd-01""#));
    let given = vec![full, event(&stream)];
    let recorded = subject.append(given.clone()).await;
    for (given, recorded) in given.iter().zip(&recorded) {
        assert_eq!(recorded.clone().into_new(), *given);
        let event_id = given.metadata.event_id;
        assert_eq!(
            ok(subject.read_event(event_id).await).as_ref(),
            Some(recorded)
        );
    }
    let page = ok(subject.read_stream(StreamQuery::new(stream)).await);
    assert_eq!(ok(page.into_events()), recorded);
    assert_eq!(whole_log(&*subject).await, recorded);
}

/// A read sees every event whose append was acknowledged before the read began.
pub async fn an_acknowledged_event_is_seen_at_once(places: Places) {
    let subject = Subject::new(places).await;
    for nth in 1..=20 {
        let stream = issue(&format!("{:02}", nth % 7));
        let recorded = subject.append_one(event(&stream)).await;
        let event_id = recorded.metadata.event_id;
        assert_eq!(
            ok(subject.read_event(event_id).await).as_ref(),
            Some(&recorded)
        );
        assert_eq!(ok(subject.head().await).position, nth);
        let head = some(ok(subject.stream_head(&stream).await));
        let place = (recorded.sequence_number, recorded.position);
        assert_eq!((head.sequence_number, head.position), place);
        let page = ok(subject.read_stream(StreamQuery::new(stream.clone())).await);
        assert_eq!(ok(page.into_events()).last(), Some(&recorded));
        let page = ok(subject.read_log(LogQuery::after(nth - 1)).await);
        assert_eq!(page.entries.len(), 1);
        let page = ok(subject.streams(StreamsQuery::default()).await);
        let listed = page
            .streams
            .into_iter()
            .find(|listed| listed.stream == stream);
        assert_eq!(some(listed).head, head);
        assert_eq!(ok(subject.wait_past(nth - 1).await), nth);
    }
}

/// One call may write several streams: all of it or nothing.
pub async fn several_streams_are_written_all_or_nothing(places: Places) {
    let subject = Subject::new(places).await;
    let (one, two) = (issue("1"), issue("2"));
    let events = vec![event(&one), event(&two), event(&one), event(&two)];
    if !subject.store.capabilities().multi_stream {
        let error = refused(subject.store.append(Append::new(events)).await);
        assert!(matches!(error, retold_core::Error::Unsupported { .. }));
        return;
    }
    let refused_call = Append::new(events.clone())
        .expect(one.clone(), Expected::NoStream)
        .expect(two.clone(), Expected::StreamExists);
    refused(subject.store.append(refused_call).await);
    assert_eq!(ok(subject.head().await).position, 0);
    assert_eq!(ok(subject.stream_head(&one).await), None);
    let recorded = subject.append(events).await;
    assert_eq!(positions(&recorded), [1, 2, 3, 4]);
    assert_eq!(sequences(&recorded), [1, 1, 2, 2]);
}

/// A payload comes back byte for byte: order and repetition of keys, escapes, the spelling
/// of numbers.
pub async fn payload_bytes_are_kept(places: Places) {
    let subject = Subject::new(places).await;
    for payload in [
        r#"{"b":1,"a":2,"b":3}"#,
        "1e400",
        "-0.0",
        "[1.50,1.5,15e-1,100000000000000000000000000000001]",
        r#""\u00e9\u0301\/\\\" é""#,
        r#""\ud800""#,
        r#"["\udc00\ud800",{"\ud83e":null}]"#,
        r#""\ud83e\udd80 🦀""#,
        r#"{"":"\u0000"}"#,
        "null",
        "true",
        "{}",
        r#""  kept  ""#,
    ] {
        let given = NewEvent::from_json(issue("1"), "t", json(payload));
        let recorded = subject.append_one(given).await;
        assert_eq!(recorded.payload.as_str(), payload);
        let found = some(ok(subject.read_event(recorded.metadata.event_id).await));
        assert_eq!(found.payload.as_str(), payload);
    }
}

/// White space outside strings is removed once, on the way in.
pub async fn white_space_is_removed_once(places: Places) {
    let subject = Subject::new(places).await;
    let spaced = json(" {\r\n\t\"a b\" : [ 1 , 2 ] } ");
    let recorded = subject
        .append_one(NewEvent::from_json(issue("1"), "t", spaced))
        .await;
    assert_eq!(recorded.payload.as_str(), r#"{"a b":[1,2]}"#);
    let found = some(ok(subject.read_event(recorded.metadata.event_id).await));
    assert_eq!(found, recorded);
}

/// Any further metadata are kept as they came: their order, and a key given twice.
pub async fn further_metadata_are_kept_in_order(places: Places) {
    let subject = Subject::new(places).await;
    let given = event(&issue("1"))
        .extra("z", json("1e400"))
        .extra("a", json(r#"{"k":1,"k":2}"#))
        .extra("z", json(r#""\ud800""#))
        .extra("", json("null"));
    let recorded = subject.append_one(given.clone()).await;
    let found = some(ok(subject.read_event(recorded.metadata.event_id).await));
    assert_eq!(found.metadata.extra, given.metadata.extra);
    assert_eq!(found.digest(), recorded.digest());
}

/// A version is 1.0.0 and a correlation id is made where none is given.
pub async fn absent_metadata_get_their_defaults(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let recorded = subject.append(vec![event(&stream), event(&stream)]).await;
    for event in &recorded {
        assert_eq!(event.metadata.version, "1.0.0");
        assert!(!event.metadata.correlation_id.is_empty());
        assert_eq!(
            (&event.metadata.causation_id, &event.metadata.actor),
            (&None, &None)
        );
    }
    assert_ne!(recorded[0].metadata.event_id, recorded[1].metadata.event_id);
    assert_ne!(
        recorded[0].metadata.correlation_id,
        recorded[1].metadata.correlation_id
    );
}

/// Ids, types, tags and actors hold any Unicode but control characters; nothing is folded.
pub async fn any_unicode_is_kept_in_names_ids_and_tags(places: Places) {
    let subject = Subject::new(places).await;
    let texts = [
        "é",
        "e\u{301}",
        "É",
        "a/b %\"'\\",
        "\u{1F980}",
        " ",
        "\u{202e}",
    ];
    for text in texts {
        let given = NewEvent::from_json(issue(text), text, json("{}"))
            .tag(text)
            .correlation_id(text)
            .causation_id(text)
            .actor(text)
            .version(text);
        let recorded = subject.append_one(given.clone()).await;
        assert_eq!(
            recorded.sequence_number, 1,
            "{text:?} was taken for another stream"
        );
        let found = some(ok(subject.read_event(given.metadata.event_id).await));
        assert_eq!(found.into_new(), given);
    }
}

/// Types and metadata that start with `$` are written by Retold only.
pub async fn reserved_names_are_written_by_retold_only(places: Places) {
    let subject = Subject::new(places).await;
    let machine = stream("$machine", "Issue");
    let of_retold = event(&machine);
    let refusal = subject
        .store
        .append(Append::new(vec![of_retold.clone()]))
        .await;
    assert_invalid(refusal, "aggregateType");
    let noted = event(&issue("1")).extra("$reducer", json("1"));
    let refusal = subject.store.append(Append::new(vec![noted.clone()])).await;
    assert_invalid(refusal, "metadata.$reducer");
    for given in [of_retold, noted] {
        let append = Append::new(vec![given.clone()]).by_retold();
        let recorded = ok(subject.store.append(append).await).events;
        assert_eq!(recorded[0].clone().into_new(), given);
    }
    assert_eq!(
        ok(subject.head().await).position,
        2,
        "they take positions like any event"
    );
}

/// Dropping the future of an append does not undo it; a retry gives the right answer.
pub async fn a_dropped_append_is_answered_by_a_retry(places: Places) {
    let subject = Subject::new(places).await;
    for nth in 0..20 {
        let given = numbered(&issue("1"), nth);
        {
            let mut append = pin!(subject.store.append(Append::new(vec![given.clone()])));
            let _ = append
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
        }
        let retried = ok(subject.store.append(Append::new(vec![given.clone()])).await);
        assert_eq!(retried.events[0].clone().into_new(), given);
        assert_eq!(retried.events[0].position, nth + 1);
        assert_eq!(ok(subject.head().await).position, nth + 1);
    }
}

/// After a close appends fail, and nothing is written.
pub async fn after_close_appends_fail(places: Places) {
    let subject = Subject::new(places).await;
    subject.append_one(event(&issue("1"))).await;
    ok(subject.close().await);
    let error = refused(
        subject
            .store
            .append(Append::new(vec![event(&issue("1"))]))
            .await,
    );
    let is_known_outcome = !matches!(error, retold_core::Error::UnknownOutcome { .. });
    assert!(
        is_known_outcome,
        "nothing was written, but it says {error:?}"
    );
    refused(subject.wait_past(1).await);
}

/// A log that is closed and opened again is the same log and goes on where it was.
pub async fn a_reopened_log_is_the_same(places: Places) {
    let subject = Subject::new(places).await;
    if !subject.can_be_reopened() {
        return;
    }
    let stream = issue("1");
    let given = several(&stream, 5);
    subject.append(given.clone()).await;
    let reserved = Append::new(vec![event(&self::stream("$machine", "Issue"))]).by_retold();
    ok(subject.store.append(reserved).await);
    let (history, log) = (subject.history(), whole_log(&*subject).await);
    let subject = subject.reopened().await;
    assert_eq!(subject.history(), history);
    assert_eq!(whole_log(&*subject).await, log);
    let again = ok(subject.store.append(Append::new(given)).await);
    assert_eq!((again.is_new, again.events.as_slice()), (false, &log[..5]));
    let recorded = subject.append_one(event(&stream)).await;
    assert_eq!((recorded.position, recorded.sequence_number), (7, 6));
    let subject = subject.reopened().await;
    assert_eq!(whole_log(&*subject).await.last(), Some(&recorded));
}
