//! What the tests share: a service in memory, requests, and answers.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use retold::{
    Appended, Capabilities, EventId, EventStore, LogHead, LogPage, LogQuery, Position,
    RecordedEvent, RestoreBatch, Retold, StoreError, StreamHead, StreamId, StreamPage, StreamQuery,
    StreamsPage, StreamsQuery,
};
use retold_core::{Append, Era};
use retold_server::{App, Options, router};
use serde_json::Value;
use tower::ServiceExt;

/// A service in memory with what is shipped.
pub(crate) struct Service {
    pub(crate) retold: Retold,
    pub(crate) router: Router,
}

pub(crate) async fn service() -> Service {
    let retold = Retold::builder().builtin_machines().builtin_projections();
    Service::over(retold.open("memory:").await.unwrap())
}

/// A service whose store fails with the error that is set.
pub(crate) async fn failing() -> (Service, Arc<FailingStore>) {
    let inner = Retold::open("memory:").await.unwrap().store().clone();
    let store = Arc::new(FailingStore {
        inner,
        error: Mutex::new(None),
        once: Mutex::new(None),
    });
    let builder = Retold::builder().builtin_machines().store(store.clone());
    (Service::over(builder.build().await.unwrap()), store)
}

impl Service {
    pub(crate) fn over(retold: Retold) -> Service {
        let router = router(App::new(retold.clone(), Options::default()));
        Service { retold, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, &[], Body::empty()))
            .await
    }

    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        let headers = [("accept", accept)];
        self.send(request(Method::GET, path, &headers, Body::empty()))
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(request(Method::DELETE, path, &[], Body::empty()))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: impl ToString) -> Answer {
        self.post_with(path, &[], body).await
    }

    pub(crate) async fn post_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl ToString,
    ) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.send(request(Method::POST, path, &all, body.to_string().into()))
            .await
    }

    pub(crate) async fn post_lines(&self, path: &str, body: impl Into<Body>) -> Answer {
        let headers = [("content-type", "application/x-ndjson")];
        self.send(request(Method::POST, path, &headers, body.into()))
            .await
    }

    /// Appends a plain event and returns it.
    pub(crate) async fn append(&self, stream: &str, event_type: &str) -> Value {
        let body = serde_json::json!({"eventType": event_type, "payload": {"text": "hi"}});
        let path = format!("/v1/streams/{stream}/events");
        self.post(&path, body).await.expect(201)["event"].clone()
    }

    /// Takes a transition of `Issue/<id>`.
    pub(crate) async fn transition(
        &self,
        id: &str,
        from: Option<&str>,
        to: &str,
        event: &str,
    ) -> Answer {
        let body = serde_json::json!({"fromState": from, "toState": to, "event": event});
        self.post(&format!("/v1/streams/Issue/{id}/transitions"), body)
            .await
    }
}

pub(crate) fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header(header::HOST, "localhost:7878");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }

    /// The problem of an answer with this status and code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.expect(status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("failed to "), "{detail}");
        if let Some(field) = problem["field"].as_str() {
            assert!(detail.contains(field), "{detail} does not mention {field}");
        }
        problem
    }

    /// The problem of a malformed value of this name.
    #[track_caller]
    pub(crate) fn invalid(&self, field: &str) {
        let problem = self.problem(400, "invalid");
        assert_eq!(problem["field"], field, "{problem}");
    }

    /// The lines of NDJSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let lines = self.text().lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// A store that fails with the error that is set, and otherwise does as the one within.
pub(crate) struct FailingStore {
    inner: Arc<dyn EventStore>,
    error: Mutex<Option<StoreError>>,
    /// What comes before that, once.
    once: Mutex<Option<StoreError>>,
}

impl FailingStore {
    pub(crate) fn fail_once_with(&self, error: StoreError) {
        *self.once.lock().unwrap() = Some(error);
    }

    pub(crate) fn fail_with(&self, error: Option<StoreError>) {
        *self.error.lock().unwrap() = error;
    }

    fn check(&self) -> Result<(), StoreError> {
        let once = self.once.lock().unwrap().take();
        let error = once.or_else(|| self.error.lock().unwrap().clone());
        error.map_or(Ok(()), Err)
    }
}

#[async_trait]
impl EventStore for FailingStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn history(&self) -> Vec<Era> {
        self.inner.history()
    }

    async fn append(&self, append: Append) -> Result<Appended, StoreError> {
        self.check()?;
        self.inner.append(append).await
    }

    async fn restore(&self, batch: RestoreBatch) -> Result<Position, StoreError> {
        self.check()?;
        self.inner.restore(batch).await
    }

    async fn read_stream(&self, query: StreamQuery) -> Result<StreamPage, StoreError> {
        self.check()?;
        self.inner.read_stream(query).await
    }

    async fn read_log(&self, query: LogQuery) -> Result<LogPage, StoreError> {
        self.check()?;
        self.inner.read_log(query).await
    }

    async fn read_event(&self, event_id: EventId) -> Result<Option<RecordedEvent>, StoreError> {
        self.inner.read_event(event_id).await
    }

    async fn stream_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, StoreError> {
        self.inner.stream_head(stream).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        self.inner.head().await
    }

    async fn streams(&self, query: StreamsQuery) -> Result<StreamsPage, StoreError> {
        self.inner.streams(query).await
    }

    async fn wait_past(&self, position: Position) -> Result<Position, StoreError> {
        self.inner.wait_past(position).await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.check()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect_status(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
    }
}

/// The OpenAPI document.
pub(crate) async fn document(service: &Service) -> Value {
    service.get("/openapi.json").await.expect(200)
}

/// Every operation as method and path.
pub(crate) fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            operations.push((method, path.clone(), operation.clone()));
        }
    }
    operations
}
