//! What an operator does: verify a store, recover one that was damaged on purpose, look at what
//! it takes of the disk, and torture one.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Server, code, lines, one, run, text};

const SEGMENT: &str = "log/00000000000000000001.log";

/// A store in `folder/data` of which every event is vouched for: three orders and two issues,
/// one event each but for the first order, which has three.
fn store(folder: &Path) -> PathBuf {
    let events: Vec<Value> = [
        ("7", "placed"),
        ("8", "placed"),
        ("7", "paid"),
        ("9", "placed"),
        ("7", "sent"),
    ]
    .iter()
    .zip(1..)
    .map(|((id, event), nth)| {
        json!({"aggregateType": "Order", "aggregateId": id, "eventType": format!("order.{event}"),
                   "payload": {"nth": nth},
                   "metadata": {"eventId": format!("01890000-0000-7000-8000-00000000000{nth}"),
                                "timestamp": "2024-03-01T09:00:00Z", "correlationId": "c"}})
    })
    .collect();
    // Each in a frame of its own, so that damage in one leaves the others alone.
    for event in &events {
        fs::write(folder.join("one.ndjson"), format!("{event}\n")).unwrap();
        one(folder, "data", &["import", "one.ndjson"]);
    }
    folder.join("data")
}

/// Flips a bit of the payload of the event with this number.
fn damage(data: &Path, nth: u32) {
    let file = data.join(SEGMENT);
    let mut bytes = fs::read(&file).unwrap();
    let payload = format!("{{\"nth\":{nth}}}");
    let found = bytes
        .windows(payload.len())
        .position(|w| w == payload.as_bytes());
    bytes[found.unwrap() + 3] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// All files of a folder with their content.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), fs::read(path).unwrap())),
        }
    }
    found.sort();
    found
}

/// What a person reads: standard output, then standard error, without what differs each time.
fn read(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let whole = format!(
        "{}\n--- standard error\n{}--- exit code {}\n",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap()
    );
    let words = whole.split_inclusive([' ', '\n', ':', '.']);
    let words = words.map(|word| {
        let id = word.trim_end_matches([' ', '\n', ':', '.']);
        let is_random = uuid::Uuid::parse_str(id).is_ok() && !id.starts_with("01890000");
        match is_random {
            true => word.replace(id, "[id]"),
            false => word.to_owned(),
        }
    });
    words.collect()
}

#[test]
fn a_whole_store_is_verified_without_being_changed() {
    let folder = tempfile::tempdir().unwrap();
    let data = store(folder.path());
    let before = files(&data);
    insta::assert_snapshot!("verify_whole", read(folder.path(), &["verify"]));
    insta::assert_snapshot!("recover_whole", read(folder.path(), &["recover"]));
    let verified = one(folder.path(), "data", &["verify"]);
    assert_eq!(
        (&verified["isWhole"], &verified["head"]),
        (&json!(true), &json!(5))
    );
    assert_eq!(files(&data), before);
}

#[test]
fn a_store_is_verified_while_a_server_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let address = server.address.clone();
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let address = address.clone();
            std::thread::spawn(move || support::append_until_refused(&address, writer, || {}))
        })
        .collect();
    let mut head = 0;
    while head < 500 {
        let output = run(folder.path(), &["--json", "verify"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
        head = verified["head"].as_u64().unwrap();
    }
    server.terminate();
    for writer in writers {
        writer.join().unwrap();
    }
}

#[test]
fn a_flipped_bit_is_found_and_its_event_given_up_once_that_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let data = store(at);
    damage(&data, 3);
    let before = files(&data);
    insta::assert_snapshot!("verify_damage", read(at, &["verify"]));
    insta::assert_snapshot!("recover_damage", read(at, &["recover"]));
    assert_eq!(files(&data), before, "explaining changes nothing");
    let output = run(at, &["--json", "verify"]);
    assert_eq!(output.status.code(), Some(5));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let place = &found["damage"][0];
    assert_eq!(place["file"], json!(SEGMENT));
    assert!(place["offset"].as_u64().unwrap() > 0);
    assert_eq!(place["lost"], json!([{"first": 3, "last": 3}]));
    assert_eq!(place["known"][0]["stream"], json!("Order/7"));
    // Other commands say so as well, and what to do.
    for arguments in [
        &["append", "Order/7", "order.returned"][..],
        &["state", "Order/7"],
    ] {
        let (status, error) = code(at, "data", arguments);
        assert_eq!(status, Some(5), "{error}");
        assert!(error.contains("hint: retold verify"), "{error}");
    }
    assert_eq!(code(at, "data", &["state", "Order/8"]).0, Some(0));

    assert_eq!(code(at, "data", &["recover", "--accept-loss"]).0, Some(4));
    insta::assert_snapshot!(
        "recover_accept_damage",
        read(at, &["recover", "--accept-damage"])
    );
    insta::assert_snapshot!("verify_accepted", read(at, &["verify"]));
    assert_eq!(code(at, "data", &["recover", "--accept-damage"]).0, Some(4));
    assert_eq!(
        code(at, "data", &["append", "Order/8", "order.paid"]).0,
        Some(0)
    );
    assert_eq!(
        code(at, "data", &["append", "Order/7", "order.returned"]).0,
        Some(5)
    );
    // Everything that was there before is there still.
    let segment = &fs::read(data.join(SEGMENT)).unwrap();
    let (_, old) = before
        .iter()
        .find(|(path, _)| path.ends_with(SEGMENT))
        .unwrap();
    let written = old.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(segment[..written], old[..written]);
}

