//! Machines over HTTP.

use axum::http::Method;

use crate::support::{Answer, Service, request, service};

const DOOR: &str = r#"type = "Door"
initial = "CLOSED"
states = ["CLOSED", "OPEN"]

[[transition]]
name = "open"
from = ["CLOSED"]
to = "OPEN"
"#;

async fn put(service: &Service, path: &str, toml: &str) -> Answer {
    let headers = [("content-type", "application/toml")];
    let body = toml.to_owned().into();
    service
        .send(request(Method::PUT, path, &headers, body))
        .await
}

#[tokio::test]
async fn a_machine_is_added_seen_and_used() {
    let service = service().await;
    let path = "/v1/machines/Door";
    let added = put(&service, path, DOOR).await.expect(201);
    assert_eq!(service.get(path).await.expect(200), added);
    assert_eq!(added["snapshotEvery"], 50);
    let file = service.get_as(path, "application/toml").await;
    assert_eq!(file.text(), DOOR);
    assert_eq!(file.header("content-type"), Some("application/toml"));
    let again = format!("snapshot_every = 10\n{DOOR}");
    let changed = put(&service, path, &again).await.expect(200);
    assert_eq!(changed["snapshotEvery"], 10);
    let list = service.get("/v1/machines").await.expect(200);
    let types: Vec<_> = list["machines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["type"])
        .collect();
    assert_eq!(types, ["Door", "Execution", "Issue"]);

    let body = serde_json::json!({"fromState": null, "toState": "OPEN", "event": "open"});
    let taken = service.post("/v1/streams/Door/1/transitions", body).await;
    taken.expect(201);
}

#[tokio::test]
async fn a_machine_that_is_not_well_formed_is_named_with_its_key() {
    let service = service().await;
    let path = "/v1/machines/Door";
    put(&service, "/v1/machines/Gate", DOOR)
        .await
        .invalid("type");
    for (toml, field) in [
        ("type = ", "body"),
        ("x = 1", "body"),
        (
            &DOOR.replace("to = \"OPEN\"", "to = \"AJAR\""),
            "transition.to",
        ),
        (&DOOR.replace("\"OPEN\"]", "\"OPEN\", \"AWAY\"]"), "states"),
        (
            &DOOR.replace("initial = \"CLOSED\"", "initial = \"AJAR\""),
            "initial",
        ),
        (
            &DOOR.replace("from = [\"CLOSED\"]", "from = []"),
            "transition.from",
        ),
    ] {
        put(&service, path, toml).await.invalid(field);
    }
    let long = format!("# {}\n{DOOR}", "x".repeat(256 * 1024));
    let answer = put(&service, path, &long).await;
    assert_eq!(answer.problem(413, "too_large")["field"], "body");
    service.get(path).await.problem(404, "not_found");
}
