//! `retold projections`, `retold trace` and streams by status, as a person uses them, on a folder
//! that no server holds.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::path::Path;

use support::{Server, ask, code, lines, one, run, text};

/// What a command shows a person.
fn shown(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn filled(folder: &Path) {
    for (id, event) in [("1", "start_work"), ("2", "start_work"), ("2", "block")] {
        let story = ["--correlation", "story"];
        let stream = format!("Issue/{id}");
        one(
            folder,
            "data",
            &[&["transition", &stream, event][..], &story].concat(),
        );
    }
    one(folder, "data", &["append", "Note/n", "noted", "{}"]);
}

#[test]
fn streams_are_listed_by_status_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    filled(folder);
    let blocked = lines(folder, "data", &["streams", "--status", "BLOCKED"]);
    assert_eq!(
        (blocked.len(), &blocked[0]["aggregateId"]),
        (1, &"2".into())
    );
    let listed = shown(folder, &["streams", "--sort", "written"]);
    let (newest, _) = (listed.lines().nth(1).unwrap(), ());
    assert!(
        newest.starts_with("Note/n") && newest.contains("noted"),
        "{listed}"
    );
    let counts = lines(folder, "data", &["streams", "--counts"]);
    let counts: Vec<_> = counts
        .iter()
        .map(|c| (&c["status"], &c["streams"]))
        .collect();
    assert_eq!(
        counts,
        [
            (&"BLOCKED".into(), &1.into()),
            (&"IN_PROGRESS".into(), &1.into()),
            (&"noted".into(), &1.into()),
        ]
    );
    assert!(shown(folder, &["streams", "--counts", "--type", "Issue"]).contains("BLOCKED"));
}

#[test]
fn a_projection_is_read_rebuilt_compared_and_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    filled(folder);
    let list = shown(folder, &["projections", "list"]);
    for name in ["current_state", "process_map", "state_history"] {
        assert!(list.contains(name), "{list}");
    }
    let show = shown(folder, &["projections", "show", "state_history"]);
    assert!(
        show.contains("issue_state_history") && show.contains("triggered_by"),
        "{show}"
    );
    let rows = [
        "projections",
        "rows",
        "state_history",
        "issue_state_history",
    ];
    assert_eq!(lines(folder, "data", &rows).len(), 3);
    let key = [
        &["projections", "rows", "current_state", "streams"][..],
        &["--key", r#"["Issue","2"]"#],
    ];
    assert_eq!(one(folder, "data", &key.concat())["status"], "BLOCKED");
    let sorted = [
        &["projections", "rows", "current_state", "streams"][..],
        &["--sort", "-position", "--limit", "1"],
    ]
    .concat();
    assert!(shown(folder, &sorted).contains("noted"));

    let rebuilt = shown(folder, &["projections", "rebuild", "process_map"]);
    assert_eq!(rebuilt, "process_map 1.2 is read\n");
    let compared = shown(
        folder,
        &["projections", "compare", "process_map", "--previous"],
    );
    assert!(compared.contains("edges"), "{compared}");
    let held = shown(folder, &["projections", "rebuild", "process_map", "--hold"]);
    assert!(held.contains("1.3 has caught up"), "{held}");
    assert_eq!(
        shown(folder, &["projections", "promote", "process_map"]),
        "process_map 1.3 is read\n"
    );
    let back = shown(folder, &["projections", "bring-back", "process_map"]);
    assert_eq!(back, "process_map 1.2 is read again\n");
    assert_eq!(
        shown(folder, &["projections", "discard", "process_map"]),
        "process_map 1.3 is gone\n"
    );
    let pause = ["projections", "pause", "process_map", "--reason", "noon"];
    assert_eq!(shown(folder, &pause), "process_map 1.2 pauses\n");
    assert!(shown(folder, &["projections", "list"]).contains("paused: noon"));
    assert_eq!(
        shown(folder, &["projections", "resume", "process_map"]),
        "process_map 1.2 goes on\n"
    );
    let (exit, said) = code(folder, "data", &["projections", "cancel", "process_map"]);
    assert_eq!(exit, Some(4), "{said}");
    let (exit, said) = code(folder, "data", &["projections", "show", "nothing"]);
    assert_eq!(exit, Some(4), "{said}");
}

#[test]
fn a_server_without_projections_leaves_what_was_built_for_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    filled(folder);
    assert_eq!(
        lines(folder, "data", &["streams", "--status", "noted"]).len(),
        1
    );
    {
        let server = Server::start(folder, &["--no-projections"]);
        let ask = |call: &str, body: &str| ask(&server.address, call, body).unwrap();
        let event = r#"{"eventType":"noted","payload":{}}"#;
        assert_eq!(ask("POST /v1/streams/Note/late/events", event).0, 201);
        let (status, listed) = ask("GET /v1/projections", "");
        assert_eq!((status, &*listed), (200, r#"{"projections":[]}"#));
        for call in ["GET /v1/processes", "GET /v1/streams?status=BLOCKED"] {
            let (status, answer) = ask(call, "");
            assert!(status == 404 && answer.contains("not_found"), "{answer}");
        }
    }
    assert!(folder.join("data/views/current_state@1.db").exists());
    let noted = lines(folder, "data", &["streams", "--status", "noted"]);
    let ids: Vec<_> = noted.iter().map(|stream| &stream["aggregateId"]).collect();
    assert_eq!(ids, ["late", "n"]);
}

#[test]
fn a_trace_is_drawn_as_a_tree() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let story = ["--correlation", "story"];
    let mut cause = "a click".to_owned();
    for stream in ["Order/1", "Payment/1", "Parcel/1"] {
        let append = [
            &[
                "append",
                stream,
                "done",
                "{}",
                "--causation",
                &cause,
                "--actor",
                "ada",
            ][..],
            &story,
        ];
        let appended = one(folder, "data", &append.concat());
        cause = appended["event"]["metadata"]["eventId"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    let drawn = shown(folder, &["trace", "story"]);
    let ends: Vec<&str> = drawn
        .lines()
        .map(|line| line.split(" 20").next().unwrap())
        .collect();
    assert_eq!(
        ends,
        ["done Order/1", "└─ done Payment/1", "   └─ done Parcel/1"]
    );
    assert!(drawn.contains(" by ada"), "{drawn}");
    assert_eq!(one(folder, "data", &["trace", "story"])["isComplete"], true);
    let (exit, _) = code(folder, "data", &["trace", "unknown"]);
    assert_eq!(exit, Some(4));
}
