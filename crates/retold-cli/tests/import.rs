//! How an import treats state machines, and what an export comes back as.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::fmt::Write;
use std::path::Path;

use retold::RecordedEvent;
use serde_json::{Value, json};
use support::{Server, code, lines, one, run, text};

/// Writes a file of events, one on each line.
fn write(folder: &Path, file: &str, events: &[Value]) {
    let mut text = String::new();
    for event in events {
        writeln!(text, "{event}").unwrap();
    }
    std::fs::write(folder.join(file), text).unwrap();
}

/// An event of an issue.
fn issue(id: &str, event: &str, payload: Value) -> Value {
    json!({"aggregateType": "Issue", "aggregateId": id, "eventType": event, "payload": payload,
           "metadata": {"timestamp": "2024-03-01T09:00:00Z", "actor": "ana"}})
}

/// Imports a file of which some lines may be refused; the outcome with the numbers of those.
fn import(folder: &Path, store: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let all = [&["--store", store, "--json", "import"], arguments].concat();
    let output = run(folder, &all);
    let told = text(&output.stdout);
    let told = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    (output.status.code(), told)
}

fn counts(told: &Value) -> [u64; 3] {
    ["new", "duplicate", "refused"].map(|name| told[name].as_u64().unwrap())
}

fn refused(told: &Value) -> Vec<(u64, String)> {
    let refused = told["refusedLines"].as_array().unwrap().iter();
    let refused = refused.map(|one| {
        (
            one["line"].as_u64().unwrap(),
            one["detail"].as_str().unwrap().to_owned(),
        )
    });
    refused.collect()
}

#[test]
fn a_type_with_a_machine_is_not_imported_unless_it_is_said_how() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let order =
        json!({"aggregateType": "Order", "aggregateId": "7", "eventType": "placed", "payload": 1});
    let remark = issue("1", "issue.commented", json!("Done?"));
    write(
        at,
        "mixed.ndjson",
        &[issue("1", "start_work", json!({})), order, remark],
    );
    let (status, told) = import(at, "data", &["mixed.ndjson"]);
    assert_eq!((status, counts(&told)), (Some(1), [1, 0, 2]));
    let refused = refused(&told);
    assert_eq!(
        refused.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [1, 3]
    );
    for (_, reason) in refused {
        assert!(
            reason.contains("--machine check") && reason.contains("trust"),
            "{reason}"
        );
    }
    // A whole log of such a type is wrong usage, and nothing of it is read.
    std::fs::write(
        at.join("log.csv"),
        "case,event,time\n1,start_work,2024-03-01\n",
    )
    .unwrap();
    let (status, error) = code(at, "data", &["import", "--type", "Issue", "log.csv"]);
    assert_eq!(status, Some(2), "{error}");
    assert!(error.contains("--machine check"), "{error}");
    assert_eq!(lines(at, "data", &["events"]).len(), 1);
}

