//! What is left of a body when its request is answered early. A client that sends all of it
//! before it reads would lose the answer to the reset of a connection that is closed with
//! something unread, so a bounded part of the rest is read and thrown away.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

/// Bytes that are thrown away; the connection of a longer body is cut off.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long they are read for.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Sees to the rest of each request's body.
pub(super) async fn drain_rest(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Who asks before sending need not send: such a body is left alone until it is wanted.
    let is_coming = !request.headers().contains_key(EXPECT);
    next.run(request.map(|body| Body::new(Drained { body, is_coming })))
        .await
}

/// A body whose rest is drained when nobody wants it any more. The answer does not wait for that.
struct Drained {
    body: Body,
    /// Whether more of it is on its way.
    is_coming: bool,
}

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_coming = true;
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.is_coming = matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        if !self.is_coming || self.body.is_end_stream() {
            return;
        }
        // Without a runtime there is no connection whose client could be waiting.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(drain(std::mem::take(&mut self.body)));
        }
    }
}

async fn drain(mut body: Body) {
    let deadline = Instant::now() + TIME_MAX;
    let mut bytes = 0;
    while bytes < BYTES_MAX {
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len),
            _ => return,
        }
    }
}
