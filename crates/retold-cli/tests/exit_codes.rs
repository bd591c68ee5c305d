//! What a script is told by the exit code, and what stands beside it.

mod support;

use serde_json::Value;
use support::{run, text};

#[test]
fn wrong_usage_is_two() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["nonsense"][..],
        &["state", "Issue"],
        &[
            "state",
            "Issue/42",
            "--at-sequence",
            "1",
            "--at-position",
            "1",
        ],
        &["--store", "https://host", "streams"],
        &["append", "Issue/42", "issue.commented", "{not json"],
        &["--store", "http://127.0.0.1:1", "serve"],
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(text(&output.stdout).is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_reading() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["streams"][..],
        &["state", "Issue/42"],
        &["events"],
        &["export"],
        &["machines", "show", "Issue"],
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(4), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(
            error.starts_with("error: failed to find a store"),
            "{error}"
        );
        assert!(error.contains("hint: "), "{error}");
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_server_that_is_not_there_is_one_and_the_event_id_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let id = "01890000-0000-7000-8000-000000000001";
    let store = "http://127.0.0.1:9";
    let append = [
        "--store",
        store,
        "append",
        "Issue/42",
        "noted",
        "--event-id",
        id,
    ];
    let output = run(folder.path(), &append);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains(&format!("event id: {id}")), "{error}");

    let output = run(folder.path(), &[&["--json"], &append[..]].concat());
    let problem: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(problem["eventIds"], serde_json::json!([id]));
    assert_eq!(problem["code"], "failed");
}

#[test]
fn an_exposed_address_is_refused_unless_it_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("--insecure"));
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_demo_does_not_touch_a_store_that_somebody_needs() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let retold = retold::Retold::open(folder.path().join("data"))
            .await
            .unwrap();
        let stream = retold::StreamId::new("Order", "7").unwrap();
        let event = retold::NewEvent::new(stream, "order.placed", &1).unwrap();
        retold.append(event).await.unwrap();
        retold.close().await.unwrap();
    });
    let output = run(
        folder.path(),
        &["demo", "--folder", "data", "--listen", "127.0.0.1:0"],
    );
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