#[test]
fn an_older_copy_of_the_log_is_noticed_and_gone_on_from_once_that_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let data = store(at);
    let old = fs::read(data.join(SEGMENT)).unwrap();
    one(at, "data", &["transition", "Issue/1", "start_work"]);
    one(at, "data", &["snapshots", "create", "Issue/1", "--force"]);
    fs::write(data.join(SEGMENT), old).unwrap();
    insta::assert_snapshot!("verify_ahead", read(at, &["verify"]));
    insta::assert_snapshot!("recover_ahead", read(at, &["recover"]));
    assert_eq!(
        code(at, "data", &["append", "Order/8", "order.paid"]).0,
        Some(5)
    );
    assert_eq!(code(at, "data", &["recover", "--accept-damage"]).0, Some(4));
    let accept = [
        "recover",
        "--accept-loss",
        "--reason",
        "restored from last night",
    ];
    insta::assert_snapshot!("recover_accept_loss", read(at, &accept));
    assert_eq!(code(at, "data", &["verify"]).0, Some(0));
    assert_eq!(
        code(at, "data", &["append", "Order/8", "order.paid"]).0,
        Some(0)
    );
}

#[test]
fn a_segment_that_is_gone_is_a_lost_end() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let data = store(at);
    fs::remove_file(data.join("HEAD")).unwrap();
    let (status, error) = code(at, "data", &["verify"]);
    assert_eq!(status, Some(5), "{error}");
    let told = run(at, &["verify"]);
    assert!(
        text(&told.stdout).contains("HEAD is missing"),
        "{}",
        text(&told.stdout)
    );
}

#[test]
fn what_cannot_be_verified_or_recovered_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for command in ["verify", "recover"] {
        assert_eq!(code(at, "none", &[command]).0, Some(4));
        let (status, error) = code(at, "http://127.0.0.1:9", &[command]);
        assert_eq!(status, Some(2), "{error}");
    }
    let server = Server::start(at, &[]);
    damage(&{ store(at) }, 3);
    let (status, error) = code(at, "data", &["recover", "--accept-damage"]);
    assert_eq!(status, Some(1), "{error}");
    assert!(
        error.contains(&server.url()) && error.contains("hint: end the server"),
        "{error}"
    );
}

#[test]
fn stats_tell_what_a_store_takes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let data = store(at);
    one(at, "data", &["transition", "Issue/1", "start_work"]);
    one(at, "data", &["snapshots", "create", "Issue/1", "--force"]);
    let stats = one(at, "data", &["stats"]);
    assert_eq!(
        (&stats["events"], &stats["streams"]),
        (&json!(6), &json!(4))
    );
    assert_eq!(stats["snapshots"], json!(1));
    let segment = fs::metadata(data.join(SEGMENT)).unwrap().len();
    assert_eq!(stats["disk"]["log"]["files"], json!(1));
    assert_eq!(stats["disk"]["log"]["bytes"], json!(segment));
    for kind in ["cut", "index"] {
        assert_eq!(stats["disk"][kind]["bytes"], json!(0), "{kind}");
    }
    assert!(stats["disk"]["state"]["bytes"].as_u64().unwrap() > 0);
    // Through a server that holds the folder, its files are looked at all the same; of a server
    // elsewhere there are none to look at.
    let server = Server::start(at, &[]);
    let held = one(at, "data", &["stats"]);
    assert_eq!(held["disk"]["log"]["files"], json!(1));
    assert_eq!(held["counted"]["log_head_position"], json!(6.0));
    assert_eq!(one(at, &server.url(), &["stats"])["disk"], Value::Null);
}

