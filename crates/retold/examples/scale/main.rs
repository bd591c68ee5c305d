//! Loads a log of many events in a process of its own, kills it, and opens the log again: what
//! the index costs, and what it spares. Prints a Markdown table.
//!
//! `cargo run --release -p retold --example scale -- --events 1000000`

#[path = "../measure/workload.rs"]
#[allow(dead_code, reason = "the other example uses the rest")]
mod workload;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use clap::Parser;
use retold::EventStore;
use retold::engine::{EngineStore, Options};

use workload::Workload;

/// What a measurement that fails says.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Bytes of an event that the workload would take at the least: payload, two ids of 16 bytes
/// and two times of 8, and the texts of aggregate, event type and version.
const TEXT_BYTES: u64 = 7 + 5 + 16 + 5;
const FIXED_BYTES: u64 = 16 + 16 + 8 + 8;

/// Time between two looks at the folder.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Parser)]
struct Arguments {
    /// Where to measure: decides which disk it is. A new folder is made in it, and removed
    #[arg(long)]
    folder: Option<PathBuf>,
    /// How many events are loaded
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    events: u64,
    /// Loads this folder and waits to be killed; the other process starts it
    #[arg(long, hide = true)]
    load: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    match arguments.load {
        Some(folder) => load(&folder, arguments.events).await,
        None => measure(arguments.folder, arguments.events).await,
    }
}

async fn measure(parent: Option<PathBuf>, events: u64) -> Outcome<()> {
    let parent = match parent {
        Some(folder) => folder,
        None => env::current_dir()?.join("target/measure"),
    };
    fs::create_dir_all(&parent)?;
    let folder = tempfile::tempdir_in(parent)?;
    let data = folder.path().join("data");
    let mut child = Command::new(env::current_exe()?)
        .args(["--events", &events.to_string(), "--load"])
        .arg(&data)
        .stdout(Stdio::piped())
        .spawn()?;
    println!("| what | measured |\n|---|---|");
    let lines = BufReader::new(child.stdout.take().ok_or("the child has no output")?);
    for line in lines.lines() {
        let line = line?;
        if line == "loaded" {
            break;
        }
        println!("{line}");
    }
    child.kill()?;
    child.wait()?;
    for cache in ["warm", "warm", "warm", "cold", "cold", "cold"] {
        if cache == "cold" && !forget(&data)? {
            break;
        }
        let started = Instant::now();
        let store = EngineStore::open(&data, Options::default())?;
        let took = started.elapsed();
        let private = private_bytes();
        assert_eq!(store.head().await?.position, events, "events are missing");
        row(
            &format!("open after kill -9, page cache {cache}"),
            &format!("{took:.1?}, {} MiB private", private >> 20),
        );
        settle(&store).await;
        store.close().await?;
    }
    let (log, index) = (bytes_of(&data.join("log")), bytes_of(&data.join("index")));
    let payload = payload_bytes().await?;
    let bare = (payload + TEXT_BYTES + FIXED_BYTES) * events;
    row(
        "disk at rest: log, index",
        &format!(
            "{:.1} and {:.1} bytes per event, {:.3} of the bare {} bytes",
            log as f64 / events as f64,
            index as f64 / events as f64,
            (log + index) as f64 / bare as f64,
            bare / events,
        ),
    );
    Ok(())
}

/// Appends all events, and says what that took.
async fn load(folder: &Path, events: u64) -> Outcome<()> {
    let store = EngineStore::open(folder, Options::default())?;
    let workload = Workload::default();
    let index = folder.join("index");
    let (peak, is_over) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let watcher = {
        let (peak, is_over) = (Arc::clone(&peak), Arc::clone(&is_over));
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                peak.fetch_max(bytes_of(&index), Ordering::Relaxed);
                thread::sleep(LOOK);
            }
        })
    };
    let batches = events / workload::BATCH;
    let (mut worst, mut worst_unwritten) = (Duration::ZERO, Duration::ZERO);
    // One task appends, so that what is written between two looks is its own group.
    let written = || Duration::from_micros(store.statistics().write_micros.sum);
    let mut rates = Vec::new();
    let mut private = Vec::new();
    for tenth in 0..10 {
        let mut took = Duration::ZERO;
        let these = batches * tenth / 10..batches * (tenth + 1) / 10;
        let count = these.end - these.start;
        for batch in these {
            let append = workload.batch(batch * workload::BATCH)?;
            let (before, asked) = (written(), Instant::now());
            store.append(append).await?;
            let elapsed = asked.elapsed();
            worst = worst.max(elapsed);
            worst_unwritten = worst_unwritten.max(elapsed.saturating_sub(written() - before));
            took += elapsed;
        }
        rates.push((count * workload::BATCH) as f64 / took.as_secs_f64());
        private.push(private_bytes() >> 20);
    }
    let listed = rates.iter().map(|rate| format!("{:.0}k", rate / 1_000.0));
    let listed: Vec<String> = listed.collect();
    row(
        "durable appends of 1000 events, 1 task: events/s of each tenth",
        &listed.join(" "),
    );
    row(
        "last tenth",
        &format!("{:.2} of the first", rates[9] / rates[0]),
    );
    row(
        "longest wait of an append, all causes",
        &format!("{worst:.1?}"),
    );
    row(
        "longest wait apart from writing and syncing the log: looking up, the index, its threads",
        &format!("{worst_unwritten:.1?}"),
    );
    row(
        "private memory after each tenth",
        &format!("{private:?} MiB"),
    );
    let statistics = retold::EventStore::statistics(&store).index;
    row("index, while loading", &format!("{statistics:?}"));
    let started = Instant::now();
    settle(&store).await;
    row(
        "until merging is done",
        &format!(
            "{:.1?}, {} MiB private then",
            started.elapsed(),
            private_bytes() >> 20
        ),
    );
    is_over.store(true, Ordering::Relaxed);
    watcher.join().map_err(|_| "the watcher panicked")?;
    row(
        "index at its largest",
        &format!(
            "{:.1} bytes per event",
            peak.load(Ordering::Relaxed) as f64 / events as f64
        ),
    );
    println!("loaded");
    thread::park();
    Ok(())
}

/// Waits until nothing has been merged for a while.
async fn settle(store: &EngineStore) {
    let mut before = None;
    loop {
        let now = retold::EventStore::statistics(store).index;
        let now = (now.merges, now.flushes, now.runs);
        if before == Some(now) {
            return;
        }
        before = Some(now);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn payload_bytes() -> Outcome<u64> {
    let append = Workload::default().batch(1)?;
    let events = append.events();
    let bytes: usize = events
        .iter()
        .map(|event| event.payload.as_str().len())
        .sum();
    Ok(bytes as u64 / events.len() as u64)
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

/// Bytes that the files of a folder take on the disk.
fn bytes_of(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let blocks = entries.filter_map(|entry| Some(entry.metadata().ok()?.blocks()));
    blocks.sum::<u64>() * 512
}

/// Has the system drop the files of a store from its page cache; false where it cannot.
#[cfg(target_os = "linux")]
fn forget(data: &Path) -> Outcome<bool> {
    let folders = [data.to_owned(), data.join("log"), data.join("index")];
    for folder in folders {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() {
                let file = fs::File::open(path)?;
                file.sync_all()?;
                rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
            }
        }
    }
    Ok(true)
}

/// The same where it cannot.
#[cfg(not(target_os = "linux"))]
fn forget(_: &Path) -> Outcome<bool> {
    Ok(false)
}

/// Memory that belongs to this process alone; known on Linux only.
fn private_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let anonymous = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = anonymous.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
