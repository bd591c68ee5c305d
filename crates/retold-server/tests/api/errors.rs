//! Every row of the error table.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use retold::{Damage, Retold, StoreError};
use serde_json::{Value, json};

use crate::support::{Answer, Service, document, failing, request, service};

const EVENTS: &str = "/v1/streams/Note/1/events";

fn event(id: u128) -> serde_json::Value {
    let event_id = uuid::Uuid::from_u128(id).to_string();
    json!({"eventType": "note.made", "payload": 1, "metadata": {"eventId": event_id}})
}

#[tokio::test]
async fn each_error_of_the_store_has_its_row() {
    let (service, store) = failing().await;
    service.append("Note/1", "note.made").await;
    let ids = vec![uuid::Uuid::from_u128(7)];
    let secret = "/var/lib/secret/log.bin";
    let damage = Damage {
        position: Some(3),
        place: Some(secret.into()),
        reason: format!("checksum of {secret}"),
        ..Damage::default()
    };
    let io = std::io::Error::other(secret);
    let rows = [
        (
            StoreError::Busy {
                reason: "the queue is full".into(),
                event_ids: ids.clone(),
            },
            503,
            "busy",
        ),
        (
            StoreError::Full {
                event_ids: ids.clone(),
            },
            507,
            "full",
        ),
        (
            StoreError::Poisoned {
                cause: secret.into(),
                event_ids: ids.clone(),
            },
            503,
            "poisoned",
        ),
        (
            StoreError::UnknownOutcome {
                reason: secret.into(),
                event_ids: ids,
            },
            504,
            "unknown_outcome",
        ),
        (StoreError::corrupt(damage, secret), 500, "corrupt"),
        (
            StoreError::Unsupported {
                what: "conditions".into(),
            },
            501,
            "unsupported",
        ),
        (StoreError::io("read", io), 500, "internal"),
    ];
    for (error, status, code) in rows {
        store.fail_with(Some(error.clone()));
        let answer = service.post(EVENTS, event(7)).await;
        let problem = answer.problem(status, code);
        assert!(!answer.text().contains("secret"), "{problem}");
        assert_eq!(
            problem.get("eventIds").is_some(),
            !error.event_ids().is_empty()
        );
        assert_eq!(answer.header("retry-after").is_some(), code == "busy");
        service.get(EVENTS).await.problem(status, code);
        service.get("/readyz").await.problem(status, code);
        assert_eq!(service.get("/livez").await.status, 200);
    }
    store.fail_with(None);
    assert_eq!(service.get("/readyz").await.expect(200)["status"], "ready");
    service.post(EVENTS, event(7)).await.expect(201);
}

#[tokio::test]
async fn identity_comes_before_names_and_names_before_expectations() {
    let service = service().await;
    let first = service.post(EVENTS, event(1)).await.expect(201);
    let mut other = event(1);
    other["payload"] = json!(2);
    other["expected"] = json!(17);
    let answer = service.post(EVENTS, &other).await;
    let problem = answer.problem(409, "identity_conflict");
    assert_eq!(problem["eventIds"], json!([uuid::Uuid::from_u128(1)]));

    let mut again = event(1);
    again["expected"] = json!("no_stream");
    let repeated = service.post(EVENTS, &again).await;
    assert_eq!(repeated.expect(200)["event"], first["event"]);

    let mut failed = event(2);
    failed["expected"] = json!(17);
    let problem = service.post(EVENTS, failed).await.problem(412, "conflict");
    let conflicts = json!([{
        "aggregateType": "Note", "aggregateId": "1", "expected": 17, "actual": 1,
    }]);
    assert_eq!(problem["conflicts"], conflicts);

    let named = json!({"eventType": "start_work", "payload": {}, "expected": 17});
    let answer = service.post("/v1/streams/Issue/1/events", named).await;
    answer.problem(422, "transition_name");
}

#[tokio::test]
async fn a_false_expectation_on_an_unknown_stream_is_412() {
    let service = service().await;
    for expected in [json!("stream_exists"), json!(3)] {
        let mut event = event(1);
        event["expected"] = expected;
        let problem = service.post(EVENTS, event).await.problem(412, "conflict");
        assert_eq!(problem["conflicts"][0]["actual"], 0);
    }
    let headers = [("if-match", "*")];
    let answer = service.post_with(EVENTS, &headers, event(1)).await;
    answer.problem(412, "conflict");
}

