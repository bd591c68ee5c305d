//! Ids and texts that mean something elsewhere, in every route that the document describes: a new
//! route is tried without being named here, or the test says what it needs.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Service, document, operations, request, service};

/// What may be in an id, and in any text that something is looked up by.
fn hostile() -> Vec<String> {
    let short = [
        "a/b",
        "/",
        "//",
        "../../etc",
        "..a",
        "\"'<&>`",
        "100%",
        "%2F",
        "%",
        "%zz",
        "\u{1F980}",
        "e\u{301}\u{202E}x",
        "a b+c?d#e;f=g&h",
        " ",
        "*",
        "{aggregateId}",
        "null",
        "\\",
    ];
    let long = ["\u{1F980}".repeat(128), "%".repeat(512), "/".repeat(512)];
    short.into_iter().map(str::to_owned).chain(long).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A body that the operation accepts, with its media type.
fn body_of(operation: &Value) -> Option<(String, String)> {
    let media_types = operation["requestBody"]["content"].as_object()?;
    let body = match operation["operationId"].as_str().unwrap() {
        "append" => json!({"eventType": "t", "payload": 1}).to_string(),
        "append_together" => {
            let event = json!({
                "aggregateType": "Note", "aggregateId": "1", "eventType": "t", "payload": 1,
            });
            json!({ "events": [event] }).to_string()
        }
        "transition" => {
            json!({"fromState": null, "toState": "IN_PROGRESS", "event": "start_work"}).to_string()
        }
        "make_snapshot" => json!({"force": true}).to_string(),
        "put_consumer" | "fetch_deliveries" | "replay_parked" => json!({}).to_string(),
        "acknowledge_deliveries" | "extend_deliveries" => json!({"fences": []}).to_string(),
        "reject_deliveries" => json!({"fences": [], "error": "no"}).to_string(),
        "pause_consumer" | "pause_projection" => json!({"reason": "why"}).to_string(),
        "reset_consumer" => json!({"start": "now"}).to_string(),
        "skip_parked" => {
            json!({"aggregateType": "Note", "aggregateId": "1", "reason": "why"}).to_string()
        }
        "append_lines" | "restore" | "add_machine" => String::new(),
        other => panic!("say which body {other} accepts"),
    };
    let media_type = media_types.keys().next().unwrap();
    Some((media_type.clone(), body))
}

/// The parameters that must be given.
fn query_of(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let required = parameters.filter(|p| p["in"] == "query" && p["required"] == true);
    let pairs: Vec<String> = required
        .map(|parameter| format!("{}=1", parameter["name"].as_str().unwrap()))
        .collect();
    pairs.join("&")
}

async fn call(service: &Service, method: &Method, path: &str, operation: &Value) -> Answer {
    let (media_type, body) = body_of(operation).unwrap_or_default();
    let headers = [("content-type", media_type.as_str())];
    let headers = match media_type.is_empty() {
        true => &[][..],
        false => &headers,
    };
    let request = request(method.clone(), path, headers, Body::from(body));
    service.send(request).await
}

/// Every id that an answer tells, however deep.
fn ids_in(value: &Value, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        match (name.as_str(), member.as_str()) {
            ("aggregateId" | "issueId", Some(id)) => found.push(id.to_owned()),
            _ => ids_in(member, found),
        }
    }
    for member in value.as_array().into_iter().flatten() {
        ids_in(member, found);
    }
}

