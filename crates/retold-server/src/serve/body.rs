//! The body of a request as it comes in: one that stands still is ended, and the rest of one that
//! is not wanted is drained. A client that sends all of it before it reads would lose its answer
//! to the reset of a connection that is closed with something unread, so a bounded part of the
//! rest is read and thrown away.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

/// Bytes that are thrown away; the connection of a longer body is cut off.
const DRAINED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long they are read for.
const DRAINED_TIME_MAX: Duration = Duration::from_secs(10);

/// Guards the body of a request that has one; `patience` is how long it may stand still.
pub(super) fn receive(request: Request, patience: Duration) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    // Who asks before sending need not send: such a body is left alone until it is wanted.
    let is_coming = !request.headers().contains_key(EXPECT);
    request.map(|body| {
        Body::new(Received {
            body,
            patience,
            stalled: None,
            is_coming,
        })
    })
}

/// A body whose rest is drained when nobody wants it any more. The answer does not wait for that.
struct Received {
    body: Body,
    patience: Duration,
    /// Runs while the next part is awaited.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether more of it is on its way.
    is_coming: bool,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_coming = true;
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.stalled = None;
            self.is_coming = matches!(frame, Some(Ok(_)));
            return Poll::Ready(frame);
        }
        let patience = self.patience;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        self.is_coming = false;
        let error = io::Error::new(io::ErrorKind::TimedOut, "the client does not send");
        Poll::Ready(Some(Err(axum::Error::new(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Received {
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
    let deadline = Instant::now() + DRAINED_TIME_MAX;
    let mut bytes = 0;
    while bytes < DRAINED_BYTES_MAX {
        match timeout_at(deadline, body.frame()).await {
            Ok(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len),
            _ => return,
        }
    }
}
