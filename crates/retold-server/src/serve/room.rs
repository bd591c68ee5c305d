//! Room for request bodies: what all connections together hold in memory is bounded, by the
//! length that each request announces.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::Body;
use tokio::sync::Semaphore;

use super::limits;

/// Room is counted in pieces of this, since permits are counted in 32 bits.
const PIECE_BYTES: usize = 1024;

#[derive(Clone)]
pub(super) struct Room {
    pieces: Arc<Semaphore>,
}

impl Room {
    pub(super) fn new() -> Room {
        Room {
            pieces: Arc::new(Semaphore::new(limits::BODIES_BYTES_MAX / PIECE_BYTES)),
        }
    }
}

/// Takes room for the request's body until the answer begins.
pub(super) async fn take(State(room): State<Room>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let pieces = bytes_of(request.headers()).div_ceil(PIECE_BYTES);
    let pieces = u32::try_from(pieces).expect("lengths are cut to a few MiB");
    let taken = room.pieces.acquire_many(pieces);
    match tokio::time::timeout(limits::ROOM_WAIT, taken).await {
        Ok(_taken) => next.run(request).await,
        Err(_) => busy(),
    }
}

/// What the body will hold in memory. Lines are read one by one, so of a longer body of lines
/// only the longest counts; whatever else is longer is refused without being held.
fn bytes_of(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let is_lines = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/x-ndjson"));
    let most = match is_lines {
        true => limits::UNKNOWN_BODY_BYTES / 8,
        false => limits::UNKNOWN_BODY_BYTES,
    };
    length.map_or(most, |length: usize| length.min(most))
}

fn busy() -> Response {
    let problem = r#"{"type":"about:blank","title":"Busy","status":503,"code":"busy","detail":"failed to take in the request: too many are being received at once; nothing was written, try again"}"#;
    let headers = [
        (CONTENT_TYPE, "application/problem+json"),
        (RETRY_AFTER, "1"),
    ];
    (StatusCode::SERVICE_UNAVAILABLE, headers, problem).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_holds_follows_from_its_head() {
        let mut headers = HeaderMap::new();
        assert_eq!(bytes_of(&headers), limits::UNKNOWN_BODY_BYTES);
        headers.insert(CONTENT_LENGTH, "17".parse().unwrap());
        assert_eq!(bytes_of(&headers), 17);
        headers.insert(CONTENT_LENGTH, "99999999999".parse().unwrap());
        assert_eq!(bytes_of(&headers), limits::UNKNOWN_BODY_BYTES);
        headers.insert(CONTENT_TYPE, "application/x-ndjson".parse().unwrap());
        assert_eq!(bytes_of(&headers), limits::UNKNOWN_BODY_BYTES / 8);
    }
}
