//! The log as server-sent events: history, then live, with progress in between.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, stream};
use retold::{Batch, Position, Subscription};
use tokio::time::{Instant, timeout_at};

use super::Problem;
use super::ndjson::write_event;
use crate::App;
use crate::api::limits::{PROGRESS_INTERVAL, bytes_of_page};
use crate::room::Taken;

/// Follows the log for as long as the client stays. A slow client is read for later: nothing
/// is buffered for it beyond one batch.
pub(crate) fn live(app: App, subscription: Subscription) -> Response {
    event_stream(Body::from_stream(messages(app, subscription)))
}

/// A body of server-sent events.
pub(crate) fn event_stream(body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, media_type);
    // Some proxies hold a response back until it ends, unless told not to.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// What is left to send.
struct Following {
    app: App,
    subscription: Subscription,
    has_begun: bool,
    /// Of the messages that are being sent.
    sending: Option<Taken>,
    progress_due: Instant,
    is_over: bool,
}

fn messages(
    app: App,
    subscription: Subscription,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
    let following = Following {
        app,
        subscription,
        has_begun: false,
        sending: None,
        progress_due: Instant::now() + PROGRESS_INTERVAL,
        is_over: false,
    };
    stream::unfold(following, |mut following| async move {
        if following.is_over {
            return None;
        }
        let messages = following.next().await;
        Some((Ok(messages), following))
    })
}

impl Following {
    async fn next(&mut self) -> Bytes {
        self.sending = None;
        loop {
            let due = self.progress_due;
            let (batch, mut room) = match timeout_at(due, self.batch()).await {
                Ok(Ok(batch)) => batch,
                Ok(Err(error)) => return self.end(&Problem::from(error)),
                Err(_) => return self.progress(self.subscription.complete_through()),
            };
            let messages = self.messages(batch);
            if !messages.is_empty() {
                room.keep(messages.len());
                self.sending = Some(room);
                return Bytes::from(messages);
            }
        }
    }

    /// The next batch, with room for it, which is not taken while there is nothing to read.
    async fn batch(&mut self) -> Result<(Batch, Taken), retold::Error> {
        if self.has_begun {
            let seen = self.subscription.complete_through();
            self.app.retold().store().wait_past(seen).await?;
        }
        let bytes = bytes_of_page(Subscription::BATCH_ENTRIES);
        let room = self.app.rooms().answers.wait(bytes).await;
        let batch = self.subscription.next().await?;
        self.has_begun = true;
        Ok((batch, room))
    }

    fn messages(&mut self, batch: Batch) -> Vec<u8> {
        let mut messages = Vec::new();
        for entry in batch.entries {
            let position = entry.position();
            match entry.into_event() {
                Ok(event) => {
                    messages.extend_from_slice(format!("id: {position}\ndata: ").as_bytes());
                    write_event(&mut messages, &(&event).into());
                    messages.push(b'\n');
                }
                Err(error) => {
                    messages.extend_from_slice(&self.end(&Problem::from(error)));
                    return messages;
                }
            }
        }
        if batch.is_at_head || self.progress_due <= Instant::now() {
            messages.extend_from_slice(&self.progress(batch.complete_through));
        }
        messages
    }

    fn progress(&mut self, complete_through: Position) -> Bytes {
        self.progress_due = Instant::now() + PROGRESS_INTERVAL;
        let message = format!(
            "event: progress\nid: {complete_through}\ndata: {{\"completeThrough\":{complete_through}}}\n\n"
        );
        Bytes::from(message)
    }

    /// The last message: what is wrong.
    fn end(&mut self, problem: &Problem) -> Bytes {
        self.is_over = true;
        let problem = serde_json::to_string(problem).unwrap_or_default();
        Bytes::from(format!("event: error\ndata: {problem}\n\n"))
    }
}
