//! Consumers over HTTP: made, fetched from, answered for, decided about, audited.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Service, request, service};

const MAILER: &str = "/v1/consumers/mailer";

async fn put(service: &Service, path: &str, body: Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let body = Body::from(body.to_string());
    service
        .send(request(Method::PUT, path, &headers, body))
        .await
}

async fn mailer(service: &Service) {
    let settings = json!({
        "attemptsMax": 1, "retryBackoffMs": 1, "retryBackoffMaxMs": 1,
    });
    put(service, MAILER, settings).await.expect(201);
}

/// Takes what there is, and waits for the first.
async fn fetch(service: &Service) -> Vec<Value> {
    let body = json!({"waitMs": 20_000});
    let path = format!("{MAILER}/fetch");
    let fetched = service.post(&path, body).await.expect(200);
    fetched["deliveries"].as_array().unwrap().clone()
}

async fn answer(service: &Service, what: &str, body: Value) {
    service
        .post(&format!("{MAILER}/{what}"), body)
        .await
        .expect_status(204);
}

/// One event, of which the only attempt has failed.
async fn with_one_parked(service: &Service) {
    service.append("Issue/1", "note.added").await;
    service.append("Issue/1", "note.added").await;
    mailer(service).await;
    let taken = fetch(service).await;
    assert_eq!(taken.len(), 1, "one event of a stream at a time");
    let body = json!({"fences": [taken[0]["fence"]], "error": "no such address"});
    answer(service, "nack", body).await;
}

#[tokio::test]
async fn a_consumer_is_made_seen_changed_and_removed() {
    let service = service().await;
    service.get(MAILER).await.problem(404, "not_found");
    let settings = json!({"filter": {"aggregateTypes": ["Issue"], "actor": "alice"},
        "start": "now", "inFlightMax": 7});
    let made = put(&service, MAILER, settings.clone()).await.expect(201);
    assert_eq!(made["settings"]["inFlightMax"], 7);
    assert_eq!(made["settings"]["filter"]["actor"], "alice");
    assert_eq!(made["settings"]["leaseMs"], 30_000);
    assert_eq!(made["isOpen"], true);
    put(&service, MAILER, settings.clone()).await.expect(200);
    let mut more = settings;
    more["inFlightMax"] = json!(8);
    let changed = put(&service, MAILER, more.clone()).await.expect(200);
    assert_eq!(changed["settings"]["inFlightMax"], 8);
    more["filter"]["actor"] = json!("bob");
    put(&service, MAILER, more).await.invalid("filter");
    let list = service.get("/v1/consumers").await.expect(200);
    assert_eq!(list["consumers"][0]["name"], "mailer");
    service.delete(MAILER).await.expect_status(204);
    service.get(MAILER).await.problem(404, "not_found");
    service.delete(MAILER).await.problem(404, "not_found");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_by_name() {
    let service = service().await;
    for (settings, field) in [
        (json!({"attempts": 3}), "attempts"),
        (json!({"attemptsMax": 0}), "attemptsMax"),
        (json!({"leaseMs": "1"}), "leaseMs"),
        (json!({"inFlightMax": 10_001}), "inFlightMax"),
        (json!({"start": "tomorrow"}), "start"),
        (json!({"start": {"after": 9}}), "start"),
        (json!({"filter": {"actors": []}}), "filter.actors"),
        (json!({"filter": {"tags": "a"}}), "filter.tags"),
        (json!({"webhook": {"url": "http://a/"}}), "webhook"),
        (
            json!({"webhook": {"url": "http://a/", "secret": "s", "timeoutMs": 30_000}}),
            "webhook.timeoutMs",
        ),
    ] {
        put(&service, MAILER, settings.clone()).await.invalid(field);
    }
    put(&service, "/v1/consumers/.a", json!({}))
        .await
        .invalid("consumer");
    let list = service.get("/v1/consumers").await.expect(200);
    assert_eq!(list["consumers"], json!([]), "nothing was made");
}

#[tokio::test]
async fn events_are_fetched_and_answered_for_in_the_order_of_their_stream() {
    let service = service().await;
    service.append("Issue/1", "first").await;
    service.append("Issue/1", "second").await;
    service.append("Issue/2", "other").await;
    mailer(&service).await;
    let taken = fetch(&service).await;
    let types: Vec<_> = taken.iter().map(|d| &d["event"]["eventType"]).collect();
    assert_eq!(types, ["first", "other"]);
    assert_eq!(taken[0]["attempt"], 1);
    assert!(taken[0]["fence"].as_str() < taken[1]["fence"].as_str());
    let fences = json!({"fences": [taken[0]["fence"], taken[1]["fence"]]});
    answer(&service, "extend", fences.clone()).await;
    answer(&service, "ack", fences.clone()).await;
    let late = service.post(&format!("{MAILER}/ack"), &fences).await;
    let late = late.problem(409, "fenced");
    assert_eq!(late["fences"], fences["fences"]);
    let second = fetch(&service).await;
    assert_eq!(second[0]["event"]["eventType"], "second");
    answer(&service, "ack", json!({"fences": [second[0]["fence"]]})).await;

    let path = format!("{MAILER}?minPosition=3&waitMs=20000");
    let status = service.get(&path).await.expect(200);
    assert_eq!(status["acknowledged"], 3);
    assert_eq!(status["sinceOpened"]["finished"], 3);
    // The events of the consumer itself are passed over too.
    let head = status["head"].as_u64().unwrap();
    let path = format!("{MAILER}?minPosition={head}&waitMs=20000");
    let status = service.get(&path).await.expect(200);
    assert_eq!(status["lag"], json!({"events": 0, "seconds": 0.0}));
    let path = format!("{MAILER}?minPosition={}&waitMs=1", head + 1);
    let early = service.get(&path).await.problem(503, "not_yet");
    assert_eq!(early["position"], head);
}

#[tokio::test]
async fn who_waits_for_events_is_answered_when_one_comes() {
    let service = service().await;
    mailer(&service).await;
    let nothing = service.post(&format!("{MAILER}/fetch"), json!({})).await;
    assert_eq!(nothing.expect(200)["deliveries"], json!([]));
    let waiting = fetch(&service);
    let appending = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        service.append("Issue/1", "late").await;
    };
    let (taken, ()) = tokio::join!(waiting, appending);
    assert_eq!(taken[0]["event"]["eventType"], "late");
}