#[test]
fn a_store_survives_torture() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let torture = ["torture", "--rounds", "3", "--clients", "4", "--seed", "7"];
    let report = one(at, "data", &torture);
    assert_eq!(report["rounds"], json!(3));
    assert!(report["acknowledged"].as_u64().unwrap() > 0, "{report}");
    for none in [
        "lost",
        "duplicated",
        "outOfOrder",
        "stray",
        "holes",
        "seenAndGone",
    ] {
        assert_eq!(report[none], json!(0), "{report}");
    }
    assert_eq!(report["damaged"], json!(false));
    assert_eq!(
        fs::read_dir(at.join("data")).unwrap().count(),
        0,
        "it leaves nothing behind"
    );
    let kept = one(at, "data", &[&torture[..], &["--keep"]].concat());
    let store = Path::new(kept["folder"].as_str().unwrap()).join("store-1");
    let events = lines(at, store.to_str().unwrap(), &["events", "--all"]);
    assert_eq!(json!(events.len()), kept["acknowledged"]);
    let output = run(at, &["torture", "--rounds", "1", "--duration", "1s"]);
    let told = text(&output.stdout);
    assert!(
        told.contains("What it does not show: what a power cut does"),
        "{told}"
    );
}

/// The programs that nobody expects to write: a broken pipe is not an error.
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut many = String::new();
    for nth in 0..20_000 {
        many.push_str(&format!(
            "{{\"aggregateType\":\"A\",\"aggregateId\":\"{nth}\",\"eventType\":\"e\",\"payload\":null}}\n"
        ));
    }
    fs::write(folder.path().join("many.ndjson"), many).unwrap();
    one(folder.path(), "data", &["import", "many.ndjson"]);
    for arguments in [
        &["export"][..],
        &["events", "--all"],
        &["streams", "--all", "--json"],
    ] {
        let mut child = support::retold(folder.path(), arguments);
        let mut child = child
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn an_index_that_does_not_fit_is_found_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // More than lie in memory before they become a file of the index.
    let mut many = String::new();
    for nth in 0..40_000 {
        let order = nth % 500;
        many.push_str(&format!(
            "{{\"aggregateType\":\"Order\",\"aggregateId\":\"{order}\",\"eventType\":\"changed\",\"payload\":{nth}}}\n"
        ));
    }
    fs::write(at.join("many.ndjson"), many).unwrap();
    one(at, "data", &["import", "many.ndjson"]);
    let verified = one(at, "data", &["verify"]);
    assert_eq!(verified["index"]["faults"], json!(0), "{verified}");
    assert!(
        verified["index"]["through"].as_u64().unwrap() >= 32_768,
        "{verified}"
    );
    let index = at.join("data/index");
    let run = files(&index)
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|e| e == "run"));
    let (run, mut bytes) = run.unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&run, bytes).unwrap();
    let output = run_verify(at);
    assert_eq!(output.0, Some(5), "{}", output.1);
    assert!(
        output.1.contains("is not as it was written"),
        "{}",
        output.1
    );
    assert!(output.2.contains("index rebuild"), "{}", output.2);
    let answer = lines(at, "data", &["events", "Order/7", "--all"]);
    one(at, "data", &["index", "rebuild"]);
    assert_eq!(one(at, "data", &["verify"])["index"]["faults"], json!(0));
    assert_eq!(lines(at, "data", &["events", "Order/7", "--all"]), answer);
    assert_eq!(answer.len(), 80);
    let stats = one(at, "data", &["stats"]);
    assert!(
        stats["disk"]["index"]["bytes"].as_u64().unwrap() > 0,
        "{stats}"
    );
}

fn run_verify(folder: &Path) -> (Option<i32>, String, String) {
    let output = run(folder, &["verify"]);
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_snapshot_that_is_not_what_its_stream_comes_to_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    one(at, "data", &["transition", "Issue/1", "start_work"]);
    one(at, "data", &["snapshots", "create", "Issue/1", "--force"]);
    let verified = one(at, "data", &["verify"]);
    assert_eq!(verified["snapshots"]["checked"], json!(1), "{verified}");
    assert_eq!(verified["snapshots"]["differing"], json!(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // What a fault in a reducer would have kept.
        let file = at.join("data/state.db");
        let side_store = retold_sqlite::SqliteSideStore::open(file).unwrap();
        use retold::SideStore;
        let stream = retold::StreamId::new("Issue", "1").unwrap();
        let page = side_store
            .snapshots(retold_core::SnapshotQuery::new(stream))
            .await
            .unwrap();
        let mut snapshot = page.snapshots[0].clone();
        let wrong = snapshot.state.as_str().replace("IN_PROGRESS", "DEPLOYED");
        snapshot.state = retold::Json::parse(&wrong).unwrap();
        side_store.save_snapshot(snapshot).await.unwrap();
    });
    let (status, told, error) = run_verify(at);
    assert_eq!(status, Some(5), "{told}");
    assert!(
        told.contains("Issue/1") && told.contains("DEPLOYED"),
        "{told}"
    );
    assert!(error.contains("no event is lost"), "{error}");
}
