//! Bytes that are no request, no text, no JSON, or more than fits.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{serve, within};

const EVENTS: &str = "/v1/streams/Note/1/events";

#[tokio::test]
async fn what_is_no_request_ends_its_own_connection_only() {
    let server = serve(|_| {}).await;
    let long = format!(
        "GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(400_000)
    );
    let twice = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\
                 content-length: 6\r\n\r\nhello";
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: local\0host\r\n\r\n",
        b"\r\n\r\nnonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        long.as_bytes(),
        twice.as_bytes(),
    ] {
        let mut stream = server.connect().await;
        // The server may close before everything is sent, and the end may be a reset.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = within(stream.read_to_end(&mut answer)).await;
        let is_refused = answer.is_empty() || answer.starts_with(b"HTTP/1.1 4");
        assert!(is_refused, "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(server.append("1").await, 201);
    server.forgets_its_clients().await;
}

#[tokio::test]
async fn bodies_that_are_no_text_no_json_or_too_deep_are_told_so() {
    let server = serve(|_| {}).await;
    let event = |payload: &[u8]| {
        let mut body = br#"{"eventType":"t","payload":"#.to_vec();
        body.extend_from_slice(payload);
        body.push(b'}');
        body
    };
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for (body, status, code) in [
        (event(b"\"\xff\xfe\""), 400, "invalid"),
        (event(b"\"\xed\xa0\x80\""), 400, "invalid"),
        (event(b"nul"), 400, "invalid"),
        (event(b"\"a\0b\""), 400, "invalid"),
        (b"\xef\xbb\xbf{}".to_vec(), 400, "invalid"),
        (Vec::new(), 400, "invalid"),
        (event(deep.as_bytes()), 413, "too_large"),
        (event("[".repeat(500_000).as_bytes()), 400, "invalid"),
    ] {
        server.post(EVENTS, &body).await.problem(status, code);
    }
    assert_eq!(server.head_position().await, 0);
}

/// The largest payload, with as much white space around it as makes more than a mebibyte.
#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_kept_whole() {
    let server = serve(|_| {}).await;
    let text = format!("\"{}\"", "é".repeat((960 * 1024 - 2) / 2));
    let white = " ".repeat(100_000);
    let body = format!("{{\"eventType\":\"t\",\"payload\":{white}{text}}}");
    assert!(body.len() > 1 << 20);
    assert_eq!(server.post(EVENTS, body.as_bytes()).await.status, 201);
    let read = server.get(EVENTS).await.json();
    assert_eq!(read["events"][0]["payload"].to_string(), text);
    let over = format!("{{\"eventType\":\"t\",\"payload\":\"x{}", &text[1..]) + "}";
    server
        .post(EVENTS, over.as_bytes())
        .await
        .problem(413, "too_large");
}
