//! What `/metrics` counts of real work: appends, groups, syncs, states, snapshots, HTTP by route.

use serde_json::json;

use crate::support::{eventually, serve};

#[tokio::test]
async fn work_is_counted_where_it_happens() {
    let server = serve(|_| {}).await;
    let path = "/v1/streams/Issue/42/transitions";
    let turns = [
        ("IN_PROGRESS", "BLOCKED", "block"),
        ("BLOCKED", "IN_PROGRESS", "unblock"),
    ];
    let start = [("TODO", "IN_PROGRESS", "start_work")];
    let taken = start.into_iter().chain(turns.into_iter().cycle()).take(60);
    for (from, to, event) in taken {
        let body = json!({"fromState": from, "toState": to, "event": event}).to_string();
        assert_eq!(server.post(path, body.as_bytes()).await.status, 201);
    }
    // Taken again with the same state: refused, and counted as such.
    let stale = json!({"fromState": "TODO", "toState": "IN_PROGRESS", "event": "start_work"});
    let stale = server.post(path, stale.to_string().as_bytes()).await;
    stale.problem(409, "illegal_transition");
    server.get("/v1/streams/Issue/42/state").await;
    eventually("a snapshot", async || {
        server.metric("retold_snapshots_made_total").await == 1
    })
    .await;

    for (name, at_least) in [
        ("retold_appended_events_total", 60),
        ("retold_group_events_count", 60),
        ("retold_group_events_sum", 60),
        ("retold_group_events_bucket{le=\"1.0\"}", 60),
        ("retold_group_write_seconds_count", 60),
        ("retold_group_write_seconds_bucket{le=\"+Inf\"}", 60),
        ("retold_hot_state_hits_total", 58),
        ("retold_hot_state_misses_total", 1),
        ("retold_log_head_position", 60),
        ("retold_http_connections", 1),
        ("retold_http_requests_at_work", 1),
        (
            &of_route("retold_http_requests_total", "POST", path, "201"),
            60,
        ),
        (
            &of_route("retold_http_requests_total", "POST", path, "409"),
            1,
        ),
        (
            &of_route("retold_http_requests_total", "GET", "/state", "200"),
            1,
        ),
    ] {
        let counted = server.metric(name).await;
        assert!(counted >= at_least, "{name} is {counted}");
    }
    let of_map = "{projection=\"process_map\",version=\"1\",role=\"current\"}";
    eventually("the projection", async || {
        let position = format!("retold_projection_position{of_map}");
        server.metric(&position).await == 60
    })
    .await;
    for (name, expected) in [
        ("retold_projection_lag_events", 0),
        ("retold_projection_stopped", 0),
        ("retold_projection_events_total", 60),
    ] {
        let counted = server.metric(&format!("{name}{of_map}")).await;
        assert_eq!(counted, expected, "{name}");
    }
    let text = server.get("/metrics").await.body;
    for name in ["progress_ratio", "batches_total", "batch_seconds_total"] {
        let series = format!("retold_projection_{name}{of_map}");
        assert!(text.contains(&series), "{series}: {text}");
    }
    for idle in [
        "retold_snapshots_in_progress",
        "retold_bus_delivered_total",
        "retold_bus_failed_total",
        "retold_http_body_bytes",
        "retold_http_answer_bytes",
    ] {
        assert_eq!(server.metric(idle).await, 0, "{idle}");
    }
    let text = server.get("/metrics").await.body;
    let seconds = "retold_http_request_seconds_count{method=\"POST\",route=\"/v1/streams/\
                   {aggregateType}/{aggregateId}/transitions\"} 61";
    assert!(text.contains(seconds), "{text}");
    // Ids make no series of their own.
    assert!(!text.contains("Issue/42"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

/// A series of a route of a stream.
fn of_route(name: &str, method: &str, path: &str, status: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    let route = format!("/v1/streams/{{aggregateType}}/{{aggregateId}}/{last}");
    format!("{name}{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}")
}
