//! What the console answers: that every text stays text, pages stay bounded, and each answer has
//! the headers that keep it from being more than a page.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod bounds;
mod failures;
mod headers;
mod links;

use axum::Router;
use axum::body::Body;
use axum::http::header::{ACCEPT, HOST};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use retold::{Retold, Transition};
use retold_server::{App, Options};
use tower::ServiceExt;

/// Texts that mean something in HTML, in URLs or on a terminal.
const HOSTILE: [&str; 8] = [
    "a/b/c",
    "</pre><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "100% %2F %2e%2e &amp; &lt;",
    "?at=1&type=x#y",
    "crab \u{1F980} \u{202E}backwards",
    "javascript:alert(1)",
    "\\..\\{{7*7}}${7*7}",
];

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn ask(service: &Router, mut request: Request<Body>) -> Answer {
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    headers.insert(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
    let response = service.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn get(service: &Router, address: &str) -> Answer {
    let request = Request::get(address).body(Body::empty()).unwrap();
    ask(service, request).await
}

async fn open() -> (Retold, Router) {
    let builder = Retold::builder().builtin_machines();
    let retold = builder.open("memory:").await.unwrap();
    let service = retold_server::router(App::new(retold.clone(), Options::default()));
    (retold, service)
}

/// Percent-encodes every byte, which is always allowed.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The text as HTML, the way it must stand in a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

async fn start(retold: &Retold, id: &str) {
    let start = Transition::new("Issue", id)
        .to("IN_PROGRESS")
        .event("start_work");
    retold.transition(start).await.unwrap();
}
