//! Idempotency by event id: over the whole store, for ever, before anything else.

use retold_core::{Append, Appended, Error, EventId, Expected, NewEvent, RecordedEvent};

use crate::events::{assert_invalid, event, issue, json, numbered, ok, refused, several, stream};
use crate::{Places, Subject};

/// Appends what must be a repetition of `first`.
async fn assert_repeated(subject: &Subject, append: Append, first: &[RecordedEvent]) {
    let head = ok(subject.head().await);
    let repeated = ok(subject.store.append(append).await);
    let expected = Appended {
        is_new: false,
        events: first.to_vec(),
    };
    assert_eq!(repeated, expected);
    assert_eq!(ok(subject.head().await), head, "a repetition was written");
}

/// Appends what must conflict in identity with the events of these ids.
async fn assert_conflict(subject: &Subject, append: Append, known: &[EventId]) {
    let head = ok(subject.head().await);
    match refused(subject.store.append(append).await) {
        Error::IdentityConflict { event_ids, .. } => assert_eq!(event_ids, known),
        other => panic!("must be a conflict of identity, but gave {other:?}"),
    }
    assert_eq!(ok(subject.head().await), head, "a refused call was written");
}

fn ids(events: &[NewEvent]) -> Vec<EventId> {
    events.iter().map(|event| event.metadata.event_id).collect()
}

/// The same events again give the first result and are said not to be new.
pub async fn a_repetition_returns_the_first_result(places: Places) {
    let subject = Subject::new(places).await;
    let given = several(&issue("1"), 3);
    let first = subject.append(given.clone()).await;
    subject.append_one(event(&issue("1"))).await;
    for _ in 0..2 {
        assert_repeated(&subject, Append::new(given.clone()), &first).await;
    }
}

