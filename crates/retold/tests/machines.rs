//! Machines: what makes a file invalid, and machines that are kept in the log.

#![allow(clippy::unwrap_used)]

mod support;

use retold::{Error, Machine, MachineError, Retold, StreamId, Transition};
use support::{in_memory, start_work};

/// A file with one thing that can be put in the place of another.
fn file(from: &str, to: &str) -> String {
    const FILE: &str = r#"
type = "Door"
initial = "CLOSED"
states = ["CLOSED", "OPEN", "GONE"]
final = ["GONE"]
snapshot_every = 10

[[transition]]
name = "open"
aliases = ["unlock"]
from = ["CLOSED"]
to = "OPEN"

[[transition]]
name = "close"
from = ["OPEN"]
to = "CLOSED"

[[transition]]
name = "remove"
from = ["CLOSED", "OPEN"]
to = "GONE"
"#;
    assert!(FILE.contains(from));
    FILE.replacen(from, to, 1)
}

#[test]
fn a_well_formed_file_is_read() {
    let machine = Machine::from_toml(&file("", "")).unwrap();
    assert_eq!(machine.aggregate_type(), "Door");
    assert_eq!(machine.initial(), "CLOSED");
    assert_eq!(machine.states(), ["CLOSED", "OPEN", "GONE"]);
    assert_eq!(machine.final_states(), ["GONE"]);
    assert_eq!(machine.snapshot_every(), 10);
    assert_eq!(machine.transitions().len(), 3);
    assert!(machine.is_transition_name("unlock"));
    let defaults = file("final = [\"GONE\"]\nsnapshot_every = 10\n", "");
    let defaults = Machine::from_toml(&defaults).unwrap();
    assert_eq!(defaults.snapshot_every(), retold::SNAPSHOT_EVERY_DEFAULT);
    assert_eq!(
        serde_json::to_string(&machine).unwrap(),
        r#"{"type":"Door","initial":"CLOSED","states":["CLOSED","OPEN","GONE"],"final":["GONE"],"snapshotEvery":10,"transitions":[{"name":"open","aliases":["unlock"],"from":["CLOSED"],"to":"OPEN"},{"name":"close","aliases":[],"from":["OPEN"],"to":"CLOSED"},{"name":"remove","aliases":[],"from":["CLOSED","OPEN"],"to":"GONE"}]}"#
    );
}

#[test]
fn each_broken_rule_is_told_by_its_kind() {
    let long = "x".repeat(129);
    let unknown = |field, state: &str| MachineError::UnknownState {
        field,
        state: state.into(),
    };
    let twice = |field, name: &str| MachineError::Duplicate {
        field,
        name: name.into(),
    };
    let cases = [
        (
            file("[\"CLOSED\", \"OPEN\", \"GONE\"]\nf", "[]\nf"),
            MachineError::NoStates,
        ),
        (
            file("snapshot_every = 10", "snapshot_every = 0"),
            MachineError::SnapshotEvery,
        ),
        (
            file("initial = \"CLOSED\"", "initial = \"AJAR\""),
            unknown("initial", "AJAR"),
        ),
        (
            file("final = [\"GONE\"]", "final = [\"AWAY\"]"),
            unknown("final", "AWAY"),
        ),
        (
            file("to = \"OPEN\"", "to = \"AJAR\""),
            unknown("transition.to", "AJAR"),
        ),
        (
            file("from = [\"OPEN\"]", "from = [\"AJAR\"]"),
            unknown("transition.from", "AJAR"),
        ),
        (
            file("\"OPEN\", \"GONE\"]", "\"OPEN\", \"GONE\", \"OPEN\"]"),
            twice("states", "OPEN"),
        ),
        (
            file("final = [\"GONE\"]", "final = [\"GONE\", \"GONE\"]"),
            twice("final", "GONE"),
        ),
        (
            file("[\"unlock\"]", "[\"open\"]"),
            twice("transition.aliases", "open"),
        ),
        (
            file("[\"OPEN\"]", "[\"OPEN\", \"OPEN\"]"),
            twice("transition.from", "OPEN"),
        ),
        (
            file("from = [\"OPEN\"]", "from = []"),
            MachineError::NoFrom {
                name: "close".into(),
            },
        ),
        (
            file(
                "from = [\"CLOSED\", \"OPEN\"]",
                "from = [\"CLOSED\", \"GONE\"]",
            ),
            MachineError::LeavesFinal {
                name: "remove".into(),
                state: "GONE".into(),
            },
        ),
        (
            file("name = \"remove\"", "name = \"unlock\""),
            MachineError::Ambiguous {
                state: "CLOSED".into(),
                name: "unlock".into(),
            },
        ),
        (
            file("\"GONE\"]\nf", "\"GONE\", \"LOST\"]\nf"),
            MachineError::Unreachable {
                state: "LOST".into(),
            },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Machine::from_toml(&text), Err(expected), "{text}");
    }
    for (text, expected) in [
        (file("type = \"Door\"", "type = \"$machine\""), "type"),
        (file("type = \"Door\"", "type = \"a door\""), "type"),
        (file("name = \"open\"", "name = \"\""), "transition.name"),
        (
            file("[\"unlock\"]", "[\"un\\nlock\"]"),
            "transition.aliases",
        ),
        (
            file("\"GONE\"]\nf", &format!("\"GONE\", \"{long}\"]\nf")),
            "states",
        ),
    ] {
        match Machine::from_toml(&text) {
            Err(MachineError::Name { field, .. }) => assert_eq!(field, expected),
            other => panic!("{other:?} for {text}"),
        }
    }
    for text in [
        "",
        "type = 1",
        &file("type", "kind"),
        &file("to = \"OPEN\"", "to = \"OPEN\"\nif = 1"),
    ] {
        let result = Machine::from_toml(text);
        assert!(
            matches!(result, Err(MachineError::Malformed { .. })),
            "{text}"
        );
    }
}

