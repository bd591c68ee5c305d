//! How a page is answered: with the headers that keep it from being more than a page.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::Markup;

/// Only what is served here is loaded, nothing inline is run, and no other site frames a page.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// A page and its status.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) markup: Markup,
}

impl Page {
    /// A page that was found.
    pub(super) fn found(markup: Markup) -> Page {
        Page {
            status: StatusCode::OK,
            markup,
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            // A page shows the state now, and what it shows may be confidential.
            (CACHE_CONTROL, "private, no-cache"),
        ];
        guarded((self.status, headers, self.markup.into_string()))
    }
}

/// Adds the headers that every answer of the console has.
pub(super) fn guarded(answer: impl IntoResponse) -> Response {
    const GUARDS: [(HeaderName, HeaderValue); 4] = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Addresses hold ids; they are nobody else's business.
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    let mut response = answer.into_response();
    response.headers_mut().extend(GUARDS);
    response
}
