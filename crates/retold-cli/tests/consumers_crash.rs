//! Consumers under SIGKILL: a server is killed while it posts to a webhook and while others fetch
//! from it, again and again on one folder. Nothing is skipped, nothing is out of order within a
//! stream, and what was acknowledged is never delivered again.
//! `RETOLD_SEED` draws the same delays and refusals again, `RETOLD_ROUNDS` says how many rounds.

#![allow(clippy::unwrap_used, reason = "a test says enough by failing")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{PATIENCE, Random, Server, ask, number, one, read_message, run};

const ROUNDS: u64 = 6;
const STREAMS: u64 = 6;
const MEMBERS: usize = 3;

/// How long a server lives at most before it is killed.
const LIFE_MS: u64 = 500;

/// What the receivers of one consumer have seen.
#[derive(Default)]
struct Seen {
    /// How many events of each stream were delivered, in order.
    delivered: BTreeMap<String, u64>,
    /// What the server has said to be kept: it must never come again.
    acknowledged: BTreeSet<(String, u64)>,
    deliveries: u64,
}

impl Seen {
    fn note(&mut self, event: &Value) -> (String, u64) {
        let stream = event["aggregateId"].as_str().unwrap().to_owned();
        let sequence = event["sequenceNumber"].as_u64().unwrap();
        let place = (stream.clone(), sequence);
        assert!(
            !self.acknowledged.contains(&place),
            "{place:?} was acknowledged and comes again"
        );
        let delivered = self.delivered.entry(stream).or_default();
        assert!(
            sequence <= *delivered + 1,
            "{place:?} comes before the {} of its stream",
            *delivered + 1
        );
        *delivered = sequence.max(*delivered);
        self.deliveries += 1;
        place
    }
}