#[test]
fn the_fingerprint_follows_the_meaning_and_not_the_spelling() {
    let machine = Machine::from_toml(&file("", "")).unwrap();
    assert_eq!(machine.fingerprint().len(), 16);
    let spelled = Machine::from_toml(&file("", "# A door.\n")).unwrap();
    assert_eq!(spelled.fingerprint(), machine.fingerprint());
    let other = Machine::from_toml(&file("\"unlock\"", "\"unbolt\"")).unwrap();
    assert_ne!(other.fingerprint(), machine.fingerprint());
    // Recorded transitions hold these, so they must not change from release to release.
    assert_eq!(Machine::issue().fingerprint(), ISSUE_FINGERPRINT);
    assert_eq!(Machine::execution().fingerprint(), EXECUTION_FINGERPRINT);
}

const ISSUE_FINGERPRINT: &str = "189a11802f9a5ac4";
const EXECUTION_FINGERPRINT: &str = "92bdb645a4cb353e";

async fn reopened(retold: &Retold) -> Retold {
    let builder = Retold::builder().builtin_machines();
    builder.store(retold.store().clone()).build().await.unwrap()
}

#[tokio::test]
async fn a_machine_that_was_added_is_there_when_the_log_is_opened_again() {
    let retold = in_memory().await;
    let door = Machine::from_toml(&file("", "")).unwrap();
    assert!(retold.machines().add(door.clone()).await.unwrap().is_new);
    let open = Transition::new("Door", "1").to("OPEN").event("open");
    retold.transition(open).await.unwrap();

    let retold = reopened(&retold).await;
    assert_eq!(*retold.machines().get("Door").unwrap(), door);
    let types: Vec<String> = retold
        .machines()
        .list()
        .iter()
        .map(|machine| machine.aggregate_type().to_owned())
        .collect();
    assert_eq!(types, ["Door", "Execution", "Issue"]);
    let stored = retold.events("$machine", "Door").all().await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].event_type, "machine.added");
    assert_eq!(
        stored[0].payload.decode::<serde_json::Value>().unwrap()["toml"],
        door.toml()
    );
    // The same version once more is no event.
    let again = retold.machines().add(door).await.unwrap();
    assert!(!again.is_new);
    assert_eq!(
        retold.events("$machine", "Door").all().await.unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_new_version_comes_before_the_shipped_one_and_judges_new_transitions_only() {
    let retold = in_memory().await;
    retold.transition(start_work("1")).await.unwrap();
    retold.transition(start_work("2")).await.unwrap();
    let renamed = Machine::issue().toml().replace("IN_PROGRESS", "DOING");
    let renamed = Machine::from_toml(&renamed).unwrap();
    let added = retold.machines().add(renamed).await.unwrap();
    assert!(!added.is_new, "the type had a machine");

    for retold in [&retold, &reopened(&retold).await] {
        // The past stays what it was, although today's machine knows no such state.
        let state = retold.state("Issue", "1").with_transitions().await.unwrap();
        assert_eq!(state.status.as_deref(), Some("IN_PROGRESS"));
        assert_eq!(state.available_transitions, Some(Vec::new()));
        let block = retold.transition(support::block("1")).await;
        assert!(matches!(block, Err(Error::IllegalTransition(_))));
    }
    let done = retold
        .transition(start_work("3").to("DOING"))
        .await
        .unwrap();
    assert_eq!(done.status, "DOING");
}

#[tokio::test]
async fn a_log_with_a_machine_that_is_not_well_formed_says_so_when_it_is_opened() {
    let retold = in_memory().await;
    let stream = StreamId::new("$machine", "Door").unwrap();
    let broken = serde_json::json!({"toml": file("to = \"OPEN\"", "to = \"AJAR\"")});
    let event = retold::NewEvent::new(stream, "machine.added", &broken).unwrap();
    let append = retold_core::Append::new(vec![event]).by_retold();
    retold.store().append(append).await.unwrap();
    let opened = Retold::builder()
        .store(retold.store().clone())
        .build()
        .await;
    assert!(matches!(
        opened,
        Err(Error::Machine(MachineError::UnknownState { .. }))
    ));
}

#[tokio::test]
async fn a_restored_log_brings_its_machines_along() {
    let origin = in_memory().await;
    let door = Machine::from_toml(&file("", "")).unwrap();
    origin.machines().add(door).await.unwrap();
    let filter = retold::Filter {
        include_reserved: true,
        ..retold::Filter::default()
    };
    let log = origin.log(retold::LogQuery::after(0).filter(filter)).await;
    let entries = log.unwrap().entries.into_iter();
    let restored = Retold::open("memory:").await.unwrap();
    let batch = retold::RestoreBatch {
        origin: origin.store().log_id(),
        events: entries.map(|entry| entry.into_event().unwrap()).collect(),
        is_last: true,
    };
    assert_eq!(restored.restore(batch).await.unwrap(), 1);
    let known = restored.machines().get("Door").unwrap();
    assert!(known.is_transition_name("unlock"));
}
