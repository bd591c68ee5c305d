//! Server-sent events, and streams over a real connection.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::Method;
use futures::StreamExt;
use retold::{Damage, StoreError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::support::{Service, failing, request, service};

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a client of server-sent events has received.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    async fn of(service: &Service, path: &str, last: Option<&str>) -> Events {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(last.map(|last| ("last-event-id", last)));
        let request = request(Method::GET, path, &headers, Body::empty());
        let response = service.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// Waits until a message has been received that contains this.
    async fn until(&mut self, wanted: &str) -> &str {
        while !self.text.contains(wanted) {
            let piece = tokio::time::timeout(DEADLINE, self.body.next()).await;
            let piece = piece.unwrap_or_else(|_| panic!("no {wanted} in {}", self.text));
            let piece = piece.unwrap_or_else(|| panic!("no {wanted} in {}", self.text));
            self.text
                .push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        }
        &self.text
    }

    fn ids(&self) -> Vec<&str> {
        let messages = self.text.split("\n\n").filter(|m| m.starts_with("id: "));
        messages
            .map(|m| m.lines().next().unwrap().trim_start_matches("id: "))
            .collect()
    }
}

#[tokio::test]
async fn history_comes_first_and_then_what_is_new() {
    let service = service().await;
    service.append("Note/1", "t").await;
    service.append("Note/1", "t").await;
    let mut events = Events::of(&service, "/v1/events", None).await;
    let text = events.until("event: progress").await;
    assert!(
        text.contains("event: progress\nid: 2\ndata: {\"completeThrough\":2}\n\n"),
        "{text}"
    );
    assert!(
        text.starts_with("id: 1\ndata: {\"aggregateType\":\"Note\""),
        "{text}"
    );
    service.append("Note/1", "t").await;
    events.until("\"completeThrough\":3").await;
    assert_eq!(events.ids(), ["1", "2", "3"]);
    for message in events.text.trim_end().split("\n\n") {
        assert!(
            message
                .lines()
                .filter(|line| line.starts_with("data: "))
                .count()
                == 1
        );
    }
}

#[tokio::test]
async fn a_client_resumes_behind_what_it_saw_last() {
    let service = service().await;
    for _ in 0..4 {
        service.append("Note/1", "t").await;
    }
    let mut events = Events::of(&service, "/v1/events?after=1", Some("3")).await;
    events.until("event: progress").await;
    assert_eq!(events.ids(), ["4"]);
    let mut events = Events::of(&service, "/v1/events?after=2", None).await;
    events.until("event: progress").await;
    assert_eq!(events.ids(), ["3", "4"]);
    let mut events = Events::of(&service, "/v1/events?after=head&aggregateType=Other", None).await;
    events.until("\"completeThrough\":4").await;
    service.append("Note/1", "t").await;
    service.append("Other/1", "t").await;
    events.until("\"completeThrough\":6").await;
    assert_eq!(events.ids(), ["6"]);

    let sse = [("accept", "text/event-stream")];
    for (path, last, field) in [
        ("/v1/events?after=7", None, "after"),
        ("/v1/events", Some("7"), "after"),
        ("/v1/events", Some("x"), "Last-Event-ID"),
        ("/v1/events?limit=1", None, "limit"),
    ] {
        let mut headers = sse.to_vec();
        headers.extend(last.map(|last| ("last-event-id", last)));
        let answer = service.send(request(Method::GET, path, &headers, Body::empty()));
        answer.await.invalid(field);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_progress() {
    let service = service().await;
    let mut events = Events::of(&service, "/v1/events", None).await;
    for _ in 0..3 {
        events.text.clear();
        events.until("event: progress\nid: 0\n").await;
    }
}

#[tokio::test]
async fn damage_ends_a_live_stream_with_the_problem() {
    let (service, store) = failing().await;
    service.append("Note/1", "t").await;
    let mut events = Events::of(&service, "/v1/events", None).await;
    events.until("event: progress").await;
    store.fail_with(Some(StoreError::corrupt(Damage::default(), "")));
    let inner = service.retold.clone();
    let wake = tokio::spawn(async move {
        let stream = retold::StreamId::new("Note", "2").unwrap();
        let event = retold::NewEvent::new(stream, "t", &1).unwrap();
        inner.append(event).await
    });
    assert!(wake.await.unwrap().is_err(), "the store fails");
    store.fail_with(None);
    service.append("Note/1", "t").await;
    store.fail_with(Some(StoreError::corrupt(Damage::default(), "")));
    service_wakes(&mut events).await;
}

/// The store may have been read before it began to fail: then the next read meets the damage.
async fn service_wakes(events: &mut Events) {
    let text = events.until("event: error").await;
    assert!(text.contains("\"code\":\"corrupt\""), "{text}");
    assert!(events.body.next().await.is_none());
}

async fn listening(service: &Service) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = service.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn everything(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(DEADLINE, read).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn an_error_half_way_breaks_the_connection_before_the_last_chunk() {
    let (service, store) = failing().await;
    // Larger than what the system buffers for a connection, so that there is a half-way.
    let payload = "x".repeat(500_000);
    for _ in 0..40 {
        let body = serde_json::json!({"eventType": "t", "payload": payload});
        service
            .post("/v1/streams/Note/1/events", body)
            .await
            .expect_status(201);
    }
    let mut stream = TcpStream::connect(listening(&service).await).await.unwrap();
    let request = "GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut begun = [0; 4096];
    stream.read_exact(&mut begun).await.unwrap();
    assert!(begun.starts_with(b"HTTP/1.1 200"));
    store.fail_with(Some(StoreError::corrupt(Damage::default(), "")));
    let rest = everything(&mut stream).await;
    assert!(!rest.ends_with("0\r\n\r\n"), "the answer seems whole");
}
