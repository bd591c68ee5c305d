//! The first page's usage, call by call, over the command line against a running server: the
//! same answers as the library gives (`crates/retold/tests/seed.rs`).

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Server, code, lines, one, retold};

/// Runs a test against a server of its own; the commands find it by its folder's LOCK as well as
/// by its address.
fn on_server(test: impl Fn(&Path, &str)) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    test(folder.path(), &server.url());
}

fn start_work<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let start = [
        "transition",
        "Issue/42",
        "start_work",
        "--from",
        "TODO",
        "--to",
        "IN_PROGRESS",
    ];
    [&start, more].concat()
}

#[test]
fn a_basic_state_transition() {
    on_server(|at, store| {
        let more = ["--actor", "user-123", "--reason", "Starting implementation"];
        let more = [&more[..], &["--context", r#"{"sprint":7}"#]].concat();
        let done = one(at, store, &start_work(&more));
        assert_eq!(done["isNew"], json!(true));
        let event = &done["event"];
        assert_eq!(event["aggregateType"], json!("Issue"));
        assert_eq!(event["aggregateId"], json!("42"));
        assert_eq!(event["eventType"], json!("start_work"));
        assert_eq!(
            event["payload"],
            json!({"fromState": "TODO", "toState": "IN_PROGRESS", "event": "start_work",
                   "context": {"sprint": 7}, "reason": "Starting implementation"})
        );
        assert_eq!(event["metadata"]["version"], json!("1.0.0"));
        assert_eq!(event["metadata"]["actor"], json!("user-123"));
        assert_eq!(event["sequenceNumber"], json!(1));
        let judged_by = retold::Machine::issue();
        assert_eq!(
            event["metadata"]["$machine"],
            json!(judged_by.fingerprint())
        );
    });
}

#[test]
fn state_reconstruction() {
    on_server(|at, store| {
        one(at, store, &start_work(&[]));
        one(
            at,
            store,
            &["append", "Issue/42", "issue.commented", r#"{"text":"hm"}"#],
        );
        let block = [
            "transition",
            "Issue/42",
            "block",
            "--actor",
            "user-1",
            "--reason",
            "waiting",
        ];
        one(at, store, &block);
        let state = one(at, store, &["state", "Issue/42", "--history"]);
        assert_eq!(state["exists"], json!(true));
        assert_eq!(state["status"], json!("BLOCKED"));
        assert_eq!(state["transitionCount"], json!(2));
        assert_eq!(state["sequenceNumber"], json!(3));
        assert_eq!(state["issueId"], json!("42"));
        let history = state["stateHistory"].as_array().unwrap();
        assert_eq!(history.len(), 2);
        let last = &history[1];
        assert_eq!(
            last,
            &json!({"from": "IN_PROGRESS", "to": "BLOCKED", "event": "block",
                    "timestamp": state["lastTransitionAt"], "reason": "waiting",
                    "actor": "user-1", "sequenceNumber": 3})
        );
    });
}

#[test]
fn point_in_time_by_sequence_and_by_date() {
    on_server(|at, store| {
        one(at, store, &start_work(&["--timestamp", "2023-12-01"]));
        one(
            at,
            store,
            &[
                "transition",
                "Issue/42",
                "block",
                "--timestamp",
                "2024-02-01",
            ],
        );
        let state = |moment: [&str; 2]| {
            one(
                at,
                store,
                &["state", "Issue/42", "--history", moment[0], moment[1]],
            )
        };
        assert_eq!(
            state(["--at-sequence", "1"])["status"],
            json!("IN_PROGRESS")
        );
        let dated = state(["--at-timestamp", "2024-01-01"]);
        assert_eq!(dated["status"], json!("IN_PROGRESS"));
        assert_eq!(dated["stateHistory"].as_array().unwrap().len(), 1);
        let before = state(["--at-timestamp", "2023-01-01"]);
        assert_eq!(
            (&before["exists"], &before["status"]),
            (&json!(false), &Value::Null)
        );
        let twice = [
            "state",
            "Issue/42",
            "--at-sequence",
            "1",
            "--at-position",
            "1",
        ];
        assert_eq!(code(at, store, &twice).0, Some(2));
    });
}

#[test]
fn the_event_stream() {
    on_server(|at, store| {
        one(at, store, &start_work(&[]));
        let mut comments = String::new();
        for _ in 0..250 {
            comments.push_str(r#"{"aggregateType":"Issue","aggregateId":"42","eventType":"issue.commented","payload":"hm"}"#);
            comments.push('\n');
        }
        std::fs::write(at.join("comments.ndjson"), comments).unwrap();
        one(
            at,
            store,
            &["import", "--machine", "trust", "comments.ndjson"],
        );
        let numbers = |arguments: &[&str]| -> Vec<u64> {
            let events = lines(at, store, &[&["events", "Issue/42"], arguments].concat());
            events
                .iter()
                .map(|event| event["sequenceNumber"].as_u64().unwrap())
                .collect()
        };
        assert_eq!(numbers(&["--all"]), (1..=251).collect::<Vec<u64>>());
        assert_eq!(numbers(&["--backward", "--limit", "2"]), [251, 250]);
        assert_eq!(numbers(&["--all", "--type", "issue.commented"]).len(), 250);
        assert_eq!(code(at, store, &["events", "Issue/unknown"]).0, Some(4));
    });
}

#[test]
fn snapshots_by_hand_and_by_themselves() {
    on_server(|at, store| {
        one(at, store, &start_work(&[]));
        assert!(lines(at, store, &["snapshots", "list", "Issue/42"]).is_empty());
        let metadata = r#"{"why":"before the release"}"#;
        let create = [
            "snapshots",
            "create",
            "Issue/42",
            "--force",
            "--metadata",
            metadata,
        ];
        one(at, store, &create);
        let latest = one(at, store, &["snapshots", "list", "Issue/42"]);
        assert_eq!(latest["sequenceNumber"], json!(1));
        assert_eq!(latest["metadata"], json!({"why": "before the release"}));

        let mut around = String::new();
        for nth in 0..60 {
            let event = if nth % 2 == 0 { "block" } else { "unblock" };
            let line = json!({"aggregateType": "Issue", "aggregateId": "42", "eventType": event, "payload": null});
            around.push_str(&format!("{line}\n"));
        }
        std::fs::write(at.join("around.ndjson"), around).unwrap();
        one(
            at,
            store,
            &["import", "--machine", "check", "around.ndjson"],
        );
        let snapshots = lines(at, store, &["snapshots", "list", "Issue/42"]);
        assert_eq!(snapshots[0]["sequenceNumber"], json!(50));
        let state = one(at, store, &["state", "Issue/42"]);
        assert_eq!(state["transitionCount"], json!(61));
        assert_eq!(state["status"], json!("IN_PROGRESS"));
    });
}

#[test]
fn correlation_and_causation() {
    on_server(|at, store| {
        let correlation = "01890000-0000-7000-8000-0000000000c0";
        let first = one(at, store, &start_work(&["--correlation", correlation]));
        let first_id = first["event"]["metadata"]["eventId"].as_str().unwrap();
        let execute = [
            "transition",
            "Execution/e1",
            "execute",
            "--from",
            "PENDING",
            "--to",
            "RUNNING",
        ];
        let cause = ["--correlation", correlation, "--causation", first_id];
        one(at, store, &[&execute[..], &cause].concat());
        let story = lines(at, store, &["events", "--correlation", correlation]);
        assert_eq!(story.len(), 2);
        assert_eq!(story[0], first["event"]);
        assert_eq!(story[1]["eventType"], json!("execute"));
        assert_eq!(story[1]["metadata"]["causationId"], json!(first_id));
        let caused = one(at, store, &["events", "--causation", first_id]);
        assert_eq!(caused, story[1]);
    });
}

#[test]
fn a_duplicate_is_answered_with_the_first_result() {
    on_server(|at, store| {
        let again = start_work(&["--event-id", "01890000-0000-7000-8000-000000000001"]);
        let first = one(at, store, &again);
        one(at, store, &["transition", "Issue/42", "block"]);
        let second = one(at, store, &again);
        assert_eq!(second["isNew"], json!(false));
        assert_eq!(second["event"], first["event"]);
        assert_eq!(
            one(at, store, &["state", "Issue/42"])["transitionCount"],
            json!(2)
        );
    });
}

/// Over the command line the changes are followed in the log, from which the bus is read.
#[test]
fn state_changes_are_followed() {
    on_server(|at, store| {
        let follow = [
            "--store",
            store,
            "--json",
            "events",
            "-f",
            "--aggregate-type",
            "Issue",
        ];
        let mut following = retold(at, &follow).stdout(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(following.stdout.take().unwrap());
        let done = one(
            at,
            store,
            &start_work(&["--actor", "user-123", "--reason", "go"]),
        );
        let line = told.lines().next().unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), done["event"]);
        following.kill().unwrap();
        following.wait().unwrap();
    });
}
