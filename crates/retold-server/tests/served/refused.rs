//! Requests that are refused before their body is read: a client that sends all of it before it
//! reads still learns why.

use tokio::io::AsyncWriteExt;

use crate::support::{Answer, serve};

/// More than the system buffers for a connection.
const BYTES: usize = 20 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_is_read_by_whoever_sends_first() {
    let server = serve(|_| {}).await;
    let json = "content-type: application/json";
    let events = "POST /v1/streams/Note/1/events";
    for (line, headers, status, code) in [
        (events, &[json][..], 413, "too_large"),
        (
            events,
            &["content-type: text/plain"],
            415,
            "unsupported_media_type",
        ),
        (
            events,
            &[json, "origin: http://example.com"],
            403,
            "forbidden",
        ),
        (
            "POST /v1/streams/Note/1/events?x=1",
            &[json],
            400,
            "invalid",
        ),
        ("POST /v1/streams/1/1/events", &[json], 400, "invalid"),
        ("POST /v1/nowhere", &[json], 404, "not_found"),
        ("POST /v1/info", &[json], 405, "method_not_allowed"),
        (
            "POST /v1/streams/Issue/1/transitions",
            &[json],
            413,
            "too_large",
        ),
        (
            "PUT /v1/machines/Door",
            &["content-type: application/toml"],
            413,
            "too_large",
        ),
        (
            "POST /v1/restore",
            &["content-type: application/x-ndjson"],
            413,
            "too_large",
        ),
    ] {
        let answer = server.ask(line, headers, &vec![b'x'; BYTES]).await;
        answer.problem(status, code);
    }
    assert_eq!(server.head_position().await, 0);
    server.forgets_its_clients().await;
}

/// The same connection serves the next request: what was drained is not mistaken for it.
#[tokio::test]
async fn a_connection_goes_on_behind_a_refusal() {
    let server = serve(|_| {}).await;
    let headers = ["content-type: text/plain", "content-length: 300000"];
    let refused = server.head("POST /v1/streams/Note/1/events", &headers) + "\r\n";
    let mut stream = server.begin(&refused).await;
    stream.write_all(&[b'x'; 300_000]).await.unwrap();
    let next = server.head("GET /livez", &["connection: close"]) + "\r\n";
    stream.write_all(next.as_bytes()).await.unwrap();
    let answers = Answer::read(&mut stream).await;
    assert_eq!(answers.status, 415);
    assert!(answers.body.contains("HTTP/1.1 200"), "{}", answers.body);
    assert!(
        answers.body.ends_with("{\"status\":\"alive\"}"),
        "{}",
        answers.body
    );
}

/// Who asks before sending need not send.
#[tokio::test]
async fn who_asks_first_is_not_told_to_send() {
    let server = serve(|_| {}).await;
    let length = format!("content-length: {BYTES}");
    for (media_type, status, code) in [
        ("application/json", 413, "too_large"),
        ("text/plain", 415, "unsupported_media_type"),
    ] {
        let media_type = format!("content-type: {media_type}");
        let headers = [
            &media_type,
            &length,
            "expect: 100-continue",
            "connection: close",
        ];
        let head = server.head("POST /v1/streams/Note/1/events", &headers) + "\r\n";
        let mut stream = server.begin(&head).await;
        Answer::read(&mut stream).await.problem(status, code);
    }
}