#[tokio::test]
async fn what_is_parked_is_listed_replayed_and_skipped() {
    let service = service().await;
    with_one_parked(&service).await;
    let list = service.get(&format!("{MAILER}/parked")).await.expect(200);
    let parked = &list["parked"][0];
    assert_eq!(parked["error"], "no such address");
    assert_eq!(
        (&parked["aggregateId"], &parked["attempts"]),
        (&json!("1"), &json!(1))
    );
    let status = service.get(MAILER).await.expect(200);
    assert_eq!(status["parkedStreams"], 1);
    assert_eq!(status["lastError"], "no such address");

    let replayed = service.post(&format!("{MAILER}/replay"), json!({})).await;
    assert_eq!(replayed.expect(200)["replayed"], 1);
    let taken = fetch(&service).await;
    let body = json!({"fences": [taken[0]["fence"]], "error": "again", "delayMs": 0});
    answer(&service, "nack", body).await;

    let stream = json!({"aggregateType": "Issue", "aggregateId": "1"});
    let mut skip = stream.clone();
    service
        .post(&format!("{MAILER}/skip"), &skip)
        .await
        .invalid("reason");
    skip["reason"] = json!("it is a test");
    answer(&service, "skip", skip.clone()).await;
    service
        .post(&format!("{MAILER}/skip"), &skip)
        .await
        .problem(404, "not_found");
    service
        .post(&format!("{MAILER}/replay"), &stream)
        .await
        .problem(404, "not_found");
    let audit = service.get(&format!("{MAILER}/audit")).await.expect(200);
    assert_eq!(audit["isComplete"], true, "{audit}");
    assert_eq!(audit["skipped"][0]["reason"], "it is a test");
    let next = fetch(&service).await;
    assert_eq!(next[0]["event"]["sequenceNumber"], 2);
}

