//! Event logs through the program, from the file to the state of a case: those of real
//! organisations in the folder that `RETOLD_EVENT_LOGS` names, and for everyone the small
//! made-up ones beside these tests. What is expected of a case was read from its file by hand.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{lines, one};

/// A file, and what must come of it.
struct Log {
    file: PathBuf,
    aggregate_type: &'static str,
    streams: usize,
    events: u64,
    cases: Vec<Case>,
}

/// What a case is known to be.
struct Case {
    id: &'static str,
    /// Event type, instant and actor of each event.
    events: &'static [[&'static str; 3]],
    /// A date, and how many of the events come before it.
    date: (&'static str, usize),
}

fn check(log: &Log) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let file = log.file.to_str().unwrap();
    let import = ["import", "--type", log.aggregate_type, file];
    let imported = one(at, "data", &import);
    let outcome = |new, known| json!({"new": new, "duplicate": known, "refused": 0, "passedOver": 0, "refusedLines": []});
    assert_eq!(imported, outcome(log.events, 0));
    assert_eq!(one(at, "data", &import), outcome(0, log.events));
    let streams = lines(at, "data", &["streams", "--all"]);
    assert_eq!(streams.len(), log.streams);
    let counted: u64 = streams
        .iter()
        .map(|s| s["sequenceNumber"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, log.events);
    for case in &log.cases {
        let stream = format!("{}/{}", log.aggregate_type, case.id);
        let state = |moment: &[&str]| {
            let history = one(
                at,
                "data",
                &[&["state", &stream, "--history"], moment].concat(),
            );
            let plain = one(at, "data", &[&["state", &stream], moment].concat());
            assert_eq!(plain["status"], history["status"], "{stream} {moment:?}");
            history
        };
        let (date, before) = case.date;
        expect(&state(&["--at-sequence", "3"]), &case.events[..3], &stream);
        expect(
            &state(&["--at-timestamp", date]),
            &case.events[..before],
            &stream,
        );
        expect(&state(&[]), case.events, &stream);
    }
}

fn expect(state: &Value, events: &[[&str; 3]], stream: &str) {
    let history: Vec<Value> = (1..)
        .zip(events)
        .map(|(nth, [event, timestamp, actor])| {
            let actor = Some(actor).filter(|actor| !actor.is_empty());
            json!({"from": null, "to": null, "event": event, "timestamp": timestamp,
                   "reason": null, "actor": actor, "sequenceNumber": nth})
        })
        .collect();
    assert_eq!(state["stateHistory"], json!(history), "{stream}");
    let last = events.last();
    assert_eq!(state["exists"], json!(last.is_some()), "{stream}");
    assert_eq!(
        state["status"],
        json!(last.map(|[event, ..]| event)),
        "{stream}"
    );
    let at = last.map(|[_, timestamp, _]| timestamp);
    assert_eq!(state["lastTransitionAt"], json!(at), "{stream}");
    assert_eq!(state["transitionCount"], json!(events.len()), "{stream}");
    assert_eq!(state["sequenceNumber"], json!(events.len()), "{stream}");
}

fn real(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("RETOLD_EVENT_LOGS");
    if folder.is_none() {
        println!("SKIPPED: RETOLD_EVENT_LOGS is not set");
    }
    folder.map(|folder| PathBuf::from(folder).join(file))
}

