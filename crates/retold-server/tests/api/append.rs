//! Atomic appends to several streams.

use serde_json::{Value, json};

use crate::support::{Service, service};

const APPEND: &str = "/v1/append";

fn event(stream: &str, event_id: u128) -> Value {
    json!({
        "aggregateType": "Note",
        "aggregateId": stream,
        "eventType": "t",
        "payload": {"text": "hi"},
        "metadata": {"eventId": uuid::Uuid::from_u128(event_id)},
    })
}

fn check(stream: &str, expected: impl Into<Value>) -> Value {
    json!({"aggregateType": "Note", "aggregateId": stream, "expected": expected.into()})
}

async fn head(service: &Service) -> u64 {
    service.retold.store().head().await.unwrap().position
}

#[tokio::test]
async fn events_of_several_streams_are_written_together() {
    let service = service().await;
    let body = json!({"events": [event("1", 1), event("2", 2), event("1", 3)]});
    let answer = service.post(APPEND, &body).await;
    let appended = answer.expect(201);
    assert_eq!(appended["isNew"], true);
    let events = appended["events"].as_array().unwrap();
    let places: Vec<_> = events
        .iter()
        .map(|event| {
            let id = event["aggregateId"].as_str().unwrap();
            let numbers = [&event["sequenceNumber"], &event["position"]];
            (id, numbers.map(|number| number.as_u64().unwrap()))
        })
        .collect();
    assert_eq!(places, [("1", [1, 1]), ("2", [1, 2]), ("1", [2, 3])]);
    assert_eq!(answer.header("etag"), None);
    let location = answer.header("location").unwrap();
    assert_eq!(
        service.get(location).await.expect(200),
        appended["events"][0]
    );

    let again = service.post(APPEND, &body).await;
    let repeated = again.expect(200);
    assert_eq!(repeated["isNew"], false);
    assert_eq!(repeated["events"], appended["events"]);
    assert_eq!(again.header("location"), Some(location));
}

#[tokio::test]
async fn who_prefers_little_is_answered_without_the_events() {
    let service = service().await;
    let prefer = [("prefer", "return=minimal")];
    let one =
        json!({"eventType": "t", "payload": 1, "metadata": {"eventId": uuid::Uuid::from_u128(9)}});
    let path = "/v1/streams/Note/9/events";
    let several = json!({"events": [event("1", 1), event("2", 2)]});
    let transition = json!({"fromState": null, "toState": "IN_PROGRESS", "event": "start_work"});
    let calls = [
        (path, &one, 1),
        (APPEND, &several, 3),
        ("/v1/streams/Issue/1/transitions", &transition, 4),
    ];
    for (path, body, position) in calls {
        let answer = service.post_with(path, &prefer, body).await;
        let expected = json!({"isNew": true, "position": position});
        assert_eq!(answer.expect(201), expected, "{path}");
        assert_eq!(answer.header("preference-applied"), Some("return=minimal"));
        let location = answer.header("location").unwrap();
        assert_eq!(service.get(location).await.status, 200);
    }
    let again = service.post_with(path, &prefer, &one).await;
    assert_eq!(again.expect(200), json!({"isNew": false, "position": 1}));
    assert_eq!(again.header("etag"), Some("\"1\""));

    let stale = json!({"eventType": "t", "payload": 1, "expected": 7});
    let refused = service.post_with(path, &prefer, &stale).await;
    assert_eq!(refused.expect(412)["code"], "conflict");
    assert_eq!(refused.header("preference-applied"), None);
}

#[tokio::test]
async fn a_check_holds_for_a_stream_that_is_not_written_too() {
    let service = service().await;
    service.append("Note/guard", "t").await;
    let body = |expected: Value| {
        json!({
            "events": [event("1", 1), event("2", 2)],
            "checks": [check("guard", expected), check("1", "no_stream"), check("none", 0)],
        })
    };
    let refused = service.post(APPEND, body(json!(7))).await;
    let problem = refused.problem(412, "conflict");
    let conflict = json!({
        "aggregateType": "Note", "aggregateId": "guard", "expected": 7, "actual": 1,
    });
    assert_eq!(problem["conflicts"], json!([conflict]));
    assert_eq!(head(&service).await, 1);
    service.get("/v1/streams/Note/1/events").await.expect(404);
    service.post(APPEND, body(json!(1))).await.expect(201);
    assert_eq!(head(&service).await, 3);
    // The first result is given again, although the checks would fail now.
    service.post(APPEND, body(json!(1))).await.expect(200);
}

#[tokio::test]
async fn every_check_that_fails_is_told() {
    let service = service().await;
    let checks = [
        check("1", "stream_exists"),
        check("2", 3),
        check("3", "any"),
    ];
    let body = json!({"events": [event("3", 1)], "checks": checks});
    let problem = service.post(APPEND, body).await.problem(412, "conflict");
    assert_eq!(problem["conflicts"].as_array().unwrap().len(), 2);
    assert_eq!(head(&service).await, 0);
}

