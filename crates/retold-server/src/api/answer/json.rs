//! Answers in JSON, and the headers of a stream.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use retold::{EventId, SequenceNumber};
use serde::Serialize;

use super::{Code, Problem};

/// The sequence number of the newest event of the stream that was read.
const SEQUENCE_HEADER: HeaderName = HeaderName::from_static("retold-stream-sequence");

/// A value as JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "failed to write an answer");
        Problem::new(Code::Internal, "write the answer")
    })?;
    Ok(json_text(status, body))
}

/// An answer that is JSON already.
pub(super) fn json_text(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = (status, body).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The status of a write: a repeated one made nothing.
pub(crate) fn written(is_new: bool) -> StatusCode {
    match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    }
}

/// Adds the entity tag of a stream: what `If-Match` expects.
pub(crate) fn etag(mut response: Response, sequence: SequenceNumber) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{sequence}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Adds where an event that was written is found.
pub(super) fn with_location(mut response: Response, event_id: &EventId) -> Response {
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/events/{event_id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Adds the newest sequence number of the stream that was read.
pub(crate) fn with_sequence(mut response: Response, sequence: SequenceNumber) -> Response {
    let value = HeaderValue::from(sequence);
    response.headers_mut().insert(SEQUENCE_HEADER, value);
    response
}
