//! The commands that work with data: on a folder, through a server, and on a folder that a
//! server holds. The answers must be the same.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Server, code, lines, one, retold, run, text};

/// The user that may do nothing, on Linux and elsewhere.
const NOBODY: u32 = 65_534;

/// What a person does in the first minutes; every command once.
fn walk_through(folder: &Path, store: &str) {
    let id = "01890000-0000-7000-8000-000000000001";
    let start = [
        "transition",
        "Issue/4/2",
        "start_work",
        "--actor",
        "ana",
        "--reason",
        "Next in line",
        "--event-id",
        id,
        "--timestamp",
        "2024-03-01T09:00:00Z",
        "--correlation",
        "matter-1",
    ];
    let started = one(folder, store, &start);
    assert_eq!(started["isNew"], json!(true));
    assert_eq!(started["event"]["payload"]["fromState"], json!("TODO"));
    assert_eq!(started["event"]["payload"]["toState"], json!("IN_PROGRESS"));
    let named = [&start[..], &["--from", "TODO", "--to", "IN_PROGRESS"]].concat();
    assert_eq!(one(folder, store, &named)["isNew"], json!(false));
    one(
        folder,
        store,
        &[
            "transition",
            "Issue/4/2",
            "block",
            "--context",
            r#"{"by": 1.0}"#,
        ],
    );

    let append = [
        "append",
        "Order/7",
        "order.placed",
        r#"{"b":1.50,"a":[]}"#,
        "--tag",
        "x",
    ];
    let placed = one(
        folder,
        store,
        &[&append[..], &["--expected", "no_stream"]].concat(),
    );
    assert_eq!(placed["event"]["sequenceNumber"], json!(1));

    let state = one(
        folder,
        store,
        &["state", "Issue/4/2", "--history", "--diff", "--transitions"],
    );
    assert_eq!(state["status"], json!("BLOCKED"));
    assert_eq!(state["stateHistory"].as_array().unwrap().len(), 2);
    assert!(state["availableTransitions"].is_array() && state["diff"].is_array());
    for (moment, wanted) in [
        (["--at-sequence", "1"], json!("IN_PROGRESS")),
        (["--at-position", "1"], json!("IN_PROGRESS")),
        (["--at-timestamp", "2024-03-02"], json!("IN_PROGRESS")),
        (["--at-persisted", "2024-03-02"], Value::Null),
    ] {
        let state = one(
            folder,
            store,
            &[&["state", "Issue/4/2"], &moment[..]].concat(),
        );
        assert_eq!(state["status"], wanted, "{moment:?}");
    }

    let count = |arguments: &[&str]| lines(folder, store, arguments).len();
    assert_eq!(count(&["events"]), 3);
    assert_eq!(count(&["events", "--limit", "2"]), 2);
    assert_eq!(count(&["events", "Issue/4/2", "--type", "block"]), 1);
    assert_eq!(count(&["events", "--correlation", "matter-1"]), 1);
    assert_eq!(count(&["events", "--tag", "x", "--all"]), 1);
    assert_eq!(count(&["events", "--actor", "ana", "--after", "1"]), 0);
    let newest = one(
        folder,
        store,
        &["events", "Issue/4/2", "--backward", "--limit", "1"],
    );
    assert_eq!(newest["eventType"], json!("block"));
    assert_eq!(count(&["streams"]), 2);
    let order = one(
        folder,
        store,
        &["streams", "--type", "Order", "--prefix", "7"],
    );
    assert_eq!(order["aggregateId"], json!("7"));

    let made = [
        "snapshots",
        "create",
        "Issue/4/2",
        "--force",
        "--metadata",
        r#"{"n":1}"#,
    ];
    assert_eq!(one(folder, store, &made)["sequenceNumber"], json!(2));
    assert_eq!(count(&["snapshots", "list", "Issue/4/2"]), 1);
    let checked = one(folder, store, &["snapshots", "check", "--all"]);
    assert_eq!(
        (&checked["checked"], &checked["differing"]),
        (&json!(1), &json!(0))
    );
    one(
        folder,
        store,
        &["snapshots", "prune", "Issue/4/2", "--keep", "0"],
    );
    assert_eq!(count(&["snapshots", "list", "Issue/4/2"]), 0);

    assert_eq!(count(&["machines", "list"]), 2);
    let machine = one(folder, store, &["machines", "show", "Issue"]);
    assert_eq!(machine["initial"], json!("TODO"));
    let file = folder.join("machine.toml");
    let toml = "type = \"Door\"\ninitial = \"OPEN\"\nstates = [\"OPEN\", \"SHUT\"]\n\
                [[transition]]\nname = \"shut\"\nfrom = [\"OPEN\"]\nto = \"SHUT\"\n";
    std::fs::write(&file, toml).unwrap();
    one(folder, store, &["machines", "add", "machine.toml"]);
    let shut = one(folder, store, &["transition", "Door/1", "shut"]);
    assert_eq!(shut["event"]["payload"]["toState"], json!("SHUT"));

    let stats = one(folder, store, &["stats"]);
    assert_eq!(
        stats["info"]["head"],
        json!(5),
        "with the machine's own event"
    );
    assert!(
        stats["counted"]
            .as_object()
            .unwrap()
            .contains_key("appended_events_total")
    );
}

