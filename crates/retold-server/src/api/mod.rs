//! The HTTP API: what is asked (`request`), what is answered (`answer`), the `routes` between
//! them, and the document that describes them.

mod answer;
mod docs;
mod document;
mod limits;
mod request;
mod routes;
mod schema;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::App;

pub(crate) use answer::{Code, Problem};
pub(crate) use limits::bytes_of_page;
pub(crate) use request::{cursor, cursor_text};
pub(crate) use routes::lag_seconds;

/// The routes of the API.
pub(crate) fn router() -> Router<App> {
    let (routes, document) = routes::router().split_for_parts();
    let document = document::finish(document);
    let page = docs::page(&document);
    let json = serde_json::to_vec(&document).unwrap_or_default();
    routes
        .route(
            "/openapi.json",
            get(move || async move { fixed("application/json", json) }),
        )
        .route(
            "/docs",
            get(move || async move { fixed("text/html; charset=utf-8", page) }),
        )
        .route(
            "/docs.css",
            get(|| async { fixed("text/css; charset=utf-8", docs::STYLE) }),
        )
}

/// A fence as a text: in digits of one length, so that the higher one is also the later text.
pub(crate) fn fence_text(fence: u64) -> String {
    format!("{fence:019}")
}

/// Something that never changes while the program runs.
fn fixed(media_type: &'static str, body: impl IntoResponse) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    let policy = HeaderValue::from_static(docs::POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// What is answered where there is no route.
pub(crate) fn no_route() -> Problem {
    Problem::new(Code::NotFound, "find what the path names").hint("/docs lists what there is")
}

/// What is answered where the route does not offer the method.
pub(crate) async fn no_method() -> Problem {
    Problem::new(Code::MethodNotAllowed, "use this method here")
}