#[tokio::test]
async fn a_pause_holds_until_it_is_ended() {
    let service = service().await;
    service.append("Issue/1", "first").await;
    mailer(&service).await;
    service
        .post(&format!("{MAILER}/pause"), json!({"reason": " "}))
        .await
        .invalid("reason");
    answer(&service, "pause", json!({"reason": "moving house"})).await;
    let status = service.get(MAILER).await.expect(200);
    assert_eq!(status["paused"], "moving house");
    let path = format!("{MAILER}/fetch");
    let nothing = service.post(&path, json!({"waitMs": 30})).await;
    assert_eq!(nothing.expect(200)["deliveries"], json!([]));
    answer(&service, "resume", json!({})).await;
    assert_eq!(fetch(&service).await.len(), 1);
}

#[tokio::test]
async fn a_reset_begins_anew() {
    let service = service().await;
    with_one_parked(&service).await;
    service
        .post(&format!("{MAILER}/reset"), json!({}))
        .await
        .invalid("start");
    answer(&service, "reset", json!({"start": {"after": 1}})).await;
    let taken = fetch(&service).await;
    assert_eq!(taken[0]["event"]["position"], 2);
}

#[tokio::test]
async fn deliveries_are_followed_live() {
    let service = service().await;
    service.append("Issue/1", "first").await;
    mailer(&service).await;
    let headers = [("accept", "text/event-stream")];
    let request = request(
        Method::GET,
        &format!("{MAILER}/live"),
        &headers,
        Body::empty(),
    );
    let response = tower::ServiceExt::oneshot(service.router.clone(), request)
        .await
        .unwrap();
    let mut body = response.into_body().into_data_stream();
    let mut text = String::new();
    while !text.contains("data: {\"fence\"") {
        let piece = futures::StreamExt::next(&mut body).await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    assert!(
        text.contains("event: progress\ndata: {\"completeThrough\":"),
        "{text}"
    );
    let data = text
        .split("data: ")
        .find(|part| part.contains("fence"))
        .unwrap();
    let delivery: Value = serde_json::from_str(data.trim()).unwrap();
    assert_eq!(delivery["event"]["eventType"], "first");
    let fence = delivery["fence"].as_str().unwrap();
    assert!(text.contains(&format!("id: {fence}\n")));
    answer(&service, "ack", json!({"fences": [fence]})).await;
}

#[tokio::test]
async fn a_lease_that_runs_out_gives_the_event_to_another() {
    let service = service().await;
    service.append("Issue/1", "first").await;
    let settings = json!({"leaseMs": 30, "retryBackoffMs": 1, "retryBackoffMaxMs": 1});
    put(&service, MAILER, settings).await.expect(201);
    let first = fetch(&service).await;
    let second = fetch(&service).await;
    assert_eq!(second[0]["event"], first[0]["event"]);
    assert_eq!(second[0]["attempt"], 2);
    let late = json!({"fences": [first[0]["fence"]]});
    service
        .post(&format!("{MAILER}/ack"), late)
        .await
        .problem(409, "fenced");
}

#[tokio::test]
async fn malformed_answers_are_refused_by_name() {
    let service = service().await;
    mailer(&service).await;
    for (path, body, field) in [
        ("ack", json!({}), "fences"),
        ("ack", json!({"fences": [7]}), "fences"),
        ("ack", json!({"fences": ["+7"]}), "fences"),
        ("nack", json!({"fences": []}), "error"),
        (
            "nack",
            json!({"fences": [], "error": "x", "delayMs": 86_400_001}),
            "delayMs",
        ),
        ("fetch", json!({"limit": 0}), "limit"),
        ("fetch", json!({"limit": 1_001}), "limit"),
        ("fetch", json!({"waitMs": 30_001}), "waitMs"),
        ("fetch", json!({"max": 1}), "max"),
    ] {
        let path = format!("{MAILER}/{path}");
        service.post(&path, body).await.invalid(field);
    }
    for path in ["fetch", "ack", "extend"] {
        let path = format!("/v1/consumers/nobody/{path}");
        let body = if path.ends_with("fetch") {
            json!({})
        } else {
            json!({"fences": []})
        };
        service.post(&path, body).await.problem(404, "not_found");
    }
}