#[tokio::test]
async fn known_ids_with_other_content_are_refused() {
    let service = service().await;
    let send = |events: &[Value]| service.post(APPEND, json!({ "events": events }));
    send(&[event("1", 1), event("2", 2)]).await.expect(201);
    for events in [
        vec![event("1", 1), event("3", 2)],
        vec![event("1", 1), event("2", 3)],
        vec![event("2", 2), event("1", 1)],
    ] {
        send(&events).await.problem(409, "identity_conflict");
    }
    assert_eq!(head(&service).await, 2);
}

#[tokio::test]
async fn names_of_transitions_are_refused_unless_they_are_trusted() {
    let service = service().await;
    let mut merged = event("1", 2);
    merged["aggregateType"] = json!("Issue");
    merged["eventType"] = json!("merge");
    merged["payload"] = json!({"toState": "MERGED"});
    let body = json!({"events": [event("1", 1), merged], "checks": [check("1", 9)]});
    let problem = service.post(APPEND, &body).await;
    problem.problem(422, "transition_name");
    assert_eq!(head(&service).await, 0);
    let body = json!({ "events": body["events"] });
    let trusted = service.post("/v1/append?machine=trust", &body).await;
    trusted.expect(201);
    let state = service.get("/v1/streams/Issue/1/state").await.expect(200);
    assert_eq!(state["status"], "MERGED");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let service = service().await;
    let with = |name: &str, value: Value| {
        let mut event = event("1", 1);
        event[name] = value;
        json!({"events": [event]})
    };
    let checked = |check: Value| json!({"events": [event("1", 1)], "checks": [check]});
    let nameless = json!({"events": [{"aggregateType": "Note", "eventType": "t", "payload": 1}]});
    for (body, field) in [
        (json!({}), "events"),
        (json!({"events": []}), "events"),
        (json!({"events": {}}), "events"),
        (json!({"events": [1]}), "events"),
        (
            json!({"events": [event("1", 1)], "expected": "any"}),
            "expected",
        ),
        (json!({"events": [event("1", 1)], "more": 1}), "more"),
        (
            json!({"events": [event("1", 1), event("2", 1)]}),
            "metadata.eventId",
        ),
        (json!({"events": [event("1", 1)], "checks": null}), "checks"),
        (nameless, "aggregateId"),
        (with("expected", json!("any")), "expected"),
        (with("position", json!(1)), "position"),
        (with("aggregateType", json!("$machine")), "aggregateType"),
        (with("aggregateId", json!("..")), "aggregateId"),
        (checked(json!(1)), "checks"),
        (checked(check("1", "some")), "expected"),
        (
            checked(json!({"aggregateType": "Note", "aggregateId": "1"})),
            "expected",
        ),
        (
            checked(json!({"aggregateType": "Note", "expected": 1})),
            "aggregateId",
        ),
        (
            checked(json!({"aggregateType": "Note", "aggregateId": "1", "expected": 1, "x": 1})),
            "x",
        ),
    ] {
        service.post(APPEND, body).await.invalid(field);
    }
    for (header, field) in [("if-match", "If-Match"), ("if-none-match", "If-None-Match")] {
        let body = json!({"events": [event("1", 1)]});
        let answer = service.post_with(APPEND, &[(header, "*")], body).await;
        answer.invalid(field);
    }
    let answer = service.post_lines(APPEND, "{}").await;
    answer.problem(415, "unsupported_media_type");
    assert_eq!(head(&service).await, 0);
}

#[tokio::test]
async fn what_is_over_a_limit_is_413_and_names_it() {
    let service = service().await;
    let events: Vec<_> = (0..1_001).map(|nth| event("1", nth + 1)).collect();
    let checks: Vec<_> = (0..1_001).map(|_| check("1", "any")).collect();
    let long = |bytes: usize| {
        let mut long = event("1", bytes as u128);
        long["payload"] = json!("x".repeat(bytes));
        long
    };
    let longest = 900 * 1024;
    let nine_mib: Vec<_> = (0..10).map(|nth| long(longest + nth)).collect();
    for (body, field) in [
        (json!({ "events": events }), "events"),
        (
            json!({"events": [event("1", 1)], "checks": checks}),
            "checks",
        ),
        (json!({"events": [long(960 * 1024)]}), "payload"),
        (json!({ "events": nine_mib }), "body"),
        (json!({"events": [long(11 << 20)]}), "body"),
    ] {
        let answer = service.post(APPEND, body).await;
        assert_eq!(answer.problem(413, "too_large")["field"], field);
    }
    assert_eq!(head(&service).await, 0);
    let body = json!({"events": events[..1_000], "checks": checks[..1_000]});
    service.post(APPEND, body).await.expect(201);
}

/// Calls that meet in one group of the log and refer to each other's streams are each judged on
/// what the one before left.
#[tokio::test]
async fn calls_side_by_side_are_each_judged_on_the_one_before() {
    let service = service().await;
    let calls = (1..=20_u128).map(|nth| {
        let body = json!({
            "events": [event("1", 2 * nth), event("2", 2 * nth + 1)],
            "checks": [check("1", "no_stream"), check("2", "no_stream")],
        });
        service.post(APPEND, body)
    });
    let answers = futures::future::join_all(calls).await;
    let written = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(written.count(), 1);
    assert_eq!(head(&service).await, 2);
}