#[tokio::test]
async fn an_illegal_transition_says_what_is_possible_before_an_expectation_fails() {
    let service = service().await;
    let body =
        json!({"fromState": "TODO", "toState": "DEPLOYED", "event": "deploy", "expected": 9});
    let path = "/v1/streams/Issue/1/transitions";
    let problem = service.post(path, body).await;
    let problem = problem.problem(409, "illegal_transition");
    assert_eq!(problem["currentState"], "TODO");
    let available = &problem["availableTransitions"];
    assert_eq!(available[0]["event"], "start_work");
    assert_eq!(available[0]["toState"], "IN_PROGRESS");

    let legal =
        json!({"fromState": null, "toState": "IN_PROGRESS", "event": "start_work", "expected": 9});
    service.post(path, legal).await.problem(412, "conflict");
    let start = service.transition("1", None, "IN_PROGRESS", "start_work");
    start.await.expect(201);
    let stale = service.transition("1", Some("TODO"), "IN_PROGRESS", "start_work");
    let problem = stale.await.problem(409, "illegal_transition");
    assert_eq!(problem["currentState"], "IN_PROGRESS");
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let service = service().await;
    for path in [
        "/nowhere",
        "/v1/streams/Issue",
        "/v1/streams/Note/9/events",
        "/v1/streams/Note/9/state",
        "/v1/streams/Note/9/snapshots",
        "/v1/streams/Note/9/snapshots/latest",
        "/v1/machines/Door",
        "/v1/events/00000000-0000-0000-0000-000000000001",
    ] {
        service.get(path).await.problem(404, "not_found");
    }
    let body = json!({"fromState": null, "toState": "B", "event": "go"});
    let answer = service.post("/v1/streams/Door/1/transitions", body).await;
    let problem = answer.problem(404, "not_found");
    assert!(problem["detail"].as_str().unwrap().contains("Door"));
    let snapshot = service.post("/v1/streams/Note/9/snapshots", json!({}));
    snapshot.await.problem(404, "not_found");
    let pruned = service.delete("/v1/streams/Note/9/snapshots?keep=1").await;
    pruned.problem(404, "not_found");
}

#[tokio::test]
async fn method_form_and_media_type_are_problems_too() {
    let service = service().await;
    service.append("Note/1", "note.made").await;
    let put = request(Method::PUT, EVENTS, &[], Body::empty());
    let answer = service.send(put).await;
    answer.problem(405, "method_not_allowed");
    let allowed = answer.header("allow").unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
    for path in [EVENTS, "/v1/events", "/v1/streams", "/v1/info"] {
        let answer = service.get_as(path, "text/html").await;
        answer.problem(406, "not_acceptable");
    }
    for (path, media_type) in [
        (EVENTS, "text/plain"),
        (EVENTS, ""),
        ("/v1/streams/Issue/1/transitions", "application/toml"),
        ("/v1/streams/Note/1/snapshots", "text/plain"),
        ("/v1/events", "application/json"),
        ("/v1/restore", "application/json"),
    ] {
        let headers = [("content-type", media_type)];
        let request = request(Method::POST, path, &headers, Body::from("{}"));
        let answer = service.send(request).await;
        answer.problem(415, "unsupported_media_type");
    }
    // The media type comes before the form.
    let headers = [("content-type", "text/plain")];
    let bad = request(
        Method::POST,
        "/v1/streams/1/1/events?x=1",
        &headers,
        Body::empty(),
    );
    service
        .send(bad)
        .await
        .problem(415, "unsupported_media_type");
    let headers = [("content-type", "application/json; charset=utf-8")];
    let good = request(Method::POST, EVENTS, &headers, event(5).to_string().into());
    service.send(good).await.expect(201);
}

/// Every code that the document lists.
async fn codes(service: &Service) -> BTreeSet<String> {
    let document = document(service).await;
    let responses = document["paths"]["/livez"]["get"]["responses"].clone();
    let responses = responses.as_object().unwrap().values();
    let texts = responses.map(|response| response["description"].as_str().unwrap().to_owned());
    let names = |text: String| -> Vec<String> {
        let marked = text.split('`').enumerate().filter(|(nth, _)| nth % 2 == 1);
        marked.map(|(_, name)| name.to_owned()).collect()
    };
    texts.flat_map(names).collect()
}

async fn put_json(service: &Service, path: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let request = request(Method::PUT, path, &headers, body.to_string().into());
    service.send(request).await
}

/// A service whose consumer `c` has read another log: what is kept beside the log is another's.
async fn with_another_log() -> Service {
    let side_store = Arc::new(retold_memory::MemorySideStore::new());
    let first = Retold::builder().side_store(side_store.clone());
    let first = Service::over(first.open("memory:").await.unwrap());
    let second = service().await;
    for service in [&first, &second] {
        let made = put_json(service, "/v1/consumers/c", &json!({})).await;
        made.expect(201);
    }
    first.append("Note/1", "t").await;
    let fetched = first.post("/v1/consumers/c/fetch", json!({"waitMs": 20_000}));
    let fetched = fetched.await.expect(200);
    let fences = json!({"fences": [fetched["deliveries"][0]["fence"]]});
    let kept = first.post("/v1/consumers/c/ack", fences).await;
    kept.expect_status(204);
    let mixed = Retold::builder().store(second.retold.store().clone());
    Service::over(mixed.side_store(side_store).build().await.unwrap())
}

