//! Consumers: which there are, how each stands, making and removing them (here), taking events
//! from one (`delivering`), deciding about one (`deciding`), and its webhook.

mod deciding;
mod delivering;
mod live;
mod settings;
mod webhook;

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use retold::consumer::{Consumer, ConsumerSettings, ConsumerStatus};
use retold::{Position, Timestamp};
use serde::Serialize;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::api::answer::{Code, Problem, json, written};
use crate::api::request::{
    AsJson, ConsumerName, NoParameters, Parameters, SentJson, SmallBody, wait_time,
};
use crate::api::schema;

/// The routes of consumers.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_consumers))
        .routes(routes!(read_consumer, put_consumer, delete_consumer))
        .routes(routes!(delivering::fetch_deliveries))
        .routes(routes!(delivering::acknowledge_deliveries))
        .routes(routes!(delivering::reject_deliveries))
        .routes(routes!(delivering::extend_deliveries))
        .routes(routes!(live::follow_deliveries))
        .routes(routes!(deciding::pause_consumer))
        .routes(routes!(deciding::resume_consumer))
        .routes(routes!(deciding::list_parked))
        .routes(routes!(deciding::replay_parked))
        .routes(routes!(deciding::skip_parked))
        .routes(routes!(deciding::reset_consumer))
        .routes(routes!(deciding::audit_consumer))
        .routes(routes!(webhook::list_webhook_deliveries))
        .routes(routes!(webhook::test_webhook))
}

/// A consumer on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    name: String,
    settings: ConsumerSettings,
    is_open: bool,
    position: Position,
    head: Position,
    lag: Lag,
    in_flight: usize,
    waiting_streams: usize,
    parked_streams: usize,
    oldest_parked_at: Option<Timestamp>,
    paused: Option<String>,
    held: Option<&'static str>,
    ended: Option<String>,
    last_error: Option<String>,
    acknowledged: u64,
    since_opened: Counts,
}

/// How far a consumer is behind the head of the log.
#[derive(Serialize)]
struct Lag {
    /// Places of the log, also those that its filter leaves out.
    events: u64,
    /// Since the first of them was recorded.
    seconds: f64,
}

#[derive(Serialize)]
struct Counts {
    delivered: u64,
    finished: u64,
    failed: u64,
    lost: u64,
}

impl View {
    fn of(status: ConsumerStatus) -> View {
        let lag = Lag {
            events: status.head.saturating_sub(status.position),
            seconds: lag_seconds(&status),
        };
        View {
            name: status.name.to_string(),
            settings: status.settings,
            is_open: status.is_open,
            position: status.position,
            head: status.head,
            lag,
            in_flight: status.in_flight,
            waiting_streams: status.waiting_streams,
            parked_streams: status.parked_streams,
            oldest_parked_at: status.oldest_parked_at,
            paused: status.paused,
            held: status.held,
            ended: status.ended,
            last_error: status.last_error,
            acknowledged: status.acknowledged,
            since_opened: Counts {
                delivered: status.delivered,
                finished: status.finished,
                failed: status.failed,
                lost: status.lost,
            },
        }
    }
}

/// Seconds since the first event behind a consumer's position was recorded.
pub(crate) fn lag_seconds(status: &ConsumerStatus) -> f64 {
    let behind = status.behind_since.map_or(0, |since| {
        Timestamp::now()
            .as_micros()
            .saturating_sub(since.as_micros())
    });
    behind.max(0) as f64 / 1e6
}

#[derive(Serialize)]
struct List {
    consumers: Vec<View>,
}

/// Lists all consumers, by name, and how each stands.
#[utoipa::path(
    get,
    path = "/v1/consumers",
    tag = "consumers",
    responses((status = 200, description = "The consumers.", body = schema::ConsumersBody)),
)]
async fn list_consumers(
    State(app): State<App>,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let mut consumers = Vec::new();
    for name in app.retold().consumer_names().await? {
        consumers.push(View::of(app.retold().consumer_status(name).await?));
    }
    json(StatusCode::OK, &List { consumers })
}

/// How a consumer stands: now, or once it has finished everything through a position.
#[utoipa::path(
    get,
    path = "/v1/consumers/{consumer}",
    tag = "consumers",
    params(schema::ConsumerPath, schema::ReachedQuery),
    responses((status = 200, description = "The consumer.", body = schema::ConsumerBody)),
)]
async fn read_consumer(
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let min_position = parameters.number("minPosition")?;
    let wait = wait_time(&mut parameters)?;
    parameters.finish()?;
    let mut status = app.retold().consumer_status(name.clone()).await?;
    if let Some(position) = min_position.filter(|wanted| *wanted > status.position) {
        reach(&app, &name, position, wait).await?;
        status = app.retold().consumer_status(name).await?;
    }
    json(StatusCode::OK, &View::of(status))
}

/// Waits until a consumer has finished everything through a position.
async fn reach(app: &App, name: &str, wanted: Position, wait: Duration) -> Result<(), Problem> {
    let consumer = open(app, name).await?;
    let reached = timeout(wait, app.unless_stopping(consumer.wait_through(wanted))).await;
    if matches!(reached, Ok(Some(()))) {
        return Ok(());
    }
    let position = consumer.status().await?.position;
    let detail =
        format!("wait for position {wanted}: the consumer {name} has finished through {position}");
    Err(Problem::new(Code::NotYet, detail)
        .field("minPosition")
        .member("position", position.into()))
}

/// Opens a consumer in this process, so that events can be taken from it.
async fn open(app: &App, name: &str) -> Result<Consumer, Problem> {
    Ok(app.retold().existing_consumer(name.to_owned()).await?)
}

/// Makes a consumer, or gives it other settings; what is left out is as by default.
///
/// Its `filter` stays, and its `start` matters only when it is made: a reset sends it elsewhere.
#[utoipa::path(
    put,
    path = "/v1/consumers/{consumer}",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::ConsumerSettingsBody,
    responses(
        (status = 201, description = "It was made.", body = schema::ConsumerBody),
        (status = 200, description = "It was there.", body = schema::ConsumerBody),
    ),
)]
async fn put_consumer(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let settings = settings::settings(body.fields()?)?;
    let known = app.retold().consumer_names().await?;
    let is_new = !known.iter().any(|known| **known == *name);
    let consumer = app.retold().consumer(name.clone(), settings).await?;
    app.webhooks().look_at(&name);
    json(written(is_new), &View::of(consumer.status().await?))
}

/// Removes a consumer with all that is kept of it. What was decided about it stays in the log.
#[utoipa::path(
    delete,
    path = "/v1/consumers/{consumer}",
    tag = "consumers",
    params(schema::ConsumerPath),
    responses((status = 204, description = "It is gone.")),
)]
async fn delete_consumer(
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
) -> Result<Response, Problem> {
    app.retold().delete_consumer(name.clone()).await?;
    app.webhooks().forget(&name);
    Ok(StatusCode::NO_CONTENT.into_response())
}