#[test]
fn a_folder_and_a_server_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    walk_through(folder.path(), "here");
    let server = Server::start(folder.path(), &["--store", "there"]);
    walk_through(folder.path(), &server.url());
}

#[test]
fn a_folder_that_a_server_holds_is_reached_through_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let output = run(folder.path(), &["transition", "Issue/42", "start_work"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = format!(
        "./data is held by a server; going through {}\n",
        server.url()
    );
    assert_eq!(text(&output.stderr), told);
    assert!(text(&output.stdout).starts_with("Issue/42 is IN_PROGRESS (was TODO), at 1"));
}

#[test]
fn conflicts_are_three_and_what_is_not_there_is_four() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    assert_eq!(
        code(at, "data", &["append", "Order/7", "placed"]).0,
        Some(0)
    );
    let twice = ["append", "Order/7", "placed", "--expected", "no_stream"];
    let (status, error) = code(at, "data", &twice);
    assert_eq!(status, Some(3), "{error}");
    assert!(error.contains("event id: "), "{error}");
    let illegal = [
        "transition",
        "Issue/42",
        "deploy",
        "--from",
        "TODO",
        "--to",
        "DEPLOYED",
    ];
    let (status, error) = code(at, "data", &illegal);
    assert_eq!(status, Some(3), "{error}");
    assert!(
        error.contains("start_work") && error.contains("event id: "),
        "{error}"
    );
    assert_eq!(
        code(at, "data", &["transition", "Issue/42", "deploy"]).0,
        Some(3)
    );
    assert_eq!(code(at, "data", &["state", "Issue/none"]).0, Some(4));
    assert_eq!(code(at, "data", &["machines", "show", "None"]).0, Some(4));
    let (status, error) = code(at, "data", &["append", "Issue/42", "start_work"]);
    assert_eq!(status, Some(1), "{error}");
    assert_eq!(
        code(at, "data", &["state", "Order/7", "--at-timestamp", "soon"]).0,
        Some(2)
    );
}

#[test]
fn an_export_restores_an_empty_store_and_adds_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    walk_through(at, "one");
    one(at, "one", &["export", "--output", "all.ndjson"]);
    assert_eq!(
        code(at, "one", &["export", "--output", "all.ndjson"]).0,
        Some(2)
    );
    one(at, "two", &["import", "all.ndjson"]);
    let all = ["events", "--all", "--reserved"];
    assert_eq!(lines(at, "one", &all), lines(at, "two", &all));

    let new = concat!(
        r#"{"aggregateType":"A","aggregateId":"1","eventType":"e","payload":1,"metadata":{"eventId":"01890000-0000-7000-8000-00000000000a"}}"#,
        "\nnonsense\n",
        r#"{"aggregateType":"!","aggregateId":"1","eventType":"e","payload":1}"#,
        "\n"
    );
    std::fs::write(at.join("new.ndjson"), new).unwrap();
    for (new, known) in [(1, 0), (0, 1)] {
        let output = run(at, &["--store", "two", "--json", "import", "new.ndjson"]);
        assert_eq!(output.status.code(), Some(1));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&told["new"], &told["duplicate"]),
            (&json!(new), &json!(known))
        );
        let refused: Vec<_> = told["refusedLines"].as_array().unwrap().iter().collect();
        assert_eq!(
            refused.iter().map(|r| &r["line"]).collect::<Vec<_>>(),
            [2, 3]
        );
    }
}

