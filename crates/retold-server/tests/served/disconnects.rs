//! Clients that go away half-way, in either direction.

use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::support::{eventually, serve, within};

#[tokio::test]
async fn half_a_body_writes_nothing_and_leaves_nothing() {
    let server = serve(|_| {}).await;
    for (path, media_type) in [
        ("/v1/streams/Note/1/events", "application/json"),
        ("/v1/streams/Issue/1/transitions", "application/json"),
        ("/v1/machines/Door", "application/toml"),
        ("/v1/events", "application/x-ndjson"),
        ("/v1/restore", "application/x-ndjson"),
    ] {
        let method = if path.contains("machines") {
            "PUT"
        } else {
            "POST"
        };
        let headers = [
            &format!("content-type: {media_type}"),
            "content-length: 1000",
        ];
        let head = server.head(&format!("{method} {path}"), &headers);
        let stream = server.begin(&(head + "\r\n{\"eventType\": ")).await;
        eventually("the request", async || {
            server.metric("retold_http_body_bytes").await > 0
        })
        .await;
        drop(stream);
        server.forgets_its_clients().await;
    }
    assert_eq!(server.head_position().await, 0);
    assert_eq!(server.append("1").await, 201);
}

/// Once a wrapper did not pass on that a body has no bytes: each read was then counted as a body
/// without a length, and sixteen reads at work kept every write out.
#[tokio::test]
async fn a_request_without_a_body_takes_no_room_for_one() {
    let server = serve(|_| {}).await;
    assert_eq!(server.append("1").await, 201);
    let path = "GET /v1/streams/Note/1/state?minPosition=9&waitMs=30000";
    let _waiting = server.begin(&(server.head(path, &[]) + "\r\n")).await;
    eventually("a read at work", async || {
        server.metric("retold_http_requests_at_work").await == 2
    })
    .await;
    assert_eq!(server.metric("retold_http_body_bytes").await, 0);
}

#[tokio::test]
async fn the_lines_that_came_whole_are_done() {
    let server = serve(|_| {}).await;
    let line = json!({"aggregateType": "Note", "aggregateId": "1", "eventType": "t", "payload": 1});
    let headers = [
        "content-type: application/x-ndjson",
        "content-length: 100000",
    ];
    let head = server.head("POST /v1/events", &headers);
    let lines = format!("{line}\n{line}\n{line}\n{{\"aggregate");
    let stream = server.begin(&(head + "\r\n" + &lines)).await;
    eventually("three events", async || server.head_position().await == 3).await;
    drop(stream);
    server.forgets_its_clients().await;
    assert_eq!(server.head_position().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_leaves_nothing() {
    let server = serve(|_| {}).await;
    server.fill(24).await;
    for (path, accept) in [
        ("/v1/events", "application/json"),
        ("/v1/events", "application/x-ndjson"),
        ("/v1/events", "text/event-stream"),
        ("/v1/streams/Note/large/events", "application/json"),
        ("/v1/streams/Note/large/events", "application/x-ndjson"),
    ] {
        let accept = format!("accept: {accept}");
        let head = server.head(&format!("GET {path}"), &[&accept]) + "\r\n";
        let mut stream = server.begin(&head).await;
        let mut begun = [0; 4096];
        within(stream.read_exact(&mut begun)).await.unwrap();
        assert!(begun.starts_with(b"HTTP/1.1 200"));
        drop(stream);
        server.forgets_its_clients().await;
    }
}

#[tokio::test]
async fn a_live_client_that_is_gone_is_noticed_when_there_is_news() {
    let server = serve(|_| {}).await;
    let head = server.head("GET /v1/events", &["accept: text/event-stream"]) + "\r\n";
    let mut stream = server.begin(&head).await;
    let mut begun = [0; 64];
    within(stream.read_exact(&mut begun)).await.unwrap();
    drop(stream);
    eventually("the end of the live stream", async || {
        assert_eq!(server.append("1").await, 201);
        server.metric("retold_http_connections").await == 1
    })
    .await;
}