/// The whole table, each row by a request that meets it, on a store that is made to fail where a
/// real one cannot be brought to: a code without a row fails this test.
#[tokio::test]
async fn every_code_is_met_by_a_request() {
    let (service, store) = failing().await;
    service.post(EVENTS, event(1)).await.expect(201);
    let mut met = BTreeSet::new();
    let mut meet = |answer: Answer, status: u16, code: &str| {
        let problem = answer.problem(status, code);
        assert_eq!(problem["type"], format!("/docs#{code}"));
        for member in ["title", "detail"] {
            assert!(!problem[member].as_str().unwrap().is_empty(), "{problem}");
        }
        met.insert(code.to_owned());
    };
    let mut other = event(1);
    other["payload"] = json!(2);
    let mut unexpected = event(2);
    unexpected["expected"] = json!(7);
    let text = json!({"eventType": "t", "payload": "x".repeat(1 << 20)});
    let merge = json!({"eventType": "merge", "payload": {}});
    let illegal = json!({"fromState": null, "toState": "MERGED", "event": "merge"});
    let issue = "/v1/streams/Issue/1";
    for (path, headers, body, status, code) in [
        (EVENTS, &[][..], json!({"x": 1}), 400, "invalid"),
        (
            EVENTS,
            &[("host", "example.com")],
            event(3),
            403,
            "forbidden",
        ),
        (EVENTS, &[("origin", "null")], event(3), 403, "forbidden"),
        (EVENTS, &[], other, 409, "identity_conflict"),
        (EVENTS, &[], unexpected, 412, "conflict"),
        (EVENTS, &[], text, 413, "too_large"),
        ("/v1/restore", &[], event(3), 415, "unsupported_media_type"),
        ("/v1/nowhere", &[], event(3), 404, "not_found"),
        (
            &format!("{issue}/events"),
            &[],
            merge,
            422,
            "transition_name",
        ),
        (
            &format!("{issue}/transitions"),
            &[],
            illegal,
            409,
            "illegal_transition",
        ),
        ("/v1/info", &[], event(3), 405, "method_not_allowed"),
    ] {
        meet(service.post_with(path, headers, body).await, status, code);
    }
    let html = service.get_as(EVENTS, "text/html").await;
    meet(html, 406, "not_acceptable");
    let early = service.get("/v1/streams/Note/1/state?minPosition=9").await;
    assert_eq!(early.header("retry-after"), Some("1"));
    meet(early, 503, "not_yet");
    let recorded = service.get_as("/v1/events", "application/x-ndjson").await;
    let restored = service.post_lines("/v1/restore", recorded.body).await;
    meet(restored, 409, "not_empty");

    let consumer = put_json(&service, "/v1/consumers/c", &json!({})).await;
    consumer.expect(201);
    let late = json!({"fences": ["1"]});
    let late = service.post("/v1/consumers/c/ack", late).await;
    meet(late, 409, "fenced");
    let replaced = with_another_log().await;
    let fetched = replaced.post("/v1/consumers/c/fetch", json!({})).await;
    meet(fetched, 409, "other_log");

    let (reason, event_ids) = (String::new(), Vec::new());
    for (error, status, code) in [
        (
            StoreError::Busy {
                reason: reason.clone(),
                event_ids: event_ids.clone(),
            },
            503,
            "busy",
        ),
        (
            StoreError::Full {
                event_ids: event_ids.clone(),
            },
            507,
            "full",
        ),
        (
            StoreError::Poisoned {
                cause: reason.clone(),
                event_ids: event_ids.clone(),
            },
            503,
            "poisoned",
        ),
        (
            StoreError::UnknownOutcome { reason, event_ids },
            504,
            "unknown_outcome",
        ),
        (StoreError::corrupt(Damage::default(), ""), 500, "corrupt"),
        (
            StoreError::Unsupported {
                what: String::new(),
            },
            501,
            "unsupported",
        ),
        (
            StoreError::io("read", std::io::Error::other("")),
            500,
            "internal",
        ),
    ] {
        store.fail_with(Some(error));
        meet(service.post(EVENTS, event(9)).await, status, code);
    }
    store.fail_with(None);
    assert_eq!(met, codes(&service).await);
}
