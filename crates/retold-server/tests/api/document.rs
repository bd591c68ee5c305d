//! The OpenAPI document against the running routes, and the page made of it.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{document, operations, request, service};

fn filled(path: &str) -> String {
    path.replace("{aggregateType}", "Issue")
        .replace("{aggregateId}", "1")
        .replace("{consumer}", "mailer")
        .replace("{projection}", "current_state")
        .replace("{table}", "streams")
        .replace("{correlationId}", "story")
        .replace("{eventId}", "00000000-0000-0000-0000-000000000001")
}

#[tokio::test]
async fn every_call_of_the_design_is_described_and_runs() {
    let service = service().await;
    let document = document(&service).await;
    let mut calls: Vec<String> = operations(&document)
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    calls.sort();
    let stream = "/v1/streams/{aggregateType}/{aggregateId}";
    let mut wanted = vec![
        format!("POST {stream}/events"),
        format!("GET {stream}/events"),
        format!("POST {stream}/transitions"),
        format!("GET {stream}/state"),
        format!("GET {stream}/snapshots"),
        format!("POST {stream}/snapshots"),
        format!("DELETE {stream}/snapshots"),
        format!("GET {stream}/snapshots/latest"),
        "GET /v1/snapshots/check".into(),
        "GET /v1/streams".into(),
        "GET /v1/events".into(),
        "POST /v1/events".into(),
        "GET /v1/events/{eventId}".into(),
        "POST /v1/append".into(),
        "POST /v1/restore".into(),
        "GET /v1/machines".into(),
        "GET /v1/machines/{aggregateType}".into(),
        "PUT /v1/machines/{aggregateType}".into(),
        "GET /v1/consumers".into(),
        "GET /v1/consumers/{consumer}".into(),
        "PUT /v1/consumers/{consumer}".into(),
        "DELETE /v1/consumers/{consumer}".into(),
        "POST /v1/consumers/{consumer}/fetch".into(),
        "POST /v1/consumers/{consumer}/ack".into(),
        "POST /v1/consumers/{consumer}/nack".into(),
        "POST /v1/consumers/{consumer}/extend".into(),
        "GET /v1/consumers/{consumer}/live".into(),
        "POST /v1/consumers/{consumer}/pause".into(),
        "POST /v1/consumers/{consumer}/resume".into(),
        "GET /v1/consumers/{consumer}/parked".into(),
        "POST /v1/consumers/{consumer}/replay".into(),
        "POST /v1/consumers/{consumer}/skip".into(),
        "POST /v1/consumers/{consumer}/reset".into(),
        "GET /v1/consumers/{consumer}/audit".into(),
        "GET /v1/consumers/{consumer}/webhook/deliveries".into(),
        "POST /v1/consumers/{consumer}/webhook/test".into(),
        "GET /v1/traces/{correlationId}".into(),
        "GET /v1/processes".into(),
        "GET /v1/processes/{aggregateType}".into(),
        "GET /v1/processes/{aggregateType}/streams".into(),
        "GET /v1/projections".into(),
        "GET /v1/projections/{projection}".into(),
        "GET /v1/projections/{projection}/tables/{table}".into(),
        "GET /v1/projections/{projection}/compare".into(),
        "POST /v1/projections/{projection}/rebuild".into(),
        "POST /v1/projections/{projection}/pause".into(),
        "POST /v1/projections/{projection}/resume".into(),
        "POST /v1/projections/{projection}/cancel".into(),
        "POST /v1/projections/{projection}/promote".into(),
        "POST /v1/projections/{projection}/bring-back".into(),
        "POST /v1/projections/{projection}/discard".into(),
        "GET /livez".into(),
        "GET /readyz".into(),
        "GET /v1/info".into(),
    ];
    wanted.sort();
    assert_eq!(calls, wanted);
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    for path in paths {
        let answer = service.send(request(Method::PATCH, &filled(path), &[], Body::empty()));
        let answer = answer.await;
        answer.problem(405, "method_not_allowed");
        let mut allowed: Vec<_> = answer
            .header("allow")
            .unwrap()
            .split(',')
            .map(str::trim)
            .collect();
        allowed.retain(|method| *method != "HEAD");
        allowed.sort_unstable();
        let item = document["paths"][path].as_object().unwrap();
        let mut described: Vec<_> = item.keys().map(|method| method.to_uppercase()).collect();
        described.sort_unstable();
        assert_eq!(allowed, described, "{path}");
    }
}

#[tokio::test]
async fn every_described_parameter_is_known_and_no_other_is() {
    let service = service().await;
    service.append("Issue/1", "t").await;
    for (method, path, operation) in operations(&document(&service).await) {
        let (media_type, body) = match path.as_str() {
            "/v1/events" | "/v1/restore" => ("application/x-ndjson", ""),
            path if path.starts_with("/v1/machines") => ("application/toml", ""),
            _ => ("application/json", "{}"),
        };
        let headers = [("content-type", media_type), ("accept", "*/*")];
        let send = async |query: &str| {
            let path = format!("{}?{query}", filled(&path));
            let request = request(method.clone(), &path, &headers, Body::from(body));
            service.send(request).await
        };
        send("unknown=1").await.invalid("unknown");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] != "query" {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let answer = send(&format!("{name}=%21")).await;
            assert!(
                !answer.text().contains("there is no such parameter"),
                "{method} {path}: {name}"
            );
        }
    }
}

