//! Projections under SIGKILL: a server is killed while its projections run and while one of them is
//! rebuilt, again and again on one folder. In the end the tables are, row by row, those of a rebuild
//! from zero.
//! `RETOLD_SEED` draws the same delays again, `RETOLD_ROUNDS` says how many rounds.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{PATIENCE, Random, Server, ask, lines, number};

const ROUNDS: u64 = 6;
const STREAMS: u64 = 6;
const WRITERS: u64 = 3;
const PROJECTIONS: [&str; 3] = ["current_state", "process_map", "state_history"];

/// How long a server lives at most before it is killed.
const LIFE_MS: u64 = 500;

/// What the servers said that they did.
#[derive(Default)]
struct Done {
    recorded: AtomicU64,
    rebuilds: AtomicU64,
}

impl Done {
    fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    fn rebuilds(&self) -> u64 {
        self.rebuilds.load(Ordering::Relaxed)
    }
}

/// Appends and takes transitions until the server is gone.
fn write(address: &str, writer: u64, random: &Random, done: &Done) {
    loop {
        let stream = writer * STREAMS + random.below(STREAMS);
        let (call, body) = match random.below(4) {
            0 => (
                format!("POST /v1/streams/W/{stream}/events"),
                json!({"eventType": format!("e{}", random.below(4)), "payload": null}),
            ),
            _ => {
                let moves = [
                    ("TODO", "IN_PROGRESS", "start_work"),
                    ("IN_PROGRESS", "BLOCKED", "block"),
                    ("BLOCKED", "IN_PROGRESS", "unblock"),
                ];
                let (from, to, event) = moves[usize::try_from(random.below(3)).unwrap()];
                (
                    format!("POST /v1/streams/Issue/{stream}/transitions"),
                    json!({"fromState": from, "toState": to, "event": event, "context": {"n": done.recorded()}}),
                )
            }
        };
        match ask(address, &call, &body.to_string()) {
            Some((201, _)) => {
                done.recorded.fetch_add(1, Ordering::Relaxed);
            }
            // The issue is in another state.
            Some((status, body)) => assert_eq!(status, 409, "{body}"),
            None => return,
        }
    }
}

/// Rebuilds one projection after the other, cancels and brings back, until the server is gone.
fn decide(address: &str, random: &Random, done: &Done) {
    loop {
        let name = PROJECTIONS[usize::try_from(random.below(3)).unwrap()];
        let what = match random.below(6) {
            0 => "cancel",
            1 => "bring-back",
            _ => "rebuild",
        };
        let call = format!("POST /v1/projections/{name}/{what}");
        match ask(address, &call, "") {
            Some((200, _)) if what == "rebuild" => {
                done.rebuilds.fetch_add(1, Ordering::Relaxed);
            }
            Some((200, _)) => {}
            // Nothing is being built or kept; or something is; or it is not open yet.
            Some((400 | 404 | 503, _)) => {}
            Some((status, body)) => panic!("{what}: {status}: {body}"),
            None => return,
        }
        thread::sleep(Duration::from_millis(random.below(60)));
    }
}

fn status(address: &str, name: &str) -> Value {
    let (status, body) = ask(address, &format!("GET /v1/projections/{name}"), "").unwrap();
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn in_role<'a>(status: &'a Value, role: &str) -> Option<&'a Value> {
    let mut versions = status["versions"].as_array().unwrap().iter();
    versions.find(|version| version["role"] == role)
}

/// Polls until something holds of a projection.
fn until(address: &str, name: &str, holds: impl Fn(&Value) -> bool) {
    let began = Instant::now();
    loop {
        let status = status(address, name);
        if holds(&status) {
            return;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "{name} does not get there: {status}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// The rows of all tables of a projection, in order.
fn rows(folder: &Path, server: &Server, name: &str) -> BTreeMap<String, Vec<Value>> {
    let status = status(&server.address, name);
    let tables = status["tables"].as_array().unwrap().iter();
    let mut all = BTreeMap::new();
    for table in tables {
        let table = table["name"].as_str().unwrap();
        let found = lines(
            folder,
            &server.url(),
            &["projections", "rows", name, table, "--all"],
        );
        all.insert(table.to_owned(), found);
    }
    all
}

#[test]
fn tables_are_those_of_a_rebuild_wherever_the_server_crashed() {
    let seed = number("RETOLD_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let rounds = number("RETOLD_ROUNDS").unwrap_or(ROUNDS);
    println!("seed {seed}: replay with RETOLD_SEED={seed}");
    let random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let done = Done::default();
    for _ in 0..rounds {
        let mut server = Server::start(folder, &[]);
        let address = server.address.clone();
        thread::scope(|scope| {
            let (address, random, done) = (&address, &random, &done);
            scope.spawn(move || decide(address, random, done));
            for writer in 0..WRITERS {
                scope.spawn(move || write(address, writer, random, done));
            }
            // The first one does something of everything, however slow the machine is.
            let began = Instant::now();
            while (done.recorded() == 0 || done.rebuilds() == 0) && began.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(20));
            }
            thread::sleep(Duration::from_millis(50 + random.below(LIFE_MS)));
            server.child.kill().unwrap();
            server.child.wait().unwrap();
        });
    }

    let server = Server::start(folder, &[]);
    let address = &server.address;
    let mut kept = 0;
    for name in PROJECTIONS {
        until(address, name, |status| {
            let current = in_role(status, "current");
            let is_building = in_role(status, "building").is_some();
            !is_building && current.is_some_and(|current| current["lagEvents"] == 0)
        });
        let as_it_is = rows(folder, &server, name);
        let rebuild = format!("POST /v1/projections/{name}/rebuild?held=true");
        assert_eq!(ask(address, &rebuild, "").unwrap().0, 200);
        until(address, name, |status| {
            in_role(status, "building").is_some_and(|building| building["hasCaughtUp"] == true)
        });
        let compare = format!("GET /v1/projections/{name}/compare?with=building");
        let compared = ask(address, &compare, "").unwrap().1;
        let compared: Value = serde_json::from_str(&compared).unwrap();
        assert_eq!(compared["isEqual"], true, "{name}: {compared:#}");
        let promote = format!("POST /v1/projections/{name}/promote");
        assert_eq!(ask(address, &promote, "").unwrap().0, 200);
        let from_zero = rows(folder, &server, name);
        assert_eq!(as_it_is, from_zero, "{name}");
        kept += from_zero.values().map(Vec::len).sum::<usize>();
    }
    let (recorded, rebuilds) = (done.recorded(), done.rebuilds());
    println!("{rounds} rounds: {recorded} events, {rebuilds} rebuilds begun, {kept} rows equal");
    assert!(recorded > 0 && rebuilds > 0 && kept > 0);
}
