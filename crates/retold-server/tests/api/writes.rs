//! Appends and transitions: what they answer, and what is kept.

use serde_json::json;

use crate::support::service;

const EVENTS: &str = "/v1/streams/Note/1/events";

#[tokio::test]
async fn a_first_append_is_201_and_a_repeated_one_200_with_the_first_result() {
    let service = service().await;
    let body = json!({
        "eventType": "note.made",
        "payload": {"text": "hi"},
        "tags": ["urgent"],
        "metadata": {
            "eventId": "00000000-0000-0000-0000-00000000000A",
            "timestamp": "2024-01-01T02:00:00+02:00",
            "correlationId": "c",
            "actor": "me",
            "more": [1.50],
        },
    });
    let first = service.post(EVENTS, &body).await;
    let answer = first.expect(201);
    assert_eq!(answer["isNew"], true);
    let event = &answer["event"];
    assert_eq!(
        event["metadata"]["eventId"],
        "00000000-0000-0000-0000-00000000000a"
    );
    assert_eq!(event["metadata"]["timestamp"], "2024-01-01T00:00:00Z");
    assert!(event["metadata"].get("causationId").is_none());
    assert_eq!(
        (&event["sequenceNumber"], &event["position"]),
        (&json!(1), &json!(1))
    );
    let location = first.header("location").unwrap();
    assert_eq!(service.get(location).await.expect(200), *event);
    assert_eq!(first.header("etag"), Some("\"1\""));

    service.append("Note/1", "note.made").await;
    let again = service.post(EVENTS, &body).await;
    let repeated = again.expect(200);
    assert_eq!(repeated["isNew"], false);
    assert_eq!(repeated["event"], *event);
    assert_eq!(again.header("location"), Some(location));
    assert_eq!(again.header("etag"), Some("\"1\""));
}

