//! Measures the service as its users meet it: the program `retold serve` on a folder, asked over
//! one connection that stays open; beside the limit of the disk, all in one run.
//! `cargo xtask measure --service` builds and runs it in release.
//!
//! Figures of different runs or machines do not compare; the ratios are what counts.

mod client;
#[path = "../../../retold/examples/measure/disk.rs"]
mod disk;
#[allow(
    dead_code,
    reason = "what one measurement does not print another one does"
)]
#[path = "../../../retold/examples/measure/report.rs"]
mod report;
mod server;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use clap::Parser;
use serde_json::json;

use client::Client;
use disk::Limit;
use report::{Latencies, Table, count};
use server::Server;

/// What a measurement that fails says.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long transitions are taken: some thousand syncs.
const TAKING: Duration = Duration::from_secs(3);

/// Times that each kind of page is asked for.
const PAGES: u64 = 300;

/// Events of one call while a stream is filled: what one append may hold.
const EVENTS_A_CALL: u64 = 1_000;

/// Streams of one bulk append.
const STREAMS_A_CALL: u64 = 10_000;

/// The real log whose memory is measured.
const HELP_DESK: &str = "helpdesk.xes.gz";

#[derive(Parser)]
struct Arguments {
    /// Where to measure: decides which disk it is. A new folder is made in it, and removed
    #[arg(long)]
    folder: Option<PathBuf>,
    /// How many streams the list has
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    streams: u64,
    /// How many events the long stream has
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    events: u64,
}

fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let parent = match arguments.folder {
        Some(folder) => folder,
        None => env::current_dir()?.join("target/measure"),
    };
    fs::create_dir_all(&parent)?;
    let folder = tempfile::tempdir_in(parent)?;
    let mut table = Table::default();
    let limit = Limit::measure(folder.path(), &mut table)?;
    transitions(&folder.path().join("issues"), &limit, &mut table)?;
    memory(&folder.path().join("help-desk"), &mut table)?;
    let large = folder.path().join("large");
    pages(&large, arguments.streams, arguments.events, &mut table)?;
    print!("{table}");
    Ok(())
}

/// One transition after the other, on one issue that goes back and forth.
fn transitions(folder: &Path, limit: &Limit, table: &mut Table) -> Outcome<()> {
    let server = Server::start(folder)?;
    let mut client = server.connect()?;
    let path = "/v1/streams/Issue/42/transitions";
    let mut take = |from: &str, to: &str, event: &str| {
        let body = json!({"fromState": from, "toState": to, "event": event}).to_string();
        client.post(path, "application/json", body.as_bytes())
    };
    take("TODO", "IN_PROGRESS", "start_work")?;
    let before = limit.overwrite()?;
    let mut latencies = Latencies::default();
    let started = Instant::now();
    let turns = [
        ("IN_PROGRESS", "BLOCKED", "block"),
        ("BLOCKED", "IN_PROGRESS", "unblock"),
    ];
    for (from, to, event) in turns.into_iter().cycle() {
        if started.elapsed() >= TAKING {
            break;
        }
        let asked = Instant::now();
        take(from, to, event)?;
        latencies.record(asked.elapsed())?;
    }
    let (p50, p99) = (latencies.percentile(50.0), latencies.percentile(99.0));
    // On a machine that others use as well, the disk is not the same from one second to the next.
    let after = limit.overwrite()?;
    let sync = (before + after) / 2;
    table.row(
        "transitions over HTTP, 1 client, kept alive",
        &format!("p50 {p50:.0?}, p99 {p99:.1?}"),
        &format!(
            "p50 {:.2} overwrites ({before:.0?} before, {after:.0?} after)",
            p50.as_secs_f64() / sync.as_secs_f64()
        ),
    );
    Ok(())
}

