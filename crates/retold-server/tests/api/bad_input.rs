//! Input that is wrong: names, ids, JSON, sizes, parameters.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::support::{request, service};

const EVENTS: &str = "/v1/streams/Note/1/events";

fn encoded(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn bad_names_are_400_with_their_field() {
    let service = service().await;
    let over = encoded(&"i".repeat(513));
    for (path, field) in [
        ("/v1/streams/1ssue/1/events", "aggregateType"),
        ("/v1/streams/Is%20sue/1/state", "aggregateType"),
        ("/v1/streams/Issue/%2E/events", "aggregateId"),
        ("/v1/streams/Issue/%2e%2e/state", "aggregateId"),
        ("/v1/streams/Issue/a%00b/events", "aggregateId"),
        ("/v1/streams/Issue/a%0Ab/snapshots", "aggregateId"),
        ("/v1/streams/Issue/%FF/events", "aggregateId"),
        ("/v1/streams/%FF/1/events", "aggregateType"),
        (&format!("/v1/streams/Issue/{over}/events"), "aggregateId"),
        ("/v1/events/42", "eventId"),
        ("/v1/machines/a%20b", "aggregateType"),
    ] {
        service.get(path).await.invalid(field);
    }
    let answer = service.post(
        "/v1/streams/$machine/Issue/events",
        json!({"eventType": "t", "payload": 1}),
    );
    answer.await.invalid("aggregateType");
}

#[tokio::test]
async fn each_wrong_field_of_an_event_is_named() {
    let service = service().await;
    let with = |name: &str, value: serde_json::Value| {
        let mut event = json!({"eventType": "t", "payload": 1});
        event[name] = value;
        event
    };
    for (body, field) in [
        (json!([]), "body"),
        (json!("x"), "body"),
        (json!(null), "body"),
        (json!({"payload": 1}), "eventType"),
        (json!({"eventType": "t"}), "payload"),
        (with("eventType", json!("")), "eventType"),
        (with("eventType", json!(7)), "eventType"),
        (with("eventType", json!("x".repeat(129))), "eventType"),
        (with("aggregateId", json!("2")), "aggregateId"),
        (with("aggregateType", json!("Issue")), "aggregateType"),
        (with("tags", json!(["a", "a"])), "tags"),
        (with("tags", json!([1])), "tags"),
        (with("sequenceNumber", json!(1)), "sequenceNumber"),
        (with("metadata", json!(1)), "metadata"),
        (
            with("metadata", json!({"eventId": "x"})),
            "metadata.eventId",
        ),
        (
            with("metadata", json!({"timestamp": "x"})),
            "metadata.timestamp",
        ),
        (with("metadata", json!({"actor": null})), "metadata.actor"),
        (with("metadata", json!({"actor": ""})), "metadata.actor"),
        (with("metadata", json!({"version": 1})), "metadata.version"),
        (
            with("metadata", json!({"$machine": 1})),
            "metadata.$machine",
        ),
    ] {
        service.post(EVENTS, &body).await.invalid(field);
    }
    for (body, field) in [
        ("", "body"),
        ("{", "body"),
        ("{} {}", "body"),
        (r#"{"eventType":"t","payload":1,"payload":2}"#, "payload"),
        (r#"{"eventType":"t","payload":nul}"#, "body"),
        (r#"{"eventType":"\ud800","payload":1}"#, "eventType"),
        (
            r#"{"eventType":"t","payload":1,"metadata":{"actor":"a","actor":"b"}}"#,
            "metadata.actor",
        ),
    ] {
        service.post(EVENTS, body).await.invalid(field);
    }
    let mut bytes = br#"{"eventType":"t","payload":""#.to_vec();
    bytes.extend_from_slice(b"\xff\"}");
    let headers = [("content-type", "application/json")];
    let not_utf8 = request(Method::POST, EVENTS, &headers, Body::from(bytes));
    service.send(not_utf8).await.invalid("body");
    service.get(EVENTS).await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_over_a_limit_is_413_and_names_it() {
    let service = service().await;
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let event = |payload: &str| format!(r#"{{"eventType":"t","payload":{payload}}}"#);
    service
        .post(EVENTS, event(&nested(128)))
        .await
        .expect_status(201);
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let metadata = format!(
        r#"{{"eventType":"t","payload":1,"metadata":{{"k":{}}}}}"#,
        text(32 * 1024)
    );
    let deep = format!(
        r#"{{"eventType":"t","payload":1,"metadata":{{"k":{}}}}}"#,
        nested(129)
    );
    for (body, field) in [
        (event(&nested(129)), "payload"),
        (event(&nested(100_000)), "payload"),
        (event(&text(960 * 1024 + 1)), "payload"),
        (metadata, "metadata"),
        (deep, "metadata"),
        (event(&text(11 * 1024 * 1024)), "body"),
    ] {
        let answer = service.post(EVENTS, body).await;
        assert_eq!(answer.problem(413, "too_large")["field"], field);
    }
    service
        .post(EVENTS, event(&text(960 * 1024)))
        .await
        .expect_status(201);
    // Brackets that never close are malformed, however many there are.
    service
        .post(EVENTS, event(&"[".repeat(100_000)))
        .await
        .invalid("body");
    let context = format!(
        r#"{{"fromState":null,"toState":"IN_PROGRESS","event":"start_work","context":{}}}"#,
        nested(129)
    );
    let answer = service
        .post("/v1/streams/Issue/1/transitions", context)
        .await;
    assert_eq!(answer.problem(413, "too_large")["field"], "context");
}

#[tokio::test]
async fn each_wrong_parameter_is_named() {
    let service = service().await;
    service.append("Note/1", "t").await;
    let state = "/v1/streams/Note/1/state";
    let snapshots = "/v1/streams/Note/1/snapshots";
    for (path, query, field) in [
        (EVENTS, "limit=0", "limit"),
        (EVENTS, "limit=1001", "limit"),
        (EVENTS, "limit=-1", "limit"),
        (EVENTS, "limit=%2B1", "limit"),
        (EVENTS, "limit=99999999999999999999", "limit"),
        (EVENTS, "after=9223372036854775808", "after"),
        (EVENTS, "limit=1&limit=1", "limit"),
        (EVENTS, "direction=up", "direction"),
        (EVENTS, "fromTimestamp=yesterday", "fromTimestamp"),
        (EVENTS, "eventType=", "eventType"),
        (EVENTS, "eventType=%FF", "eventType"),
        (EVENTS, "tag=x", "tag"),
        ("/v1/events", "after=2", "after"),
        ("/v1/events", "after=tail", "after"),
        ("/v1/events", "includeReserved=yes", "includeReserved"),
        ("/v1/events", "x=1", "x"),
        ("/v1/streams", "aggregateType=1", "aggregateType"),
        ("/v1/streams", "after=nothing", "after"),
        ("/v1/streams", "limit=0", "limit"),
        (state, "atSequence=1&atPosition=1", "atPosition"),
        (state, "atSequence=x", "atSequence"),
        (state, "later=true", "later"),
        (state, "diff=1", "diff"),
        (state, "waitMs=30001", "waitMs"),
        (snapshots, "limit=0", "limit"),
        (snapshots, "before=x", "before"),
        ("/v1/info", "x", "x"),
        ("/livez", "x=", "x"),
    ] {
        service.get(&format!("{path}?{query}")).await.invalid(field);
    }
    service.delete(snapshots).await.invalid("keep");
    service
        .delete(&format!("{snapshots}?keep=many"))
        .await
        .invalid("keep");
}
