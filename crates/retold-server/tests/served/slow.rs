//! Clients that send slowly, or stop sending.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, serve, within};

/// How long a body may stand still here.
const STALL: Duration = Duration::from_millis(300);

fn line(id: u32) -> String {
    json!({"aggregateType": "Note", "aggregateId": id.to_string(), "eventType": "t", "payload": 1})
        .to_string()
}

#[tokio::test]
async fn a_client_that_is_slow_but_goes_on_is_served() {
    let server = serve(|limits| limits.body_stall = STALL).await;
    let body = json!({"eventType": "t", "payload": "x".repeat(50)}).to_string();
    let headers = [
        "content-type: application/json",
        "connection: close",
        &format!("content-length: {}", body.len()),
    ];
    let request = server.head("POST /v1/streams/Note/1/events", &headers) + "\r\n" + &body;
    let mut stream = server.connect().await;
    for byte in request.as_bytes() {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(STALL / 100).await;
    }
    assert_eq!(Answer::read(&mut stream).await.status, 201);
}

#[tokio::test]
async fn a_body_that_stands_still_is_refused_and_writes_nothing() {
    let server = serve(|limits| limits.body_stall = STALL).await;
    let headers = [
        "content-type: application/json",
        "content-length: 1000",
        "connection: close",
    ];
    let head = server.head("POST /v1/streams/Note/1/events", &headers);
    let mut stream = server.begin(&(head + "\r\n{\"eventType\":")).await;
    Answer::read(&mut stream).await.problem(400, "invalid");
    assert_eq!(server.head_position().await, 0);
    server.forgets_its_clients().await;
}

/// What was sent whole is done and answered; then the answer breaks off, so that the client sees
/// that there is more to send again.
#[tokio::test]
async fn lines_that_stop_coming_break_the_answer_off() {
    let server = serve(|limits| limits.body_stall = STALL).await;
    let headers = [
        "content-type: application/x-ndjson",
        "content-length: 100000",
    ];
    let head = server.head("POST /v1/events", &headers);
    let lines = format!("{}\n{}\n{{\"aggregateType\":", line(1), line(2));
    let mut stream = server.begin(&(head + "\r\n" + &lines)).await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let results = answer.lines().filter(|line| line.starts_with("{\"isNew\""));
    let results: Vec<Value> = results
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(results.len(), 2, "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "the answer seems whole");
    assert_eq!(server.head_position().await, 2);
    server.forgets_its_clients().await;
}