#[test]
fn what_happens_is_followed_through_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut server = Server::start(at, &[]);
    let follow = [
        "--store",
        &server.url(),
        "--json",
        "events",
        "Order/7",
        "--follow",
    ];
    one(at, "data", &["append", "Order/7", "first"]);
    let mut following = retold(at, &follow).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || {
        let event: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
        event["eventType"].as_str().unwrap().to_owned()
    };
    assert_eq!(next(), "first");
    one(at, "data", &["append", "Order/8", "elsewhere"]);
    one(at, "data", &["append", "Order/7", "second"]);
    assert_eq!(next(), "second");
    server.terminate();
    assert!(server.ended().success(), "a live stream does not keep it");
    let address = server.address.clone();
    let _again = Server::start_at(at, &address);
    one(at, "data", &["append", "Order/7", "third"]);
    assert_eq!(next(), "third");
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn whoever_follows_a_folder_keeps_nobody_from_writing_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    one(at, "data", &["append", "Order/7", "first"]);
    let follow = ["--json", "events", "--follow"];
    let mut following = retold(at, &follow).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || {
        let event: Value = serde_json::from_str(&told.next().unwrap().unwrap()).unwrap();
        event["eventType"].as_str().unwrap().to_owned()
    };
    assert_eq!(next(), "first");
    one(at, "data", &["append", "Order/7", "second"]);
    assert_eq!(next(), "second");
    let server = Server::start(at, &[]);
    one(at, &server.url(), &["append", "Order/7", "third"]);
    assert_eq!(next(), "third");
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    one(at, "data", &["transition", "Issue/1", "start_work"]);
    one(at, "data", &["snapshots", "create", "Issue/1", "--force"]);
    let data = at.join("data");
    let allow = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // Root may write everything; the program is then run as nobody, from where nobody may go.
    let program = at.join("retold");
    std::fs::copy(env!("CARGO_BIN_EXE_retold"), &program).unwrap();
    allow(at, 0o755);
    for path in [data.join("log"), data.clone()] {
        allow(&path, 0o555);
    }
    let is_root = std::fs::write(data.join("probe"), "").is_ok();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.args(["--store", "data", "--json"]).args(arguments);
        command.current_dir(at).env_remove("RETOLD_STORE");
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap()
    };
    let state = run(&["state", "Issue/1"]);
    let append = run(&["append", "Order/7", "placed"]);
    for path in [data.clone(), data.join("log")] {
        allow(&path, 0o755);
    }
    let told = |output: &std::process::Output| text(&output.stderr);
    assert!(state.status.success(), "{}", told(&state));
    let state: Value = serde_json::from_slice(&state.stdout).unwrap();
    assert_eq!(state["status"], json!("IN_PROGRESS"));
    assert_eq!(append.status.code(), Some(1), "{}", told(&append));
}

#[test]
fn what_was_accepted_is_finished_when_the_server_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let address = server.address.clone();
    let (acknowledges, acknowledged) = std::sync::mpsc::channel();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (address, acknowledges) = (address.clone(), acknowledges.clone());
            std::thread::spawn(move || {
                // Nobody listens once all have begun.
                let told = || _ = acknowledges.send(writer);
                support::append_until_refused(&address, writer, told)
            })
        })
        .collect();
    let mut begun = BTreeSet::new();
    while begun.len() < writers.len() {
        begun.insert(acknowledged.recv_timeout(support::PATIENCE).unwrap());
    }
    server.terminate();
    let accepted: Vec<u64> = writers.into_iter().map(|w| w.join().unwrap()).collect();
    assert!(server.ended().success());
    for (writer, accepted) in accepted.iter().enumerate() {
        assert!(*accepted > 0);
        let name = writer.to_string();
        let streams = lines(
            folder.path(),
            "data",
            &["streams", "--type", "W", "--prefix", &name],
        );
        let kept = streams[0]["sequenceNumber"].as_u64().unwrap();
        // The last one may have been kept though its answer was lost.
        assert!(
            kept == *accepted || kept == accepted + 1,
            "{kept} of {accepted}"
        );
    }
}
