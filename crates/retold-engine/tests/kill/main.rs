//! A real process is killed with SIGKILL while sixteen tasks append, again and again on one
//! folder. It shows what a crash of the process leaves, not what a power cut does: the page
//! cache survives. `RETOLD_SEED` draws the same appends and delays again, though not the same
//! interleaving; `RETOLD_ROUNDS` or `RETOLD_TEST_SECONDS` say how long.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod calls;
mod child;
mod draw;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use retold_core::{EventStore, LogQuery, Position, RecordedEvent};
use retold_engine::{EngineStore, IndexOptions, Options, verify};
use uuid::Uuid;

use calls::Calls;
use draw::Random;

const CHILD_FOLDER: &str = "RETOLD_KILL_FOLDER";
const CHILD_SEED: &str = "RETOLD_KILL_SEED";
const ROUNDS_MIN: u64 = 3;

/// Events after which a long run goes on in a new folder: each round reads the whole log.
const LOG_EVENTS_MAX: usize = 100_000;

const SIGKILL: i32 = 9;

/// The process that is killed, when the other test starts it; no test by itself.
#[test]
fn started_again_as_the_child() {
    let Some(folder) = env::var_os(CHILD_FOLDER) else {
        return;
    };
    let seed = env::var(CHILD_SEED).unwrap().parse().unwrap();
    let store = open(Path::new(&folder), 32 << (seed % 4) as u32);
    child::append_until_killed(store, seed);
}

/// Opens the log with segments so small that every few appends begin a new one, and tables so
/// small that they make many runs.
fn open(folder: &Path, segment_kib: u64) -> EngineStore {
    let options = Options {
        segment_bytes_max: segment_kib * 1024,
        reserve_bytes: 8 * 1024,
        index: IndexOptions {
            memory_events: 64,
            ..IndexOptions::default()
        },
        ..Options::default()
    };
    let store = EngineStore::open(folder, options).unwrap();
    assert!(store.refusal().is_none(), "{:?}", store.refusal());
    store
}

async fn read_all(store: &EngineStore) -> Vec<RecordedEvent> {
    let mut log = Vec::new();
    let mut next = Some(0);
    while let Some(after) = next {
        let page = store
            .read_log(LogQuery::after(after).limit(10_000))
            .await
            .unwrap();
        next = page.next;
        log.extend(
            page.entries
                .into_iter()
                .map(|entry| entry.into_event().unwrap()),
        );
    }
    assert_eq!(store.head().await.unwrap().position, log.len() as Position);
    log
}

/// Starts the child, kills it, and takes in what it said.
fn kill_one(folder: &Path, random: &mut Random, calls: &mut Calls) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "started_again_as_the_child", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_SEED, random.next().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = BufReader::new(child.stdout.take().unwrap());
    // Some are killed while they open the log.
    let delay = if random.below(4) == 0 {
        random.below(30)
    } else {
        while next_line(&mut pipe).is_some_and(|line| line != "ready") {}
        20 + random.below(131)
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(delay));
            child.kill().unwrap();
        });
        while let Some(line) = next_line(&mut pipe) {
            calls.hear(&line);
        }
    });
    assert_eq!(
        child.wait().unwrap().signal(),
        Some(SIGKILL),
        "the child ended by itself"
    );
}

/// The next line; none at the end, and for one that the child did not finish telling.
fn next_line(pipe: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    pipe.read_line(&mut line).unwrap();
    line.strip_suffix('\n').map(str::to_owned)
}

fn number_of(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_in_a_crash_of_the_process() {
    let seed = number_of("RETOLD_SEED").unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("seed {seed}: replay with RETOLD_SEED={seed}");
    let seconds = Duration::from_secs(number_of("RETOLD_TEST_SECONDS").unwrap_or(5));
    let (started, mut random) = (Instant::now(), Random(seed));
    let (mut folder, mut calls) = (tempfile::tempdir().unwrap(), Calls::default());
    let (mut rounds, mut acknowledged, mut retried, mut rotations) = (0, 0, 0, 0);
    let mut is_over = false;
    while !is_over {
        let before = calls.acknowledged();
        kill_one(folder.path(), &mut random, &mut calls);
        rounds += 1;
        is_over = match number_of("RETOLD_ROUNDS") {
            Some(rounds_max) => rounds >= rounds_max,
            None => rounds >= ROUNDS_MIN && started.elapsed() >= seconds,
        };
        let store = open(folder.path(), 32);
        let log = read_all(&store).await;
        calls.check(&log);
        let told = calls.acknowledged();
        calls.retry(&store, &log).await;
        let log = read_all(&store).await;
        calls.check(&log);
        store.close().await.unwrap();
        (acknowledged, retried) = (
            acknowledged + told - before,
            retried + calls.acknowledged() - told,
        );
        if is_over || log.len() > LOG_EVENTS_MAX {
            let verified = verify(folder.path()).unwrap();
            assert!(verified.is_whole(), "{verified:?}");
            rotations += verified.segments - 1;
            (folder, calls) = (tempfile::tempdir().unwrap(), Calls::default());
        }
    }
    println!(
        "{rounds} rounds, {acknowledged} appends acknowledged, {retried} retried, {rotations} rotations"
    );
}
