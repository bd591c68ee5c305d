//! An HTTP handler that may be called again: the header `Idempotency-Key` becomes the command's
//! key, so that a client whose connection broke asks once more and gets the first answer.
//!
//! `cargo run -p retold --example http_handler`

mod account;

use account::{Account, Withdraw};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use retold::{ExecuteError, Retold};
use serde_json::{Value, json};
use tower::ServiceExt;

async fn withdraw(
    State(retold): State<Retold>,
    Path((account, amount)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Response {
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let Some(key) = key else {
        return problem(StatusCode::BAD_REQUEST, "give an Idempotency-Key".into());
    };
    let command = retold.execute::<Account>(account, Withdraw { amount });
    match command.idempotency_key(key).await {
        Ok(executed) => Json(json!({ "balance": executed.state.balance })).into_response(),
        Err(ExecuteError::Rejected(overdrawn)) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, overdrawn.to_string())
        }
        // Also where the outcome is unknown: the same request again gives the right answer.
        Err(ExecuteError::Failed(error)) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("failed to {error}"),
        ),
    }
}

fn problem(status: StatusCode, detail: String) -> Response {
    (status, Json(json!({ "detail": detail }))).into_response()
}

/// Calls the service as a client would, without a port.
async fn call(service: &Router, key: &str) -> (StatusCode, Value) {
    let request = Request::post("/accounts/alice/withdraw/8").header("idempotency-key", key);
    let request = request.body(axum::body::Body::empty()).expect("a request");
    let response = service.clone().oneshot(request).await.expect("an answer");
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1_000).await;
    let body = serde_json::from_slice(&body.expect("a body")).expect("JSON");
    (status, body)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let retold = Retold::open("memory:").await?;
    let deposit = account::Deposit { amount: 10 };
    retold.execute::<Account>("alice", deposit).await?;
    let service = Router::new()
        .route("/accounts/{account}/withdraw/{amount}", post(withdraw))
        .with_state(retold);

    let first = call(&service, "request-1").await;
    assert_eq!(first, (StatusCode::OK, json!({ "balance": 2 })));
    assert_eq!(call(&service, "request-1").await, first);
    let (status, body) = call(&service, "request-2").await;
    println!("{status}: {body}");
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(())
}
