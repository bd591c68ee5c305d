//! Snapshots over HTTP.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;

use crate::support::{request, service};

const SNAPSHOTS: &str = "/v1/streams/Issue/1/snapshots";

#[tokio::test]
async fn snapshots_are_made_listed_and_pruned() {
    let service = service().await;
    let start = service.transition("1", None, "IN_PROGRESS", "start_work");
    start.await.expect(201);
    let latest = format!("{SNAPSHOTS}/latest");
    service.get(&latest).await.problem(404, "not_found");

    // Neither a body nor its media type is required.
    let empty = request(Method::POST, SNAPSHOTS, &[], Body::empty());
    let made = service.send(empty).await.expect(201);
    assert_eq!(made["state"]["status"], "IN_PROGRESS");
    assert_eq!(
        (&made["sequenceNumber"], &made["metadata"]),
        (&json!(1), &json!(null))
    );
    assert_eq!(service.get(&latest).await.expect(200), made);

    let block = service.transition("1", Some("IN_PROGRESS"), "BLOCKED", "block");
    block.await.expect(201);
    assert_eq!(service.post(SNAPSHOTS, json!({})).await.expect(200), made);
    let body = json!({"force": true, "metadata": {"why": "release"}});
    let forced = service.post(SNAPSHOTS, &body).await.expect(201);
    assert_eq!(forced["sequenceNumber"], 2);
    assert_eq!(forced["metadata"], json!({"why": "release"}));

    let answer = service.get(&format!("{SNAPSHOTS}?limit=1")).await;
    let page = answer.expect(200);
    assert_eq!(page["snapshots"], json!([forced]));
    assert_eq!(answer.header("retold-stream-sequence"), Some("2"));
    let rest = service
        .get(page["next"].as_str().unwrap())
        .await
        .expect(200);
    assert_eq!(rest["snapshots"], json!([made]));

    let pruned = service.delete(&format!("{SNAPSHOTS}?keep=1")).await;
    pruned.expect_status(204);
    assert!(pruned.body.is_empty());
    let page = service.get(SNAPSHOTS).await.expect(200);
    assert_eq!(
        (&page["snapshots"], &page["next"]),
        (&json!([forced]), &json!(null))
    );

    service
        .post(SNAPSHOTS, json!({"force": 1}))
        .await
        .invalid("force");
    service.post(SNAPSHOTS, json!({"x": 1})).await.invalid("x");
    let metadata = "x".repeat(32 * 1024);
    let answer = service.post(SNAPSHOTS, json!({"metadata": metadata})).await;
    assert_eq!(answer.problem(413, "too_large")["field"], "metadata");
}

#[tokio::test]
async fn snapshots_are_checked() {
    let service = service().await;
    let start = service.transition("1", None, "IN_PROGRESS", "start_work");
    start.await.expect(201);
    service.post(SNAPSHOTS, json!({})).await.expect(201);
    let all = service
        .get("/v1/snapshots/check?all=true")
        .await
        .expect(200);
    let report = json!({
        "kept": 1, "checked": 1, "unused": 0, "differing": 0, "differences": [],
        "unknownReducers": {}, "seed": null,
    });
    assert_eq!(all, report);
    let sample = service
        .get("/v1/snapshots/check?sample=5&seed=7")
        .await
        .expect(200);
    assert_eq!(
        (&sample["checked"], &sample["seed"]),
        (&json!(1), &json!(7))
    );
    let drawn = service.get("/v1/snapshots/check").await.expect(200);
    assert!(drawn["seed"].is_u64());
    let both = service.get("/v1/snapshots/check?all=true&sample=1").await;
    both.invalid("all");
}
