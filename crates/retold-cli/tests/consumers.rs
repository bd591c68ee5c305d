//! `retold consumers` and `retold secrets`, as a person uses them.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use support::{code, lines, one, run, text};

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

#[test]
fn a_consumer_is_made_looked_at_and_decided_about() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for id in ["1", "1", "2"] {
        let stream = format!("Order/{id}");
        one(folder, "data", &["append", &stream, "order.placed", "{}"]);
    }
    let said = shown(
        folder,
        &["consumers", "create", "mailer", "--type", "Order"],
    );
    assert_eq!(said, "mailer has these settings from now on\n");
    let list = shown(folder, &["consumers", "list"]);
    assert!(
        list.contains("mailer") && list.contains("not open"),
        "{list}"
    );
    let show = one(folder, "data", &["consumers", "show", "mailer"]);
    assert_eq!(show["settings"]["filter"]["aggregateTypes"][0], "Order");
    assert_eq!(show["position"], 0);
    let show = shown(folder, &["consumers", "show", "mailer"]);
    assert!(show.contains(r#"{"aggregateTypes":["Order"]}"#), "{show}");

    shown(
        folder,
        &["consumers", "pause", "mailer", "--reason", "moving house"],
    );
    let list = shown(folder, &["consumers", "list"]);
    assert!(list.contains("paused: moving house"), "{list}");
    shown(folder, &["consumers", "resume", "mailer"]);
    assert!(lines(folder, "data", &["consumers", "parked", "mailer"]).is_empty());
    let audit = shown(folder, &["consumers", "audit", "mailer"]);
    assert!(audit.contains("complete: every event"), "{audit}");
    let replayed = shown(folder, &["consumers", "replay", "mailer"]);
    assert_eq!(replayed, "0 events are tried again\n");

    let skip = ["consumers", "skip", "mailer", "Order/1", "--reason", "x"];
    let (exit, said) = code(folder, "data", &skip);
    assert_eq!(exit, Some(4), "{said}");
    let (exit, said) = code(folder, "data", &["consumers", "test", "mailer"]);
    assert_eq!(exit, Some(4), "{said}");
    let reset = ["consumers", "reset", "mailer", "--start", "2"];
    shown(folder, &reset);
    let (exit, said) = code(
        folder,
        "data",
        &["consumers", "reset", "mailer", "--start", "soon"],
    );
    assert_eq!(exit, Some(2), "{said}");
    assert!(said.contains("say beginning, now, a position"), "{said}");
    shown(folder, &["consumers", "delete", "mailer"]);
    let (exit, _) = code(folder, "data", &["consumers", "show", "mailer"]);
    assert_eq!(exit, Some(4));
}

#[test]
fn a_secret_is_for_its_owner_only_and_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = shown(folder, &["secrets", "create", "mailer"]);
    assert!(first.starts_with("whsec_"), "{first}");
    let path = folder.join("data/secrets/mailer");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    let (exit, said) = code(folder, "data", &["secrets", "create", "mailer"]);
    assert_eq!(exit, Some(3));
    assert!(!said.contains("whsec_"), "{said}");
    let second = shown(folder, &["secrets", "rotate", "mailer"]);
    assert_ne!(first, second);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!("{second}{first}")
    );
    assert_eq!(mode(&path), 0o600);
    shown(folder, &["secrets", "retire", "mailer"]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), second);
    assert_eq!(shown(folder, &["secrets", "list"]), "mailer\n");
    shown(folder, &["secrets", "delete", "mailer"]);
    assert_eq!(shown(folder, &["secrets", "list"]), "");
    for id in ["../x", "Mailer", ""] {
        let (exit, said) = code(folder, "data", &["secrets", "create", id]);
        assert_eq!(exit, Some(2), "{said}");
    }
}