/// The receiver of the webhook: it outlives the servers, and refuses now and then.
fn receive(listener: TcpListener, seen: Arc<Mutex<Seen>>, random: Arc<Random>) {
    for stream in listener.incoming() {
        let (seen, random) = (seen.clone(), random.clone());
        let mut stream = BufReader::new(stream.unwrap());
        thread::spawn(move || {
            while let Some((_, body)) = read_message(&mut stream) {
                seen.lock()
                    .unwrap()
                    .note(&serde_json::from_str(&body).unwrap());
                let status = match random.below(20) {
                    0 => "503 Unavailable",
                    _ => "200 OK",
                };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
    }
}

/// Fetches and acknowledges until the server is gone.
fn fetch(address: &str, seen: &Mutex<Seen>, random: &Random) {
    while let Some((status, body)) = ask(
        address,
        "POST /v1/consumers/fetched/fetch",
        r#"{"limit":4,"waitMs":100}"#,
    ) {
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let deliveries = body["deliveries"].as_array().unwrap();
        let mut places = Vec::new();
        for delivery in deliveries {
            places.push(seen.lock().unwrap().note(&delivery["event"]));
        }
        if places.is_empty() {
            continue;
        }
        let fences: Vec<&Value> = deliveries.iter().map(|d| &d["fence"]).collect();
        let (call, body) = match random.below(10) {
            0 => (
                "nack",
                json!({"fences": fences, "error": "no", "delayMs": 1}),
            ),
            _ => ("ack", json!({"fences": fences})),
        };
        let path = format!("POST /v1/consumers/fetched/{call}");
        match ask(address, &path, &body.to_string()) {
            Some((204, _)) if call == "ack" => seen.lock().unwrap().acknowledged.extend(places),
            Some((204, _)) | None => {}
            Some((status, body)) => panic!("{status}: {body}"),
        }
    }
}

/// Appends until the server is gone; gives how many events were recorded.
fn append(address: &str, random: &Random) -> u64 {
    let mut recorded = 0;
    loop {
        let stream = random.below(STREAMS);
        let body = r#"{"eventType":"e","payload":null}"#;
        let call = format!("POST /v1/streams/W/{stream}/events");
        match ask(address, &call, body) {
            Some((status, body)) => assert_eq!(status, 201, "{body}"),
            None => return recorded,
        }
        recorded += 1;
    }
}

#[test]
fn consumers_skip_nothing_when_the_server_crashes() {
    let seed = number("RETOLD_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let rounds = number("RETOLD_ROUNDS").unwrap_or(ROUNDS);
    println!("seed {seed}: replay with RETOLD_SEED={seed}");
    let random = Arc::new(Random::new(seed));
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let posted = Arc::new(Mutex::new(Seen::default()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn({
        let (posted, random) = (posted.clone(), random.clone());
        move || receive(listener, posted, random)
    });
    make_consumers(folder, &hook);

    let fetched = Mutex::new(Seen::default());
    let mut recorded = 0;
    for _ in 0..rounds {
        let mut server = Server::start(folder, &["--allow-private-webhooks"]);
        let address = server.address.clone();
        recorded += thread::scope(|scope| {
            let writer = scope.spawn(|| append(&address, &random));
            for _ in 0..MEMBERS {
                scope.spawn(|| fetch(&address, &fetched, &random));
            }
            thread::sleep(Duration::from_millis(50 + random.below(LIFE_MS)));
            server.child.kill().unwrap();
            server.child.wait().unwrap();
            writer.join().unwrap()
        });
    }

    // Everything is delivered in the end: also what was under way when the last server died.
    let mut server = Server::start(folder, &["--allow-private-webhooks"]);
    let address = server.address.clone();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| fetch(&address, &fetched, &random));
        let began = Instant::now();
        while !(is_finished(&address, "posted") && is_finished(&address, "fetched")) {
            assert!(began.elapsed() < PATIENCE, "the consumers do not catch up");
            thread::sleep(Duration::from_millis(20));
        }
        for name in ["posted", "fetched"] {
            let (status, audit) =
                ask(&address, &format!("GET /v1/consumers/{name}/audit"), "").unwrap();
            let audit: Value = serde_json::from_str(&audit).unwrap();
            assert_eq!(
                (status, &audit["isComplete"]),
                (200, &json!(true)),
                "{name}: {audit}"
            );
        }
        is_over.store(true, Ordering::Relaxed);
        server.child.kill().unwrap();
        server.child.wait().unwrap();
    });
    let mut in_log = BTreeMap::new();
    for stream in support::lines(folder, "data", &["streams", "--type", "W"]) {
        let id = stream["aggregateId"].as_str().unwrap().to_owned();
        in_log.insert(id, stream["sequenceNumber"].as_u64().unwrap());
    }
    let (posted, fetched) = (posted.lock().unwrap(), fetched.into_inner().unwrap());
    assert_eq!(posted.delivered, in_log, "what was posted");
    assert_eq!(fetched.delivered, in_log, "what was fetched");
    assert!(in_log.values().sum::<u64>() >= recorded);
    println!(
        "{rounds} rounds: {recorded} events recorded, {} posted, {} fetched",
        posted.deliveries, fetched.deliveries
    );
}

fn make_consumers(folder: &Path, hook: &str) {
    assert!(run(folder, &["secrets", "create", "hook"]).status.success());
    let quick =
        "--lease-ms 2000 --attempts-max 1000 --retry-backoff-ms 5 --retry-backoff-max-ms 50";
    let quick: Vec<&str> = quick.split(' ').collect();
    let fetched = [
        &["consumers", "create", "fetched", "--type", "W"][..],
        &quick,
    ]
    .concat();
    one(folder, "data", &fetched);
    let webhook = [
        "--webhook",
        hook,
        "--secret",
        "hook",
        "--timeout-ms",
        "1500",
    ];
    let posted = ["consumers", "create", "posted", "--type", "W"];
    one(folder, "data", &[&posted[..], &quick, &webhook].concat());
}

fn is_finished(address: &str, name: &str) -> bool {
    let path = format!("GET /v1/consumers/{name}");
    let Some((200, body)) = ask(address, &path, "") else {
        return false;
    };
    let status: Value = serde_json::from_str(&body).unwrap();
    status["lag"]["events"] == 0 && status["inFlight"] == 0 && status["waitingStreams"] == 0
}
