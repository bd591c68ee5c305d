//! The deliveries of a consumer as server-sent events.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use retold::consumer::Consumer;
use tokio::time::Instant;

use super::delivering::DeliveryView;
use super::open;
use crate::App;
use crate::api::answer::{Problem, event_stream};
use crate::api::limits::{FETCH_LIMIT_DEFAULT, PROGRESS_INTERVAL, bytes_of_page};
use crate::api::request::{ConsumerName, Form, NoParameters, accept};
use crate::api::schema;
use crate::room::Taken;

/// The deliveries as server-sent events, for as long as the client stays.
///
/// Each is to be acknowledged or rejected like one that was fetched; as many are under way as the
/// settings allow. Its `id` is the fence. Every 15 s at the latest an `event: progress` says through
/// which position the consumer is complete. What is under way when the client goes is delivered
/// again once its lease has run out.
#[utoipa::path(
    get,
    path = "/v1/consumers/{consumer}/live",
    tag = "consumers",
    params(schema::ConsumerPath),
    responses((status = 200, description = "The deliveries.",
        content((String = "text/event-stream")))),
)]
pub(super) async fn follow_deliveries(
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    accept(&headers, &[Form::EventStream])?;
    let consumer = open(&app, &name).await?;
    let following = Following {
        app,
        consumer,
        sending: None,
        progress_due: Instant::now(),
    };
    let messages = stream::unfold(following, |mut following| async move {
        let messages = following.next().await?;
        Some((Ok::<_, std::io::Error>(messages), following))
    });
    Ok(event_stream(Body::from_stream(messages)))
}

struct Following {
    app: App,
    consumer: Consumer,
    /// Of the messages that are being sent.
    sending: Option<Taken>,
    progress_due: Instant,
}

impl Following {
    /// The next messages; none when the consumer does not go on.
    async fn next(&mut self) -> Option<Bytes> {
        self.sending = None;
        let wait = self.progress_due.saturating_duration_since(Instant::now());
        let deliveries = match wait.is_zero() {
            true => Vec::new(),
            false => {
                self.consumer
                    .fetch(FETCH_LIMIT_DEFAULT as usize, wait)
                    .await
            }
        };
        if !deliveries.is_empty() {
            let room = self
                .app
                .rooms()
                .answers
                .wait(bytes_of_page(deliveries.len()));
            let mut room = room.await;
            let mut messages = Vec::new();
            for delivery in &deliveries {
                let view = DeliveryView::of(delivery);
                let fence = crate::api::fence_text(delivery.fence);
                messages.extend_from_slice(format!("id: {fence}\ndata: ").as_bytes());
                serde_json::to_writer(&mut messages, &view).ok()?;
                messages.extend_from_slice(b"\n\n");
            }
            room.keep(messages.len());
            self.sending = Some(room);
            return Some(Bytes::from(messages));
        }
        let status = self.consumer.status().await.ok()?;
        if !status.is_open {
            return None;
        }
        // A consumer that ends hands out nothing at once; nobody is told the same all the time.
        if Instant::now() < self.progress_due {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.progress_due = Instant::now() + PROGRESS_INTERVAL;
        let position = status.position;
        let message = format!("event: progress\ndata: {{\"completeThrough\":{position}}}\n\n");
        Some(Bytes::from(message))
    }
}
