//! The webhook of a consumer: what was sent last, and trying the receiver out.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::{NewEvent, RecordedEvent, StreamId, Timestamp};
use serde::Serialize;

use crate::App;
use crate::api::answer::{Code, Problem, json};
use crate::api::request::{AsJson, ConsumerName, NoParameters};
use crate::api::schema;
use crate::webhook::{Sent, WebhookSettings};

#[derive(Serialize)]
struct SentList {
    deliveries: Vec<Sent>,
}

/// The newest attempts to deliver, newest first: at most 1,000, since the service was started.
#[utoipa::path(
    get,
    path = "/v1/consumers/{consumer}/webhook/deliveries",
    tag = "consumers",
    params(schema::ConsumerPath),
    responses((status = 200, description = "The attempts.", body = schema::SentListBody)),
)]
pub(super) async fn list_webhook_deliveries(
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    app.retold().consumer_status(name.clone()).await?;
    let deliveries = app.webhooks().history(&name);
    json(StatusCode::OK, &SentList { deliveries })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tried {
    is_delivered: bool,
    status: Option<u16>,
    error: Option<String>,
}

/// Sends a made-up event to the receiver, signed as all are, with the header `Retold-Test: true`.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/webhook/test",
    tag = "consumers",
    params(schema::ConsumerPath),
    responses((status = 200, description = "What came of it.", body = schema::TriedBody)),
)]
pub(super) async fn test_webhook(
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let status = app.retold().consumer_status(name.clone()).await?;
    let webhook = status.settings.webhook.as_ref();
    let webhook = webhook.ok_or_else(|| {
        let detail = format!("find a webhook of the consumer {name}");
        Problem::new(Code::NotFound, detail).hint("give it one with PUT")
    })?;
    let settings = WebhookSettings::read(webhook)?;
    let event = made_up(&name)?;
    let tried = app.webhooks().try_out(&name, &settings, &event).await;
    let tried = match tried {
        Ok(answered) => Tried {
            is_delivered: answered.verdict().is_ok(),
            status: Some(answered.status),
            error: answered.verdict().err().map(|no| no.error.to_string()),
        },
        Err(error) => Tried {
            is_delivered: false,
            status: None,
            error: Some(error),
        },
    };
    json(StatusCode::OK, &tried)
}

fn made_up(consumer: &str) -> Result<RecordedEvent, Problem> {
    let payload = serde_json::json!({"consumer": consumer, "text": "a trial"});
    let stream = StreamId::new("Test", "1")?;
    let event = NewEvent::new(stream, "webhook.tested", &payload)?;
    Ok(event.record(1, 1, Timestamp::now()))
}
