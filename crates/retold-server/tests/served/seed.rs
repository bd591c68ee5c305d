//! The usage of the first page, call by call, over HTTP: the same answers as the library gives.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::support::{Answer, Running, serve, within};

const ISSUE: &str = "/v1/streams/Issue/42";

/// Posts JSON, and gives the answer of the status that is expected.
async fn post(server: &Running, path: &str, status: u16, body: &Value) -> Value {
    let answer = server.post(path, body.to_string().as_bytes()).await;
    assert_eq!(answer.status, status, "{}", answer.body);
    answer.json()
}

async fn get(server: &Running, path: &str) -> Value {
    let answer = server.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

/// Takes a transition of issue 42, with what else belongs to it.
async fn transition(server: &Running, from: &str, to: &str, event: &str, more: Value) -> Value {
    let mut body = json!({"fromState": from, "toState": to, "event": event});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    post(server, &format!("{ISSUE}/transitions"), 201, &body).await
}

async fn start_work(server: &Running, more: Value) -> Value {
    transition(server, "TODO", "IN_PROGRESS", "start_work", more).await
}

async fn block(server: &Running, more: Value) -> Value {
    transition(server, "IN_PROGRESS", "BLOCKED", "block", more).await
}

async fn comment(server: &Running) {
    let comment = json!({"eventType": "issue.commented", "payload": {"text": "hello"}});
    post(server, &format!("{ISSUE}/events"), 201, &comment).await;
}

#[tokio::test]
async fn a_basic_state_transition() {
    let server = serve(|_| {}).await;
    let more = json!({
        "actor": "user-123",
        "reason": "Starting implementation",
        "context": {"sprint": 7},
    });
    let done = start_work(&server, more).await;
    assert_eq!(done["isNew"], true);
    let event = &done["event"];
    assert_eq!(event["aggregateType"], "Issue");
    assert_eq!(event["aggregateId"], "42");
    assert_eq!(event["eventType"], "start_work");
    assert_eq!(event["metadata"]["version"], "1.0.0");
    assert_eq!(event["metadata"]["actor"], "user-123");
    assert!(event["metadata"]["$machine"].is_string());
    assert_eq!(event["sequenceNumber"], 1);
    let read = server.get(&format!("{ISSUE}/events")).await.body;
    let payload = r#""payload":{"fromState":"TODO","toState":"IN_PROGRESS","event":"start_work","context":{"sprint":7},"reason":"Starting implementation"}"#;
    assert!(read.contains(payload), "{read}");
    assert_eq!(
        get(&server, &format!("{ISSUE}/state")).await["status"],
        "IN_PROGRESS"
    );
}

#[tokio::test]
async fn state_reconstruction() {
    let server = serve(|_| {}).await;
    start_work(&server, json!({})).await;
    comment(&server).await;
    block(&server, json!({"actor": "user-1", "reason": "waiting"})).await;

    let state = get(&server, &format!("{ISSUE}/state?history=true")).await;
    assert_eq!(state["exists"], true);
    assert_eq!(state["issueId"], "42");
    assert_eq!(state["status"], "BLOCKED");
    assert_eq!(state["transitionCount"], 2);
    assert_eq!(state["sequenceNumber"], 3);
    let history = state["stateHistory"].as_array().unwrap();
    assert_eq!(history.len(), 2);
    let mut last = history[1].clone();
    assert_eq!(last["timestamp"], state["lastTransitionAt"]);
    last.as_object_mut().unwrap().remove("timestamp");
    let expected = json!({
        "from": "IN_PROGRESS", "to": "BLOCKED", "event": "block",
        "reason": "waiting", "actor": "user-1", "sequenceNumber": 3,
    });
    assert_eq!(last, expected);
    assert!(state.get("final").is_none() && state.get("laterAtOrBefore").is_none());
}

#[tokio::test]
async fn point_in_time_by_sequence_and_by_date() {
    let server = serve(|_| {}).await;
    start_work(&server, json!({"timestamp": "2023-12-01T00:00:00Z"})).await;
    block(&server, json!({"timestamp": "2024-02-01T00:00:00Z"})).await;

    let early = get(&server, &format!("{ISSUE}/state?atSequence=1")).await;
    assert_eq!(early["status"], "IN_PROGRESS");
    let dated = format!("{ISSUE}/state?atTimestamp=2024-01-01&history=true");
    let dated = get(&server, &dated).await;
    assert_eq!(dated["status"], "IN_PROGRESS");
    assert_eq!(dated["stateHistory"].as_array().unwrap().len(), 1);
    let before = get(&server, &format!("{ISSUE}/state?atTimestamp=2023-01-01")).await;
    assert_eq!(
        (&before["exists"], &before["status"]),
        (&json!(false), &Value::Null)
    );
    let twice = format!("{ISSUE}/state?atSequence=1&atPosition=1");
    server.get(&twice).await.problem(400, "invalid");
}

#[tokio::test]
async fn the_event_stream() {
    let server = serve(|_| {}).await;
    start_work(&server, json!({})).await;
    for _ in 0..250 {
        comment(&server).await;
    }
    let numbers = |page: &Value| -> Vec<u64> {
        let events = page["events"].as_array().unwrap().iter();
        events
            .map(|e| e["sequenceNumber"].as_u64().unwrap())
            .collect()
    };
    let mut read = Vec::new();
    let mut next = Some(format!("{ISSUE}/events"));
    while let Some(path) = next {
        let page = get(&server, &path).await;
        read.extend(numbers(&page));
        next = page["next"].as_str().map(str::to_owned);
    }
    assert_eq!(read, (1..=251).collect::<Vec<u64>>());
    let newest = get(
        &server,
        &format!("{ISSUE}/events?direction=backward&limit=2"),
    )
    .await;
    assert_eq!(numbers(&newest), [251, 250]);
    let some = "eventType=issue.commented&fromSequence=100&toSequence=200&limit=1000";
    let some = get(&server, &format!("{ISSUE}/events?{some}")).await;
    assert_eq!(numbers(&some).len(), 101);
    let unknown = server.get("/v1/streams/Issue/unknown/events").await;
    unknown.problem(404, "not_found");
}

#[tokio::test]
async fn snapshots_by_hand_and_by_themselves() {
    let server = serve(|_| {}).await;
    start_work(&server, json!({})).await;
    let (snapshots, latest) = (
        format!("{ISSUE}/snapshots"),
        format!("{ISSUE}/snapshots/latest"),
    );
    server.get(&latest).await.problem(404, "not_found");
    let by_hand = json!({"force": true, "metadata": {"why": "before the release"}});
    post(&server, &snapshots, 201, &by_hand).await;
    let made = get(&server, &latest).await;
    assert_eq!(made["sequenceNumber"], 1);
    assert_eq!(made["metadata"], by_hand["metadata"]);
    assert_eq!(made["state"]["status"], "IN_PROGRESS");

    for _ in 0..30 {
        block(&server, json!({})).await;
        transition(&server, "BLOCKED", "IN_PROGRESS", "unblock", json!({})).await;
    }
    assert_eq!(get(&server, &latest).await["sequenceNumber"], 50);
    let state = get(&server, &format!("{ISSUE}/state")).await;
    assert_eq!(state["transitionCount"], 61);
    assert_eq!(state["status"], "IN_PROGRESS");
}

#[tokio::test]
async fn correlation_and_causation() {
    let server = serve(|_| {}).await;
    let correlation_id = uuid::Uuid::new_v4().to_string();
    let first = start_work(&server, json!({"correlationId": correlation_id})).await;
    let first_id = first["event"]["metadata"]["eventId"].as_str().unwrap();
    let execute = json!({
        "fromState": "PENDING", "toState": "RUNNING", "event": "execute",
        "correlationId": correlation_id, "causationId": first_id,
    });
    post(
        &server,
        "/v1/streams/Execution/e1/transitions",
        201,
        &execute,
    )
    .await;

    let story = get(
        &server,
        &format!("/v1/events?correlationId={correlation_id}"),
    )
    .await;
    let story = story["events"].as_array().unwrap();
    assert_eq!(story.len(), 2);
    assert_eq!(story[1]["eventType"], "execute");
    assert_eq!(story[1]["metadata"]["causationId"], first_id);
    let found = get(&server, &format!("/v1/events/{first_id}")).await;
    assert_eq!(found, first["event"]);
}

#[tokio::test]
async fn a_duplicate_is_answered_with_the_first_result() {
    let server = serve(|_| {}).await;
    let event_id = uuid::Uuid::now_v7().to_string();
    let first = start_work(&server, json!({"eventId": event_id})).await;
    block(&server, json!({})).await;

    let again = json!({
        "fromState": "TODO", "toState": "IN_PROGRESS", "event": "start_work", "eventId": event_id,
    });
    let again = post(&server, &format!("{ISSUE}/transitions"), 200, &again).await;
    assert_eq!(again["isNew"], false);
    assert_eq!(again["event"], first["event"]);
    let state = get(&server, &format!("{ISSUE}/state")).await;
    assert_eq!(state["transitionCount"], 2);
}

/// Over HTTP what is committed is followed as the events themselves.
#[tokio::test]
async fn state_changes_are_followed_live() {
    let server = serve(|_| {}).await;
    let path = "GET /v1/events?after=head&aggregateType=Issue";
    let head = server.head(path, &["accept: text/event-stream"]) + "\r\n";
    let mut stream = server.begin(&head).await;
    let mut text = String::new();
    read_until(&mut stream, &mut text, "event: progress").await;
    let more = json!({"actor": "user-123", "reason": "go", "correlationId": "c"});
    let done = start_work(&server, more).await;
    read_until(&mut stream, &mut text, "\"completeThrough\":1").await;
    let data = text
        .lines()
        .find_map(|line| line.strip_prefix("data: {\"aggregateType\""));
    let event = format!("{{\"aggregateType\"{}", data.unwrap());
    assert_eq!(
        serde_json::from_str::<Value>(&event).unwrap(),
        done["event"]
    );
}

async fn read_until(stream: &mut tokio::net::TcpStream, text: &mut String, wanted: &str) {
    while !text.contains(wanted) {
        let mut piece = [0; 4096];
        let read = within(stream.read(&mut piece)).await.unwrap();
        assert!(read > 0, "no {wanted} in {text}");
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
}

/// A client folds what it reads with a reducer of its own.
#[tokio::test]
async fn a_replay_with_a_reducer_of_ones_own() {
    let server = serve(|_| {}).await;
    for amount in 1..=10 {
        let event = json!({"eventType": "account.credited", "payload": amount});
        post(&server, "/v1/streams/Account/7/events", 201, &event).await;
    }
    let balance = async |query: &str| -> i64 {
        let line = format!("GET /v1/streams/Account/7/events{query}");
        let answer: Answer = server
            .ask(&line, &["accept: application/x-ndjson"], b"")
            .await;
        let events = answer.body.lines().filter(|line| line.starts_with('{'));
        let amount = |line: &str| serde_json::from_str::<Value>(line).unwrap()["payload"].as_i64();
        events.map(|line| amount(line).unwrap()).sum()
    };
    assert_eq!(balance("?toSequence=4").await, 10);
    assert_eq!(balance("").await, 55);
}