#[tokio::test]
async fn every_id_works_in_every_route_and_on_its_page() {
    let service = service().await;
    let mut routes = operations(&document(&service).await);
    routes.retain(|(_, path, _)| path.contains("{aggregateId}"));
    // What makes something comes first, what removes it last.
    let order = [Method::POST, Method::GET, Method::DELETE];
    routes.sort_by_key(|(method, path, _)| {
        let made_by = order.iter().position(|known| known == method).unwrap();
        (made_by, path.clone())
    });
    assert!(routes.len() >= 8, "{} routes", routes.len());
    for id in hostile() {
        for (method, path, operation) in &routes {
            let path = path.replace("{aggregateType}", "Issue");
            let path = path.replace("{aggregateId}", &encoded(&id));
            let path = format!("{path}?{}", query_of(operation));
            let answer = call(&service, method, &path, operation).await;
            let place = format!("{method} {path}: {}", answer.text());
            assert!(answer.status.is_success(), "{place}");
            if answer.body.is_empty() {
                continue;
            }
            let mut ids = Vec::new();
            ids_in(&answer.json(), &mut ids);
            assert!(
                !ids.is_empty() && ids.iter().all(|found| *found == id),
                "{place}"
            );
            if let Some(location) = answer.header("location") {
                service.get(location).await.expect(200);
            }
        }
        let page = format!("/streams/Issue/{}", encoded(&id));
        let page = service.get_as(&page, "text/html").await;
        page.expect_status(200);
    }
}

#[tokio::test]
async fn pages_go_on_behind_every_id() {
    let service = service().await;
    let ids = hostile();
    for id in &ids {
        let path = format!("/v1/streams/Issue/{}/events", encoded(id));
        let event = json!({"eventType": "t", "payload": 1, "aggregateId": id});
        service.post(&path, &event).await.expect(201);
        service.post(&path, &event).await.expect(201);
        let page = service.get(&format!("{path}?limit=1")).await.expect(200);
        let next = service
            .get(page["next"].as_str().unwrap())
            .await
            .expect(200);
        assert_eq!(next["events"][0]["sequenceNumber"], 2);
        assert_eq!(next["next"], json!(null));
        let listed = format!("/v1/streams?prefix={}", encoded(id));
        let listed = service.get(&listed).await.expect(200);
        assert_eq!(listed["streams"][0]["aggregateId"], *id);
    }
    let mut seen = Vec::new();
    let mut next = Some("/v1/streams?limit=1".to_owned());
    while let Some(path) = next {
        let page = service.get(&path).await.expect(200);
        ids_in(&page, &mut seen);
        next = page["next"].as_str().map(str::to_owned);
    }
    let mut sorted = ids;
    sorted.sort_unstable();
    assert_eq!(seen, sorted);
}

#[tokio::test]
async fn hostile_text_elsewhere_is_looked_up_or_refused_by_name() {
    let service = service().await;
    service.append("Issue/1", "t").await;
    for (method, path, operation) in operations(&document(&service).await) {
        // It has no end where the name is a good one.
        if operation["operationId"] == "follow_deliveries" {
            continue;
        }
        let good = [
            ("{aggregateType}", "Issue"),
            ("{aggregateId}", "1"),
            ("{consumer}", "mailer"),
            ("{projection}", "current_state"),
            ("{table}", "streams"),
            ("{correlationId}", "story"),
            ("{eventId}", "00000000-0000-0000-0000-000000000001"),
        ];
        let filled = |but: &str, with: &str| {
            let fill = |path: String, (name, value): &(&str, &str)| {
                path.replace(name, if *name == but { with } else { value })
            };
            good.iter().fold(path.clone(), fill)
        };
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters {
            let name = parameter["name"].as_str().unwrap();
            for text in hostile() {
                let text = encoded(&text);
                let path = match parameter["in"].as_str().unwrap() {
                    "path" if name != "aggregateId" => filled(&format!("{{{name}}}"), &text),
                    "query" => format!("{}?{name}={text}", filled("", "")),
                    _ => continue,
                };
                let answer = call(&service, &method, &path, &operation).await;
                let place = format!("{method} {path}: {}", answer.text());
                assert!(!answer.status.is_server_error(), "{place}");
                if answer.status == 400 {
                    let field = answer.problem(400, "invalid")["field"].clone();
                    let is_missing = ["keep", "body", "to", "with"]
                        .iter()
                        .any(|known| field == *known);
                    assert!(field == name || is_missing, "{place}");
                }
            }
        }
    }
}