#[tokio::test]
async fn the_bytes_of_a_payload_are_kept_but_for_white_space() {
    let service = service().await;
    let body = r#" {"eventType": "t", "payload": { "b" : 1.50 , "a": 1e400, "a": "\u0041" },
        "metadata": {"k": 1.0, "k": [ 2.0 ]}} "#;
    let answer = service.post(EVENTS, body).await;
    answer.expect_status(201);
    for text in [answer.text(), service.get(EVENTS).await.text()] {
        assert!(
            text.contains(r#""payload":{"b":1.50,"a":1e400,"a":"\u0041"}"#),
            "{text}"
        );
        assert!(text.contains(r#""k":1.0,"k":[2.0]"#), "{text}");
    }
}

#[tokio::test]
async fn several_events_are_written_together() {
    let service = service().await;
    let event = |nth: u32| json!({"eventType": "t", "payload": nth});
    let body = json!({"events": [event(1), event(2), event(3)], "expected": "no_stream"});
    let answer = service.post(EVENTS, &body).await;
    let several = answer.expect(201);
    assert_eq!(several["isNew"], true);
    assert_eq!(several["events"].as_array().unwrap().len(), 3);
    assert_eq!(answer.header("etag"), Some("\"3\""));
    let first = several["events"][0]["metadata"]["eventId"]
        .as_str()
        .unwrap();
    assert_eq!(
        answer.header("location"),
        Some(&*format!("/v1/events/{first}"))
    );
    // One in a list is answered as a list.
    let body = json!({"events": [event(4)]});
    assert!(service.post(EVENTS, &body).await.expect(201)["events"].is_array());
    service
        .post(EVENTS, json!({"events": []}))
        .await
        .invalid("events");
    let over: Vec<_> = (0..1_001).map(event).collect();
    let answer = service.post(EVENTS, json!({"events": over})).await;
    assert_eq!(answer.problem(413, "too_large")["field"], "events");
}

#[tokio::test]
async fn expectations_are_said_in_the_body_or_in_a_header() {
    let service = service().await;
    let event = json!({"eventType": "t", "payload": null});
    let send = |headers: &'static [(&'static str, &'static str)]| {
        service.post_with(EVENTS, headers, event.clone())
    };
    send(&[("if-none-match", "*")]).await.expect(201);
    send(&[("if-none-match", "*")])
        .await
        .problem(412, "conflict");
    send(&[("if-match", "\"1\"")]).await.expect(201);
    send(&[("if-match", "\"1\"")])
        .await
        .problem(412, "conflict");
    send(&[("if-match", "*")]).await.expect(201);
    for (header, field) in [
        (&[("if-match", "W/\"3\"")][..], "If-Match"),
        (&[("if-match", "\"3\", \"4\"")], "If-Match"),
        (&[("if-match", "3")], "If-Match"),
        (&[("if-match", "\"+3\"")], "If-Match"),
        (&[("if-none-match", "\"3\"")], "If-None-Match"),
        (&[("if-match", "\"3\""), ("if-match", "\"4\"")], "If-Match"),
        (&[("if-match", "*"), ("if-none-match", "*")], "expected"),
    ] {
        service
            .post_with(EVENTS, header, &event)
            .await
            .invalid(field);
    }
    let both = json!({"eventType": "t", "payload": null, "expected": 3});
    let answer = service.post_with(EVENTS, &[("if-match", "\"3\"")], &both);
    answer.await.invalid("expected");
    service.post(EVENTS, &both).await.expect(201);
    let none = json!({"eventType": "t", "payload": null, "expected": 0});
    let problem = service.post(EVENTS, &none).await;
    let problem = problem.problem(412, "conflict");
    assert_eq!(problem["conflicts"][0]["expected"], "no_stream");
    service
        .post("/v1/streams/Note/2/events", &none)
        .await
        .expect(201);
    for expected in [
        json!(-1),
        json!(1_u64 << 63),
        json!("some"),
        json!(1.5),
        json!(null),
        json!([1]),
    ] {
        let body = json!({"eventType": "t", "payload": null, "expected": expected});
        service.post(EVENTS, body).await.invalid("expected");
    }
}

#[tokio::test]
async fn a_transition_is_recorded_with_who_and_why() {
    let service = service().await;
    let body = json!({
        "aggregateType": "Issue",
        "aggregateId": "42",
        "fromState": "IN_PROGRESS",
        "toState": "IN_REVIEW",
        "event": "submit_for_review",
        "context": {"sprint": 7},
        "reason": "done",
        "actor": "user-123",
        "correlationId": "c",
        "causationId": "x",
        "eventId": "00000000-0000-0000-0000-000000000001",
        "timestamp": "2024-01-01T00:00:00Z",
        "tags": ["urgent"],
        "metadata": {"more": 1},
    });
    let start = service.transition("42", None, "IN_PROGRESS", "start_work");
    let started = start.await;
    assert_eq!(started.header("etag"), Some("\"1\""));
    assert_eq!(started.expect(201)["event"]["payload"]["fromState"], "TODO");
    let path = "/v1/streams/Issue/42/transitions";
    let taken = service.post(path, &body).await.expect(201);
    let event = &taken["event"];
    assert_eq!(event["eventType"], "submit_review");
    let payload = json!({
        "fromState": "IN_PROGRESS", "toState": "IN_REVIEW", "event": "submit_for_review",
        "context": {"sprint": 7}, "reason": "done",
    });
    assert_eq!(event["payload"], payload);
    assert_eq!(event["metadata"]["actor"], "user-123");
    assert_eq!(event["metadata"]["more"], 1);
    assert_eq!(event["tags"], json!(["urgent"]));
    let again = service.post(path, &body).await.expect(200);
    assert_eq!((&again["isNew"], &again["event"]), (&json!(false), event));
    for (name, value) in [
        ("fromState", json!(1)),
        ("toState", json!(null)),
        ("eventId", json!("x")),
        ("timestamp", json!("yesterday")),
        ("tags", json!("urgent")),
        ("aggregateId", json!("43")),
        ("extra", json!(1)),
    ] {
        let mut wrong = body.clone();
        wrong[name] = value;
        service.post(path, wrong).await.invalid(name);
    }
    for name in ["fromState", "toState", "event"] {
        let mut without = body.clone();
        without.as_object_mut().unwrap().remove(name);
        service.post(path, without).await.invalid(name);
    }
    let mut twice = body.clone();
    twice["metadata"]["actor"] = json!("me");
    service.post(path, twice).await.invalid("actor");
}

#[tokio::test]
async fn the_trace_of_a_request_is_kept_with_what_it_writes() {
    let service = service().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", trace)];
    let event = json!({"eventType": "t", "payload": null});
    let answer = service.post_with(EVENTS, &headers, &event).await;
    assert_eq!(
        answer.expect(201)["event"]["metadata"]["traceparent"],
        trace
    );
    let start = json!({"fromState": null, "toState": "IN_PROGRESS", "event": "start_work"});
    let path = "/v1/streams/Issue/1/transitions";
    let answer = service.post_with(path, &headers, &start).await;
    assert_eq!(
        answer.expect(201)["event"]["metadata"]["traceparent"],
        trace
    );
    let answer = service.post_with(EVENTS, &[("traceparent", "nonsense")], &event);
    let metadata = answer.await.expect(201)["event"]["metadata"].clone();
    assert!(metadata.get("traceparent").is_none());
}

#[tokio::test]
async fn transitions_made_elsewhere_are_recorded_on_trust() {
    let service = service().await;
    let body = json!({"eventType": "merge", "payload": {"toState": "MERGED"}});
    let path = "/v1/streams/Issue/1/events";
    service
        .post(path, &body)
        .await
        .problem(422, "transition_name");
    let trusted = service.post(&format!("{path}?machine=trust"), &body).await;
    trusted.expect(201);
    let state = service.get("/v1/streams/Issue/1/state").await.expect(200);
    assert_eq!(state["status"], "MERGED");
    let answer = service.post(&format!("{path}?machine=check"), &body).await;
    answer.invalid("machine");
}