#[test]
fn checked_lines_are_transitions_that_the_machine_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = Server::start(at, &["--store", "served"]);
    for store in ["here", &server.url()] {
        let stated = json!({"fromState": "IN_PROGRESS", "toState": "IN_REVIEW",
                            "event": "submit_for_review", "reason": "All checks pass",
                            "context": {"b": 1, "a": 2}});
        let events = [
            issue("1", "start_work", json!({"sprint": 7})),
            issue("2", "deploy", json!(null)),
            issue("1", "submit_review", stated.clone()),
            issue("3", "start_work", json!({"toState": "DEPLOYED"})),
            issue("1", "issue.commented", json!("Done?")),
            json!({"aggregateType": "Order", "aggregateId": "7", "eventType": "placed", "payload": 1}),
            issue("1", "approve", json!(null)),
            issue(
                "2",
                "cancel",
                json!({"toState": "CANCELED", "note": "lost"}),
            ),
        ];
        write(at, "issues.ndjson", &events);
        let check = ["--machine", "check", "issues.ndjson"];
        let (status, told) = import(at, store, &check);
        assert_eq!((status, counts(&told)), (Some(1), [3, 0, 5]), "{told}");
        let reasons = refused(&told);
        for ((line, reason), (wanted, part)) in reasons.iter().zip([
            (2, "deploy from TODO; possible there: start_work, cancel"),
            (4, "start_work"),
            (5, "no transition of that name"),
            (6, "find a state machine for Order"),
            (8, "\"note\""),
        ]) {
            assert_eq!(*line, wanted, "{told}");
            assert!(
                reason.starts_with("failed to ") && reason.contains(part),
                "{reason}"
            );
        }
        let state = one(at, store, &["state", "Issue/1", "--history"]);
        assert_eq!(state["status"], json!("MERGED"));
        let ways: Vec<_> = state["stateHistory"].as_array().unwrap().iter().collect();
        let ways: Vec<_> = ways.iter().map(|way| (&way["event"], &way["to"])).collect();
        let wanted = [
            ("start_work", "IN_PROGRESS"),
            ("submit_for_review", "IN_REVIEW"),
            ("approve", "MERGED"),
        ];
        assert_eq!(
            ways,
            wanted
                .map(|(event, to)| (json!(event), json!(to)))
                .iter()
                .map(|(a, b)| (a, b))
                .collect::<Vec<_>>()
        );
        let recorded = lines(at, store, &["events", "Issue/1"]);
        assert_eq!(
            recorded[0]["payload"],
            json!({"fromState": "TODO", "toState": "IN_PROGRESS",
            "event": "start_work", "context": {"sprint": 7}})
        );
        assert_eq!(recorded[1]["payload"], stated);
        assert_eq!(
            recorded[2]["eventType"],
            json!("merge"),
            "the first name of the transition"
        );
        for event in &recorded {
            // What the machine judged carries its fingerprint, not the mark of what was trusted.
            let judged = event["metadata"]["$machine"].as_str().unwrap();
            assert_eq!(judged.len(), 16, "{judged}");
            assert_eq!(
                event["metadata"]["timestamp"],
                json!("2024-03-01T09:00:00Z")
            );
        }
        // The same again adds nothing, though the state has gone on.
        let (_, again) = import(at, store, &check);
        assert_eq!(counts(&again), [0, 3, 5], "{again}");
        // A mended line takes up where the stream stands.
        write(
            at,
            "more.ndjson",
            &[&events[..], &[issue("1", "deploy", json!(null))]].concat(),
        );
        let (_, more) = import(at, store, &["--machine", "check", "more.ndjson"]);
        assert_eq!(counts(&more), [1, 3, 5], "{more}");
        assert_eq!(
            one(at, store, &["state", "Issue/1"])["status"],
            json!("DEPLOYED")
        );
    }
}

#[test]
fn trusted_lines_are_recorded_unchecked_and_folded() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let events = [
        issue(
            "1",
            "deploy",
            json!({"fromState": "TODO", "toState": "DEPLOYED"}),
        ),
        issue("1", "start_work", json!({"sprint": 7})),
        issue("1", "issue.commented", json!("Done?")),
    ];
    write(at, "issues.ndjson", &events);
    let trust = ["--machine", "trust", "issues.ndjson"];
    let (status, told) = import(at, "data", &trust);
    assert_eq!((status, counts(&told)), (Some(1), [2, 0, 1]), "{told}");
    assert!(refused(&told)[0].1.contains("toState"), "{told}");
    let state = one(at, "data", &["state", "Issue/1"]);
    assert_eq!(state["status"], json!("DEPLOYED"));
    assert_eq!(counts(&import(at, "data", &trust).1), [0, 2, 1]);
}

#[test]
fn strict_ends_at_the_first_refused_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let issues = ["1", "2", "3"].map(|id| match id {
        "2" => issue(id, "deploy", json!(null)),
        id => issue(id, "start_work", json!(null)),
    });
    write(at, "issues.ndjson", &issues);
    let strict = ["--strict", "--machine", "check", "issues.ndjson"];
    let (status, told) = import(at, "data", &strict);
    assert_eq!((status, counts(&told)), (Some(1), [1, 0, 1]), "{told}");
    assert_eq!(lines(at, "data", &["streams"]).len(), 1);
}

