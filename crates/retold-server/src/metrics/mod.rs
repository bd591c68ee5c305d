//! What is counted, as the text that Prometheus reads: HTTP by route, counted here as it happens,
//! and what the library counts, read at the moment it is asked for (`library.rs`).

mod consumers;
mod library;
mod projections;

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use retold::Retold;

use crate::App;

/// The form that `prometheus-client` writes, which Prometheus has read since 2.5.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What stands for a request that no route took, so that made-up paths make no new series.
const NO_ROUTE: &str = "none";

/// Bounds of a request's duration in seconds: from what memory answers to the longest read.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    method: &'static str,
    route: String,
    status: u16,
}

/// What is counted.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    seconds: Family<Route, Histogram>,
    at_work: Gauge,
    connections: Gauge,
    body_bytes: Gauge,
    answer_bytes: Gauge,
    head: Gauge,
}

impl Metrics {
    pub(crate) fn new(retold: Retold) -> Metrics {
        let mut registry = Registry::with_prefix("retold");
        let requests = Family::default();
        let make: fn() -> Histogram = || Histogram::new(SECONDS);
        let seconds = Family::new_with_constructor(make);
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, Gauge::clone(&gauge));
            gauge
        };
        let at_work = gauge(
            "http_requests_at_work",
            "Requests whose answer has not begun",
        );
        let connections = gauge("http_connections", "Connections that are open");
        let body_bytes = gauge(
            "http_body_bytes",
            "Memory that is set aside for the bodies of requests",
        );
        let answer_bytes = gauge(
            "http_answer_bytes",
            "Memory that is set aside for large answers",
        );
        let head = gauge(
            "log_head_position",
            "Position of the newest event, reserved ones counted",
        );
        registry.register(
            "http_requests",
            "Requests that were answered",
            Family::clone(&requests),
        );
        registry.register(
            "http_request_seconds",
            "Time until an answer began",
            Family::clone(&seconds),
        );
        registry.register_collector(Box::new(library::Collected(retold)));
        Metrics {
            registry,
            requests,
            seconds,
            at_work,
            connections,
            body_bytes,
            answer_bytes,
            head,
        }
    }

    /// Connections that are open.
    pub(crate) fn connections(&self) -> Gauge {
        self.connections.clone()
    }
}

/// The route of the metrics.
pub(crate) fn router() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<App>) -> Response {
    let metrics = app.metrics();
    if let Ok(head) = app.retold().store().head().await {
        set(&metrics.head, head.position);
    }
    let consumers = consumers::registry(app.retold()).await;
    let projections = projections::registry(app.retold()).await;
    let rooms = app.rooms();
    set(&metrics.body_bytes, rooms.bodies.taken_bytes() as u64);
    set(&metrics.answer_bytes, rooms.answers.taken_bytes() as u64);
    let mut text = String::new();
    let encoded = encode_registry(&mut text, &consumers)
        .and_then(|()| encode_registry(&mut text, &projections))
        .and_then(|()| encode(&mut text, &metrics.registry));
    match encoded {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn set(gauge: &Gauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// A request that is being answered.
pub(crate) struct Observed {
    series: Route,
    _at_work: Counted,
    began: Instant,
}

impl Observed {
    /// Counts a request that has come in.
    pub(crate) fn begin(metrics: &Metrics, request: &Request) -> Observed {
        let route = request.extensions().get::<MatchedPath>();
        Observed {
            series: Route {
                method: name_of(request.method()),
                route: route.map_or(NO_ROUTE, MatchedPath::as_str).to_owned(),
            },
            _at_work: Counted::begin(metrics.at_work.clone()),
            began: Instant::now(),
        }
    }

    /// Counts its answer, and logs it where that is asked for.
    pub(crate) fn end(self, metrics: &Metrics, status: StatusCode) {
        let took = self.began.elapsed();
        let status = status.as_u16();
        let series = self.series;
        tracing::debug!(
            method = series.method,
            route = series.route,
            status,
            took_us = took.as_micros(),
            "answered"
        );
        let seconds = metrics.seconds.get_or_create(&series);
        seconds.observe(took.as_secs_f64());
        drop(seconds);
        let Route { method, route } = series;
        let outcome = Outcome {
            method,
            route,
            status,
        };
        metrics.requests.get_or_create(&outcome).inc();
    }
}

/// A method that nobody has heard of makes no new series.
fn name_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Counted for as long as this lives: also a request that is given up because its client goes.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn begin(gauge: Gauge) -> Counted {
        gauge.inc();
        Counted(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
