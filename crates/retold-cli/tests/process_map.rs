//! The current state and the process map of event logs, beside figures that an independent program
//! (pm4py, from PyPI) makes of the same files: the logs of real organisations in the folder that
//! `RETOLD_EVENT_LOGS` names, and for everyone the small made-up ones beside these tests.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::{Server, ask, lines, one};

/// A bucket of durations is no wider than this part of what is in it; a median is in the middle of
/// one, or between two.
const BUCKET_WIDTH_MAX: f64 = 0.05;

/// Where the set-up has installed pm4py.
fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let python = target.join("tools/pm4py/bin/python");
    let found = python.exists().then_some(python);
    if found.is_none() {
        println!("SKIPPED: pm4py is not there; cargo xtask setup installs it");
    }
    found
}

fn figures(python: &Path, file: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/figures.py");
    let columns = json!(["case:concept:name", "concept:name", "time:timestamp"]);
    let mut command = Command::new(python);
    command.arg(script).arg(file).arg(columns.to_string());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn get(address: &str, path: &str) -> Value {
    let (status, body) = ask(address, &format!("GET {path}"), "").unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn counts(figures: &Value) -> BTreeMap<String, u64> {
    let counts = figures.as_object().unwrap().iter();
    let counts = counts.map(|(name, count)| (name.clone(), count.as_u64().unwrap()));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn check(file: &Path) {
    let Some(python) = python() else { return };
    let figures = figures(&python, file);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let name = file.to_str().unwrap();
    one(folder, "data", &["import", "--type", "Case", name]);
    let server = Server::start(folder, &[]);
    let head = get(&server.address, "/v1/info")["head"].as_u64().unwrap();
    let wait = format!("minPosition={head}&waitMs=30000");

    // What follows what, how often, and how long it takes.
    let map = get(&server.address, &format!("/v1/processes/Case?{wait}"));
    let mut edges = BTreeMap::new();
    for edge in map["edges"].as_array().unwrap() {
        if let Some(from) = edge["from"].as_str() {
            edges.insert((from, edge["to"].as_str().unwrap()), edge);
        }
    }
    let expected = figures["edges"].as_array().unwrap();
    assert_eq!(edges.len(), expected.len());
    for expected in expected {
        let pair = (
            expected["from"].as_str().unwrap(),
            expected["to"].as_str().unwrap(),
        );
        let edge = edges[&pair];
        assert_eq!(edge["count"], expected["count"], "{pair:?}");
        let seconds = |of: &Value, name: &str| of[name].as_f64().unwrap();
        let (mean, median) = (seconds(edge, "meanSeconds"), seconds(edge, "medianSeconds"));
        let (wanted_mean, wanted) = (seconds(expected, "mean"), seconds(expected, "median"));
        // What one of the two programs keeps of a second is less than a microsecond.
        let differs = (mean - wanted_mean).abs();
        assert!(
            differs <= wanted_mean * 1e-9 + 1e-5,
            "{pair:?}: {mean} s, not {wanted_mean} s"
        );
        let differs = (median - wanted).abs();
        let within = wanted * BUCKET_WIDTH_MAX + 1e-6;
        assert!(differs <= within, "{pair:?}: {median} s, not {wanted} s");
    }
    let counted = |name: &str| {
        let events = map["events"].as_array().unwrap().iter();
        let counts = events.map(|event| {
            let count = event[name].as_u64().unwrap();
            (event["eventType"].as_str().unwrap().to_owned(), count)
        });
        counts
            .filter(|(_, count)| *count > 0)
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(counted("begins"), self::counts(&figures["begins"]));
    assert_eq!(counted("ends"), self::counts(&figures["ends"]));

    // The months together are the whole.
    let mut in_months = BTreeMap::new();
    for month in map["months"].as_array().unwrap() {
        let path = format!("/v1/processes/Case?month={}", month.as_str().unwrap());
        for edge in get(&server.address, &path)["edges"].as_array().unwrap() {
            let pair = (
                edge["from"].clone().to_string(),
                edge["to"].clone().to_string(),
            );
            *in_months.entry(pair).or_insert(0) += edge["count"].as_u64().unwrap();
        }
    }
    for edge in map["edges"].as_array().unwrap() {
        let pair = (edge["from"].to_string(), edge["to"].to_string());
        assert_eq!(edge["count"], in_months[&pair], "{pair:?}");
    }

    // The status of a case is its last event, and so are the counts by status.
    let streams = lines(
        folder,
        &server.url(),
        &["streams", "--sort", "name", "--all"],
    );
    let expected = figures["last"].as_object().unwrap();
    assert_eq!(streams.len(), expected.len());
    for stream in &streams {
        let id = stream["aggregateId"].as_str().unwrap();
        assert_eq!(stream["status"], expected[id], "{id}");
    }
    let page = get(&server.address, &format!("/v1/streams?counts=true&{wait}"));
    let by_status = page["counts"].as_array().unwrap().iter();
    let by_status: BTreeMap<String, u64> = by_status
        .map(|count| {
            let status = count["status"].as_str().unwrap().to_owned();
            (status, count["streams"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(by_status, self::counts(&figures["ends"]));
    println!(
        "{}: {} edges and {} cases agree",
        file.file_name().unwrap().to_string_lossy(),
        edges.len(),
        streams.len()
    );
}

fn real(file: &str) {
    match std::env::var_os("RETOLD_EVENT_LOGS") {
        Some(folder) => check(&PathBuf::from(folder).join(file)),
        None => println!("SKIPPED: RETOLD_EVENT_LOGS is not set"),
    }
}

#[test]
fn the_help_desk_flows_as_pm4py_says() {
    real("helpdesk.xes.gz");
}

#[test]
fn the_building_permits_flow_as_pm4py_says() {
    real("receipt.csv.gz");
}

#[test]
fn the_made_up_logs_flow_as_pm4py_says() {
    for file in ["small.xes", "small.csv"] {
        check(
            &Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/data")
                .join(file),
        );
    }
}