/// All events of a store, Retold's own too.
fn recorded(folder: &Path, store: &str) -> Vec<RecordedEvent> {
    let events = lines(folder, store, &["events", "--all", "--reserved"]);
    let events = events
        .into_iter()
        .map(|event| serde_json::from_value(event).unwrap());
    events.collect()
}

#[test]
fn an_export_is_restored_into_an_empty_store_and_appended_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let transition = [
        "transition",
        "Issue/1",
        "start_work",
        "--reason",
        "Next in line",
    ];
    one(at, "one", &transition);
    one(
        at,
        "one",
        &[
            "append",
            "Issue/1",
            "issue.commented",
            r#"{"b":1.50,"a":[]}"#,
            "--tag",
            "x",
        ],
    );
    let toml = "type = \"Door\"\ninitial = \"OPEN\"\nstates = [\"OPEN\", \"SHUT\"]\n\
                [[transition]]\nname = \"shut\"\nfrom = [\"OPEN\"]\nto = \"SHUT\"\n";
    std::fs::write(at.join("door.toml"), toml).unwrap();
    one(at, "one", &["machines", "add", "door.toml"]);
    one(at, "one", &["transition", "Door/1", "shut"]);
    one(at, "one", &["export", "--output", "all.ndjson"]);
    let first = recorded(at, "one");
    assert_eq!(first.len(), 4);

    let restored = one(at, "restored", &["import", "all.ndjson"]);
    assert_eq!(restored, json!({"events": 4, "head": 4}));
    let second = recorded(at, "restored");
    let digests =
        |events: &[RecordedEvent]| -> Vec<_> { events.iter().map(RecordedEvent::digest).collect() };
    assert_eq!(digests(&second), digests(&first));
    // What was restored goes on: its machine came along.
    let illegal = code(at, "restored", &["transition", "Door/1", "shut"]);
    assert_eq!(illegal.0, Some(3), "{}", illegal.1);

    one(at, "other", &["append", "Order/7", "placed"]);
    one(at, "other", &["machines", "add", "door.toml"]);
    let (status, told) = import(at, "other", &["--machine", "trust", "all.ndjson"]);
    assert_eq!((status, counts(&told)), (Some(0), [3, 0, 0]));
    assert_eq!(told["passedOver"], json!(1), "the machine's own event");
    let appended = recorded(at, "other");
    for event in first.iter().filter(|event| !event.stream.is_reserved()) {
        let id = event.metadata.event_id;
        let new = appended
            .iter()
            .find(|new| new.metadata.event_id == id)
            .unwrap();
        assert_eq!(new.payload, event.payload);
        assert_eq!(new.tags, event.tags);
        assert_eq!(new.metadata.timestamp, event.metadata.timestamp);
        assert_eq!(new.sequence_number, event.sequence_number);
        assert!(new.position > 2, "behind what was there");
        assert!(new.persisted_at > event.persisted_at);
    }
    assert_eq!(
        counts(&import(at, "other", &["--machine", "trust", "all.ndjson"]).1),
        [0, 3, 0]
    );
    let state = one(at, "other", &["state", "Issue/1"]);
    assert_eq!(state["status"], json!("IN_PROGRESS"));
}

#[test]
fn a_part_of_an_export_is_appended_where_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    one(at, "one", &["append", "Order/7", "placed"]);
    one(at, "one", &["append", "Sensor/1", "measured"]);
    one(at, "one", &["append", "Order/7", "paid"]);
    one(
        at,
        "one",
        &["export", "--type", "Order", "--output", "orders.ndjson"],
    );
    let (status, error) = code(at, "two", &["import", "orders.ndjson"]);
    assert_ne!(status, Some(0));
    assert!(error.contains("--append"), "{error}");
    let (status, told) = import(at, "three", &["--append", "orders.ndjson"]);
    assert_eq!((status, counts(&told)), (Some(0), [2, 0, 0]));
}