/// Payloads are compared after white space outside strings is removed, and no further.
pub async fn white_space_makes_no_difference(places: Places) {
    let subject = Subject::new(places).await;
    let mut given = event(&issue("1"));
    given.payload = json(r#"{"a":1.0}"#);
    let first = subject.append(vec![given.clone()]).await;
    given.payload = json(" { \"a\" : 1.0 } ");
    assert_repeated(&subject, Append::new(vec![given.clone()]), &first).await;
    given.payload = json(r#"{"a":1.00}"#);
    let known = [given.metadata.event_id];
    assert_conflict(&subject, Append::new(vec![given]), &known).await;
}

/// Tags and metadata are not compared (an honest retry has a new timestamp); the first stay.
pub async fn the_first_tags_and_metadata_stay(places: Places) {
    let subject = Subject::new(places).await;
    let event_id = event(&issue("1")).metadata.event_id;
    let given = event(&issue("1")).event_id(event_id).tag("a").actor("me");
    let first = subject.append(vec![given]).await;
    let retried = event(&issue("1"))
        .event_id(event_id)
        .tag("b")
        .actor("you")
        .version("9")
        .timestamp(crate::events::at(-5))
        .correlation_id("other")
        .causation_id("other")
        .extra("k", json("1"));
    assert_repeated(&subject, Append::new(vec![retried]), &first).await;
    assert_eq!(
        ok(subject.read_event(event_id).await).as_ref(),
        first.first()
    );
}

/// A repetition is one under every expectation, also one that would fail now.
pub async fn a_repetition_is_one_under_every_expectation(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let given = vec![event(&stream)];
    let append = Append::new(given.clone()).expect(stream.clone(), Expected::NoStream);
    let first = ok(subject.store.append(append).await).events;
    subject.append_one(event(&stream)).await;
    for expected in [
        Expected::Any,
        Expected::NoStream,
        Expected::StreamExists,
        Expected::Sequence(0),
        Expected::Sequence(1),
        Expected::Sequence(99),
    ] {
        let append = Append::new(given.clone()).expect(stream.clone(), expected);
        assert_repeated(&subject, append, &first).await;
    }
}

/// The same id with another stream, event type or payload is a conflict of identity.
pub async fn other_content_is_a_conflict(places: Places) {
    let subject = Subject::new(places).await;
    let given = numbered(&issue("1"), 1);
    subject.append_one(given.clone()).await;
    let changes: [fn(&mut NewEvent); 4] = [
        |event| event.payload = json(r#"{"number":2}"#),
        |event| event.event_type = "issue.closed".into(),
        |event| event.stream = issue("2"),
        |event| event.stream = stream("Order", "1"),
    ];
    for change in changes {
        let mut changed = given.clone();
        change(&mut changed);
        let known = [given.metadata.event_id];
        assert_conflict(&subject, Append::new(vec![changed]), &known).await;
    }
}

/// Identity is looked at before conditions: a known id is never a conflict of expectation.
pub async fn identity_is_looked_at_before_conditions(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let given = numbered(&stream, 1);
    subject.append_one(given.clone()).await;
    let known = [given.metadata.event_id];
    let other = numbered(&stream, 2).event_id(known[0]);
    let append = Append::new(vec![other]).expect(stream, Expected::NoStream);
    assert_conflict(&subject, append, &known).await;
}

/// A call of which some ids are known and others are not is a conflict of identity.
pub async fn a_mix_of_known_and_new_is_a_conflict(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let given = several(&stream, 2);
    subject.append(given.clone()).await;
    let new = numbered(&stream, 3);
    for mix in [
        vec![given[0].clone(), given[1].clone(), new.clone()],
        vec![new.clone(), given[0].clone(), given[1].clone()],
        vec![given[0].clone(), new.clone(), given[1].clone()],
    ] {
        assert_conflict(&subject, Append::new(mix), &ids(&given)).await;
    }
    let mix = vec![new, given[1].clone()];
    assert_conflict(&subject, Append::new(mix), &ids(&given[1..])).await;
}

/// Known events in another order are a conflict of identity.
pub async fn another_order_is_a_conflict(places: Places) {
    let subject = Subject::new(places).await;
    let mut given = several(&issue("1"), 3);
    subject.append(given.clone()).await;
    given.swap(1, 2);
    assert_conflict(&subject, Append::new(given.clone()), &ids(&given)).await;
    given.reverse();
    assert_conflict(&subject, Append::new(given.clone()), &ids(&given)).await;
}

/// A part of an earlier call is a repetition too.
pub async fn a_part_of_an_earlier_call_is_a_repetition(places: Places) {
    let subject = Subject::new(places).await;
    let given = several(&issue("1"), 4);
    let first = subject.append(given.clone()).await;
    for part in [0..1, 1..3, 3..4] {
        let append = Append::new(given[part.clone()].to_vec());
        assert_repeated(&subject, append, &first[part]).await;
    }
    let ends = Append::new(vec![given[0].clone(), given[3].clone()]);
    assert_repeated(&subject, ends, &[first[0].clone(), first[3].clone()]).await;
}

/// Events of several earlier calls, in the order of the log, are a repetition.
pub async fn several_earlier_calls_in_order_are_a_repetition(places: Places) {
    let subject = Subject::new(places).await;
    let stream = issue("1");
    let (one, two) = (numbered(&stream, 1), numbered(&stream, 2));
    let mut first = subject.append(vec![one.clone()]).await;
    subject.append_one(event(&stream)).await;
    first.extend(subject.append(vec![two.clone()]).await);
    let both = Append::new(vec![one.clone(), two.clone()]);
    assert_repeated(&subject, both, &first).await;
    let known = [two.metadata.event_id, one.metadata.event_id];
    assert_conflict(&subject, Append::new(vec![two, one]), &known).await;
}

/// The same id twice in one call is invalid, whether it is known or not.
pub async fn the_same_id_twice_in_a_call_is_invalid(places: Places) {
    let subject = Subject::new(places).await;
    let given = event(&issue("1"));
    let twice = || Append::new(vec![given.clone(), given.clone()]);
    assert_invalid(subject.store.append(twice()).await, "metadata.eventId");
    subject.append_one(given.clone()).await;
    assert_invalid(subject.store.append(twice()).await, "metadata.eventId");
    assert_eq!(ok(subject.head().await).position, 1);
}

/// An id is known over the whole store, long after and beside many others.
pub async fn an_id_is_known_over_the_whole_store(places: Places) {
    let subject = Subject::new(places).await;
    let given: Vec<NewEvent> = (0..500)
        .map(|nth| numbered(&issue(&format!("{}", nth % 50)), nth))
        .collect();
    let mut first = Vec::new();
    for event in &given {
        first.extend(subject.append(vec![event.clone()]).await);
    }
    for (given, first) in given.iter().zip(&first).step_by(7) {
        let again = Append::new(vec![given.clone()]);
        assert_repeated(&subject, again, std::slice::from_ref(first)).await;
        let elsewhere = event(&issue("elsewhere")).event_id(given.metadata.event_id);
        let known = [given.metadata.event_id];
        assert_conflict(&subject, Append::new(vec![elsewhere]), &known).await;
    }
}