#[test]
fn the_help_desk_as_its_file_tells_it() {
    let Some(file) = real("helpdesk.xes.gz") else {
        return;
    };
    check(&Log {
        file,
        aggregate_type: "Ticket",
        streams: 4_580,
        events: 21_348,
        cases: vec![
            Case {
                id: "Case 17",
                events: &[
                    ["Assign seriousness", "2011-10-14T07:10:47Z", "Value 1"],
                    ["Take in charge ticket", "2011-11-02T16:17:52Z", "Value 2"],
                    ["Resolve ticket", "2011-11-09T13:31:37Z", "Value 2"],
                    ["Closed", "2011-11-24T15:57:55Z", "Value 5"],
                ],
                date: ("2011-11-01", 1),
            },
            Case {
                id: "Case 2083",
                events: &[
                    ["Assign seriousness", "2012-12-04T15:33:24Z", "Value 1"],
                    ["Take in charge ticket", "2012-12-05T08:10:29Z", "Value 2"],
                    ["Resolve ticket", "2013-01-09T10:16:39Z", "Value 4"],
                    ["Closed", "2013-01-24T10:16:58Z", "Value 3"],
                ],
                date: ("2013-01-01", 2),
            },
            Case {
                // It was closed twice within a second: two events, equal in every field.
                id: "Case 3608",
                events: &[
                    ["Assign seriousness", "2010-01-13T08:40:25Z", "Value 2"],
                    ["Take in charge ticket", "2010-01-29T08:52:27Z", "Value 2"],
                    ["Resolve ticket", "2010-01-29T08:52:34Z", "Value 2"],
                    ["Closed", "2010-02-13T08:52:48Z", "Value 5"],
                    ["Closed", "2010-02-13T08:52:48Z", "Value 5"],
                ],
                date: ("2010-02-13", 3),
            },
        ],
    });
}

#[test]
fn the_building_permits_as_their_file_tells_them() {
    let Some(file) = real("receipt.csv.gz") else {
        return;
    };
    check(&Log {
        file,
        aggregate_type: "Permit",
        streams: 1_434,
        events: 8_577,
        cases: vec![
            Case {
                id: "case-10011",
                events: &[
                    [
                        "Confirmation of receipt",
                        "2011-10-11T11:45:40.276Z",
                        "Resource21",
                    ],
                    [
                        "T02 Check confirmation of receipt",
                        "2011-10-12T06:26:25.398Z",
                        "Resource10",
                    ],
                    [
                        "T03 Adjust confirmation of receipt",
                        "2011-11-24T14:36:51.302Z",
                        "Resource21",
                    ],
                    [
                        "T02 Check confirmation of receipt",
                        "2011-11-24T14:37:16.553Z",
                        "Resource21",
                    ],
                ],
                date: ("2011-11-01", 2),
            },
            Case {
                id: "case-8011",
                events: &[
                    [
                        "Confirmation of receipt",
                        "2011-06-30T12:42:27.967Z",
                        "Resource01",
                    ],
                    [
                        "T02 Check confirmation of receipt",
                        "2011-06-30T12:42:49.289Z",
                        "Resource01",
                    ],
                    [
                        "T04 Determine confirmation of receipt",
                        "2011-06-30T12:43:05.822Z",
                        "Resource01",
                    ],
                    [
                        "T05 Print and send confirmation of receipt",
                        "2011-06-30T12:43:21.785Z",
                        "Resource01",
                    ],
                    [
                        "T06 Determine necessity of stop advice",
                        "2011-06-30T12:43:42.808Z",
                        "Resource01",
                    ],
                    [
                        "T10 Determine necessity to stop indication",
                        "2011-06-30T12:44:05.382Z",
                        "Resource01",
                    ],
                ],
                date: ("2011-06-30", 0),
            },
        ],
    });
}

#[test]
fn the_made_up_logs_as_their_files_tell_them() {
    for file in ["small.xes", "small.csv"] {
        check(&Log {
            file: Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/data")
                .join(file),
            aggregate_type: "Repair",
            streams: 2,
            events: 6,
            cases: vec![
                Case {
                    id: "repair 1/ä \"red\"",
                    events: &[
                        ["bicycle received", "2024-03-01T08:00:00Z", "Ada"],
                        ["part ordered", "2024-03-01T09:30:00.123456Z", "Bo"],
                        ["bicycle returned", "2024-03-05T22:00:00Z", "Ada"],
                    ],
                    date: ("2024-03-05", 2),
                },
                Case {
                    id: "repair 2",
                    events: &[
                        ["bicycle received", "2024-03-02T08:00:00Z", ""],
                        ["wheel trued", "2024-03-02T08:15:00Z", "Ada"],
                        ["wheel trued", "2024-03-02T08:15:00Z", "Ada"],
                    ],
                    date: ("2024-03-02", 0),
                },
            ],
        });
    }
}
