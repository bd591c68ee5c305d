//! Room for bodies and answers: a request waits for the room of its body, an answer is sent once
//! there is room for it, and both are counted until they are gone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::limits;
use crate::App;
use crate::room::Taken;

/// Takes room for an answer.
///
/// What reads a page brings the room that it was read in, and what streams its answer takes room
/// for each part itself.
pub(super) async fn hold_answer(app: &App, mut response: Response) -> Response {
    let size = response.body().size_hint().exact().unwrap_or(0);
    let taken = match response.extensions_mut().remove::<Arc<Taken>>() {
        Some(brought) => brought,
        None if size <= limits::SMALL_ANSWER_BYTES => return response,
        None => {
            let bytes = usize::try_from(size).unwrap_or(usize::MAX);
            // What was asked for is done, so the answer waits, and must not become a refusal.
            Arc::new(app.rooms().answers.wait(bytes).await)
        }
    };
    response.map(|body| Body::new(Held::new(body, taken)))
}

/// The room stays taken while the body is received, and after that until the answer is made.
pub(super) async fn hold_body(
    app: &App,
    request: Request,
) -> Result<(Request, Option<Arc<Taken>>), Response> {
    if request.body().is_end_stream() {
        return Ok((request, None));
    }
    let taken = app.rooms().bodies.take(bytes_of(request.headers())).await;
    let taken = Arc::new(taken.map_err(IntoResponse::into_response)?);
    let held = Arc::clone(&taken);
    let request = request.map(|body| Body::new(Held::new(body, held)));
    Ok((request, Some(taken)))
}

/// What the body will hold in memory. Lines are read one by one, so of a longer body of lines
/// only a part counts; whatever else is longer is refused without being held.
fn bytes_of(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let is_lines = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/x-ndjson"));
    let most = match is_lines {
        true => limits::LINES_BYTES,
        false => limits::UNKNOWN_BODY_BYTES,
    };
    length.map_or(most, |length: usize| length.min(most))
}

/// A body with its room.
struct Held {
    body: Body,
    _taken: Arc<Taken>,
}

impl Held {
    fn new(body: Body, taken: Arc<Taken>) -> Held {
        Held {
            body,
            _taken: taken,
        }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    /// Never: a body that says so is dropped when its last part is handed on, not when that part
    /// is sent.
    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
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
        assert_eq!(bytes_of(&headers), limits::LINES_BYTES);
    }
}
