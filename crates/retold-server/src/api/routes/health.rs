//! Whether the service is alive, whether it can append, and what it is.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::ReadConsistency;
use serde::Serialize;

use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::request::{AsJson, NoParameters};
use crate::api::schema;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    version: &'static str,
    log_id: String,
    head: u64,
    capabilities: Capabilities,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    durable: bool,
    reads: &'static str,
    multi_stream: bool,
    conditions: bool,
}

/// Whether the process answers at all.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "service",
    responses((status = 200, description = "It does.", body = schema::HealthBody)),
)]
pub(crate) async fn is_alive(_: NoParameters) -> Result<Response, Problem> {
    json(StatusCode::OK, &Health { status: "alive" })
}

/// Whether events can be appended.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses((status = 200, description = "They can.", body = schema::HealthBody)),
)]
pub(crate) async fn is_ready(State(app): State<App>, _: NoParameters) -> Result<Response, Problem> {
    app.retold().store().check_writable().await?;
    json(StatusCode::OK, &Health { status: "ready" })
}

/// The version, the log's id, the position of its newest event, and what the store can do.
#[utoipa::path(
    get,
    path = "/v1/info",
    tag = "service",
    responses((status = 200, description = "What the service is.", body = schema::InfoBody)),
)]
pub(crate) async fn info(
    State(app): State<App>,
    _: AsJson,
    _: NoParameters,
) -> Result<Response, Problem> {
    let store = app.retold().store();
    let capabilities = store.capabilities();
    let info = Info {
        version: env!("CARGO_PKG_VERSION"),
        log_id: store.log_id().to_string(),
        head: store.head().await?.position,
        capabilities: Capabilities {
            durable: capabilities.durable,
            reads: match capabilities.reads {
                ReadConsistency::Strong => "strong",
                ReadConsistency::Session => "session",
            },
            multi_stream: capabilities.multi_stream,
            conditions: capabilities.conditions,
        },
    };
    json(StatusCode::OK, &info)
}
