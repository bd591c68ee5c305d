//! Taking events from a consumer and answering for them: any number of processes may, and share
//! its streams.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use retold::RecordedEvent;
use retold::consumer::{Delivery, FencedError, Rejection};
use serde::Serialize;

use super::open;
use crate::App;
use crate::api::answer::{Code, Problem, json};
use crate::api::limits::{
    DELAY_MS_MAX, FETCH_LIMIT_DEFAULT, PAGE_LIMIT_MAX, WAIT_MS_MAX, bytes_of_page,
};
use crate::api::request::{AsJson, ConsumerName, Fields, NoParameters, SentJson, SmallBody};
use crate::api::{fence_text, schema};

/// An event that somebody is to answer for.
#[derive(Serialize)]
pub(super) struct DeliveryView<'a> {
    /// As a text: it is larger than the numbers that every language holds exactly.
    fence: String,
    attempt: u32,
    event: &'a RecordedEvent,
}

impl<'a> DeliveryView<'a> {
    pub(super) fn of(delivery: &'a Delivery) -> DeliveryView<'a> {
        DeliveryView {
            fence: fence_text(delivery.fence),
            attempt: delivery.attempt,
            event: &delivery.event,
        }
    }
}

#[derive(Serialize)]
struct Deliveries<'a> {
    deliveries: Vec<DeliveryView<'a>>,
}

/// Takes events, each of another stream, and waits for the first one where there is none.
///
/// Each must be acknowledged, rejected or extended before its lease runs out (`leaseMs` of the
/// settings); otherwise it counts as failed, and is delivered again.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/fetch",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::FetchBody,
    responses((status = 200, description = "The events; none where none came in time.",
        body = schema::DeliveriesBody)),
)]
pub(super) async fn fetch_deliveries(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: AsJson,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let limit = fields.value("limit", "a whole number")?;
    let limit: u64 = limit.unwrap_or(FETCH_LIMIT_DEFAULT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
        let reason = format!("must be from 1 to {PAGE_LIMIT_MAX}");
        return Err(Problem::invalid("limit", reason));
    }
    let wait_ms: Option<u64> = fields.value("waitMs", "a whole number")?;
    let wait_ms = wait_ms.unwrap_or(0);
    if wait_ms > WAIT_MS_MAX {
        let reason = format!("must be at most {WAIT_MS_MAX}");
        return Err(Problem::invalid("waitMs", reason));
    }
    fields.finish()?;
    let consumer = open(&app, &name).await?;
    let fetching = consumer.fetch(limit, Duration::from_millis(wait_ms));
    let deliveries = app.unless_stopping(fetching).await.unwrap_or_default();
    let room = app.rooms().answers.wait(bytes_of_page(deliveries.len()));
    let room = room.await;
    let view = Deliveries {
        deliveries: deliveries.iter().map(DeliveryView::of).collect(),
    };
    Ok(room.brought_by(json(StatusCode::OK, &view)?))
}

/// Says that events were digested; when it is answered, that is kept.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/ack",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::AcknowledgeBody,
    responses((status = 204, description = "They are finished.")),
)]
pub(super) async fn acknowledge_deliveries(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let fences = fences(&mut fields)?;
    fields.finish()?;
    let consumer = open(&app, &name).await?;
    taken_in(consumer.acknowledge(fences).await)
}

/// Says that events could not be digested, and why. They are tried again after `delayMs`, or
/// after a pause that grows with each attempt.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/nack",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::RejectBody,
    responses((status = 204, description = "They are tried again, or parked.")),
)]
pub(super) async fn reject_deliveries(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let fences = fences(&mut fields)?;
    let error = fields.required_text("error")?;
    let delay_ms: Option<u64> = fields.value("delayMs", "a whole number")?;
    if delay_ms.is_some_and(|delay_ms| delay_ms > DELAY_MS_MAX) {
        let reason = format!("must be at most {DELAY_MS_MAX}");
        return Err(Problem::invalid("delayMs", reason));
    }
    fields.finish()?;
    let rejection = Rejection {
        error,
        delay: delay_ms.map(Duration::from_millis),
    };
    let consumer = open(&app, &name).await?;
    taken_in(consumer.reject(fences, rejection).await)
}

/// Asks for more time: the leases of deliveries begin anew.
#[utoipa::path(
    post,
    path = "/v1/consumers/{consumer}/extend",
    tag = "consumers",
    params(schema::ConsumerPath),
    request_body = schema::AcknowledgeBody,
    responses((status = 204, description = "Their leases begin anew.")),
)]
pub(super) async fn extend_deliveries(
    _: SentJson,
    State(app): State<App>,
    ConsumerName(name): ConsumerName,
    _: NoParameters,
    body: SmallBody,
) -> Result<Response, Problem> {
    let mut fields = body.fields()?;
    let fences = fences(&mut fields)?;
    fields.finish()?;
    taken_in(open(&app, &name).await?.extend(fences))
}

/// The deliveries that a body names.
fn fences(fields: &mut Fields<'_>) -> Result<Vec<u64>, Problem> {
    let refuse = || Problem::invalid("fences", "must be a list of fences as they were delivered");
    let given: Option<Vec<String>> = fields.value("fences", "a list of texts")?;
    let given = given.ok_or_else(|| Problem::invalid("fences", "must be given"))?;
    let fences = given.iter().map(|fence| {
        let is_digits = fence.bytes().all(|byte| byte.is_ascii_digit());
        fence.parse().ok().filter(|_| is_digits).ok_or_else(refuse)
    });
    fences.collect()
}

fn taken_in(outcome: Result<(), FencedError>) -> Result<Response, Problem> {
    match outcome {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => {
            let fences: Vec<String> = error.fences.iter().copied().map(fence_text).collect();
            let problem = Problem::new(Code::Fenced, error.to_string());
            Err(problem.member("fences", fences.into()))
        }
    }
}