/// Checks a value against a schema, as far as ours go.
fn check(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
        return check(document, schema, value, place);
    }
    if let Some(variants) = schema["oneOf"].as_array() {
        let fits = |variant| check(document, variant, value, place);
        let errors: Vec<_> = variants.iter().map(fits).filter_map(Result::err).collect();
        let fit = variants.len() - errors.len();
        return (fit == 1)
            .then_some(())
            .ok_or(format!("{place}: {errors:?}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let admits = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => {
            kinds.contains(&json!(kind)) || (kinds.contains(&json!("number")) && kind == "integer")
        }
        only => only == kind || (only == "number" && kind == "integer"),
    };
    if !admits {
        return Err(format!("{place} is {kind}, not {}", schema["type"]));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return Err(format!("{place} lacks {name}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let schema = &schema["properties"][name];
        check(document, schema, member, &format!("{place}.{name}"))?;
    }
    for member in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], member, &format!("{place}[]"))?;
    }
    Ok(())
}

#[tokio::test]
async fn answers_are_as_described() {
    let service = service().await;
    let document = document(&service).await;
    let stream = "/v1/streams/Issue/1";
    let template = "/v1/streams/{aggregateType}/{aggregateId}";
    let event = json!({"eventType": "t", "payload": null, "metadata": {"actor": "me", "k": [1]}});
    let start = json!({"fromState": null, "toState": "IN_PROGRESS", "event": "start_work"});
    let posts = [
        ("events", event.clone()),
        ("events", json!({"events": [event]})),
        ("transitions", start.clone()),
        ("transitions", start),
        (
            "events",
            json!({"eventType": "t", "payload": 1, "expected": 99}),
        ),
        ("snapshots", json!({})),
    ];
    let mut answers = Vec::new();
    for (route, body) in posts {
        let answer = service.post(&format!("{stream}/{route}"), body).await;
        answers.push(("post", format!("{template}/{route}"), answer));
    }
    let full = "history=true&transitions=true&diff=true&atTimestamp=2100-01-01&later=true";
    for (template, path) in [
        (
            format!("{template}/events"),
            format!("{stream}/events?limit=1"),
        ),
        (format!("{template}/state"), format!("{stream}/state")),
        (
            format!("{template}/state"),
            format!("{stream}/state?{full}"),
        ),
        (
            format!("{template}/state"),
            format!("{stream}/state?atSequence=0"),
        ),
        (
            format!("{template}/state"),
            format!("{stream}/state?minPosition=99"),
        ),
        (
            format!("{template}/snapshots"),
            format!("{stream}/snapshots"),
        ),
        (
            format!("{template}/snapshots/latest"),
            format!("{stream}/snapshots/latest"),
        ),
        ("/v1/streams".into(), "/v1/streams?limit=1".into()),
        ("/v1/events".into(), "/v1/events".into()),
        ("/v1/events".into(), "/v1/events?limit=0".into()),
        ("/v1/machines".into(), "/v1/machines".into()),
        (
            "/v1/machines/{aggregateType}".into(),
            "/v1/machines/Issue".into(),
        ),
        (
            "/v1/machines/{aggregateType}".into(),
            "/v1/machines/None".into(),
        ),
        (
            "/v1/streams".into(),
            "/v1/streams?counts=true&minPosition=1&waitMs=30000".into(),
        ),
        ("/v1/projections".into(), "/v1/projections".into()),
        (
            "/v1/projections/{projection}".into(),
            "/v1/projections/current_state".into(),
        ),
        (
            "/v1/projections/{projection}/tables/{table}".into(),
            "/v1/projections/current_state/tables/streams".into(),
        ),
        ("/v1/processes".into(), "/v1/processes".into()),
        (
            "/v1/processes/{aggregateType}".into(),
            "/v1/processes/Issue?minPosition=1&waitMs=30000".into(),
        ),
        (
            "/v1/processes/{aggregateType}/streams".into(),
            "/v1/processes/Issue/streams?to=t".into(),
        ),
        (
            "/v1/traces/{correlationId}".into(),
            "/v1/traces/unknown".into(),
        ),
        ("/livez".into(), "/livez".into()),
        ("/readyz".into(), "/readyz".into()),
        ("/v1/info".into(), "/v1/info".into()),
    ] {
        answers.push(("get", template, service.get(&path).await));
    }
    let note = json!({"aggregateType": "Note", "aggregateId": "1", "eventType": "t", "payload": 1});
    let together = json!({"events": [note]});
    let together = service.post("/v1/append", together).await;
    answers.push(("post", "/v1/append".into(), together));
    let summary = service.post_lines("/v1/events?results=summary", "{}").await;
    answers.push(("post", "/v1/events".into(), summary));
    for (method, path, answer) in answers {
        let status = answer.status.as_u16().to_string();
        let place = format!("{method} {path} {status}");
        let contents = &document["paths"][&path][method]["responses"][&status]["content"];
        let schema = &contents[answer.header("content-type").unwrap()]["schema"];
        assert!(schema.is_object(), "{place} is not described");
        let checked = check(&document, schema, &answer.json(), &place);
        assert_eq!(checked, Ok(()), "{}", answer.text());
    }
}

#[tokio::test]
async fn the_page_fetches_nothing_from_elsewhere() {
    let service = service().await;
    let page = service.get("/docs").await;
    page.expect_status(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let text = page.text();
    assert!(!text.contains("<script") && !text.contains("http://") && !text.contains("https://"));
    assert!(text.contains("/v1/streams/{aggregateType}/{aggregateId}/transitions"));
    assert!(text.contains("id=\"illegal_transition\""));
    service.get("/docs.css").await.expect_status(200);
}