/// What the server takes with a real log in it, and when it is started again on it.
fn memory(folder: &Path, table: &mut Table) -> Outcome<()> {
    let Some(logs) = env::var_os("RETOLD_EVENT_LOGS") else {
        eprintln!("the memory of the help-desk log is left out: RETOLD_EVENT_LOGS is not set");
        return Ok(());
    };
    let server = Server::start(folder)?;
    let empty = server.resident_bytes()?;
    server.import(&Path::new(&logs).join(HELP_DESK))?;
    let loaded = server.resident_bytes()?;
    let events = server.connect()?.head()?;
    drop(server);
    let again = Server::start(folder)?.resident_bytes()?;
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    table.row(
        &format!(
            "`retold serve` with the help-desk log, {} events",
            count(events as f64)
        ),
        &format!(
            "{} after the import, {} started again",
            mib(loaded),
            mib(again)
        ),
        &format!("{} empty", mib(empty)),
    );
    Ok(())
}

/// The pages of a large store.
fn pages(folder: &Path, streams: u64, events: u64, table: &mut Table) -> Outcome<()> {
    let server = Server::start(folder)?;
    let mut client = server.connect()?;
    fill(&mut client, streams, events)?;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let name = format!("/ of {} streams", count(streams as f64));
    page(&mut client, table, &name, || "/".to_owned())?;
    page(&mut client, table, "the same by a prefix of the id", || {
        let id = id_of(dice.below(streams));
        format!("/?prefix={}", &id[..id.len() - 1 - dice.below(4) as usize])
    })?;
    page(&mut client, table, "the same, a page in the middle", || {
        format!("/?afterType=Issue&after={}", id_of(dice.below(streams)))
    })?;
    let name = format!("a stream of {} events", count(events as f64));
    page(&mut client, table, &name, || {
        "/streams/Issue/long".to_owned()
    })?;
    page(&mut client, table, "the same at any of them", || {
        format!("/streams/Issue/long?at={}", 1 + dice.below(events))
    })?;
    let resident = server.resident_bytes()?;
    let all = client.head()?;
    table.row(
        &format!("`retold serve` with these {} events", count(all as f64)),
        &format!("{} MiB resident", resident >> 20),
        &format!("{} bytes per event", resident / all),
    );
    Ok(())
}

fn id_of(nth: u64) -> String {
    format!("I-{nth:06}")
}

fn fill(client: &mut Client, streams: u64, events: u64) -> Outcome<()> {
    let moved = |from: &str, to: &str, event: &str| {
        json!({
            "eventType": event,
            "payload": {"fromState": from, "toState": to, "event": event, "reason": "measured"},
            "metadata": {"actor": "ana"},
        })
    };
    let mut first = 0;
    while first < streams {
        let last = streams.min(first + STREAMS_A_CALL);
        let mut lines = String::new();
        for nth in first..last {
            let mut line = moved("TODO", "IN_PROGRESS", "start_work");
            line["aggregateType"] = "Issue".into();
            line["aggregateId"] = id_of(nth).into();
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        let path = "/v1/events?machine=trust&results=summary";
        client.post(path, "application/x-ndjson", lines.as_bytes())?;
        first = last;
    }
    let mut written = 0;
    while written < events {
        let call = (events - written).min(EVENTS_A_CALL);
        let list: Vec<_> = (0..call)
            .map(|nth| match nth % 2 {
                0 => moved("BLOCKED", "IN_PROGRESS", "unblock"),
                _ => moved("IN_PROGRESS", "BLOCKED", "block"),
            })
            .collect();
        let body = json!({ "events": list }).to_string();
        let path = "/v1/streams/Issue/long/events?machine=trust";
        client.post(path, "application/json", body.as_bytes())?;
        written += call;
    }
    Ok(())
}

/// Asks for pages of one kind.
fn page(
    client: &mut Client,
    table: &mut Table,
    name: &str,
    mut path: impl FnMut() -> String,
) -> Outcome<()> {
    let mut latencies = Latencies::default();
    let mut bytes = 0;
    for _ in 0..PAGES {
        let path = path();
        let asked = Instant::now();
        let page = client.get(&path)?;
        latencies.record(asked.elapsed())?;
        bytes = bytes.max(page.len());
    }
    let (p50, p95) = (latencies.percentile(50.0), latencies.percentile(95.0));
    table.row(
        name,
        &format!("p50 {p50:.1?}, p95 {p95:.1?}"),
        &format!("{:.0} KiB at the most", bytes as f64 / 1024.0),
    );
    Ok(())
}

/// The same numbers in each run (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
