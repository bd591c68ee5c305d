//! Live streams have no end of their own: when the server stops, they are ended, so that it need
//! not wait for them. Their clients come again with the last id they saw.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::watch;

/// Ends a live stream when the server stops; other answers are passed on.
pub(super) fn end_live_stream(response: Response, stopping: &watch::Receiver<bool>) -> Response {
    let content_type = response.headers().get(CONTENT_TYPE);
    if !content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    response.map(|body| Body::new(Ending::new(body, stopping.clone())))
}

struct Ending {
    body: Body,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Ending {
    fn new(body: Body, mut stopping: watch::Receiver<bool>) -> Ending {
        Ending {
            body,
            stopped: Box::pin(async move {
                // A server that is gone has stopped too.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            }),
        }
    }
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures::stream;

    use super::*;

    #[tokio::test]
    async fn a_stream_without_an_end_is_ended() {
        let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let (stopping, is_stopping) = watch::channel(false);
        let ending = Body::new(Ending::new(endless, is_stopping));
        let read = tokio::spawn(to_bytes(ending, 10));
        tokio::task::yield_now().await;
        assert!(!read.is_finished());
        stopping.send_replace(true);
        assert_eq!(read.await.unwrap().unwrap(), Bytes::new());
    }
}
