//! Measures the library and its engine beside the limit of the disk under it, all in one run on one folder,
//! and prints a Markdown table. `cargo xtask measure` builds and runs it in release.
//!
//! Figures of different runs or machines do not compare; the ratios are what counts.

mod disk;
mod report;
mod workload;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use clap::Parser;
use retold::engine::{EngineStore, Options};
use retold::{Retold, Transition};
use retold_core::{EventStore, StreamId, StreamQuery};

use disk::Limit;
use report::{Latencies, Table, count};
use workload::Workload;

/// What a measurement that fails says.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long each number of tasks appends: some ten thousand syncs.
const APPENDING: Duration = Duration::from_secs(3);

/// Events of the stream that is replayed.
const REPLAYED: u64 = 10_000;

/// Times that a stream is replayed; the middle one counts.
const REPLAYS: usize = 5;

#[derive(Parser)]
struct Arguments {
    /// Where to measure: decides which disk it is. A new folder is made in it, and removed
    #[arg(long)]
    folder: Option<PathBuf>,
    /// How many events are loaded for memory, replay and reopening
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    events: u64,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let parent = match arguments.folder {
        Some(folder) => folder,
        None => env::current_dir()?.join("target/measure"),
    };
    fs::create_dir_all(&parent)?;
    let folder = tempfile::tempdir_in(parent)?;
    let mut table = Table::default();
    let limit = Limit::measure(folder.path(), &mut table)?;
    let data = folder.path().join("data");
    let workload = Arc::new(Workload::default());
    let store = Arc::new(EngineStore::open(&data, Options::default())?);
    for tasks in [1, 16, 256] {
        appends(&store, &workload, tasks, limit.overwrite()?, &mut table).await?;
    }
    let events = arguments.events;
    bulk(&store, &workload, events, limit.overwrite()?, &mut table).await?;
    workload.contiguous(&*store, REPLAYED).await?;
    let contiguous = replay(&store, workload::contiguous_stream()?).await?;
    table.row(
        &format!("replay of {} events, contiguous", count(REPLAYED as f64)),
        &format!("{} events/s", count(contiguous)),
        "",
    );
    let scattered = replay(&store, workload::scattered_stream()?).await?;
    let length = events / workload::SCATTERED_EVERY;
    table.row(
        &format!(
            "replay of {} events, scattered over the log",
            count(length as f64)
        ),
        &format!("{} events/s", count(scattered)),
        &format!("{:.2} of contiguous", scattered / contiguous),
    );
    store.close().await?;
    transitions(
        &folder.path().join("issues"),
        limit.overwrite()?,
        &mut table,
    )
    .await?;
    let head = store.head().await?.position;
    let bytes = bytes_of(&data.join("log"))?;
    table.row(
        "the log on disk",
        &format!("{:.0} bytes per event", bytes as f64 / head as f64),
        "",
    );
    // The index goes before it is made anew, so that both never take memory at once.
    drop(store);
    let started = Instant::now();
    let store = EngineStore::open(&data, Options::default())?;
    let took = started.elapsed().as_secs_f64();
    table.row(
        &format!("open again with {} events", count(head as f64)),
        &format!("{took:.2} s"),
        &format!("{} events/s", count(head as f64 / took)),
    );
    assert_eq!(store.head().await?.position, head, "events are missing");
    store.close().await?;
    print!("{table}");
    Ok(())
}

/// One transition after the other, on one issue that goes back and forth.
async fn transitions(folder: &Path, sync: Duration, table: &mut Table) -> Outcome<()> {
    let retold = Retold::builder().builtin_machines().open(folder).await?;
    let start = Transition::new("Issue", "42")
        .to("IN_PROGRESS")
        .event("start_work");
    retold.transition(start).await?;
    let mut latencies = Latencies::default();
    let started = Instant::now();
    let turns = [
        ("IN_PROGRESS", "BLOCKED", "block"),
        ("BLOCKED", "IN_PROGRESS", "unblock"),
    ];
    for (from, to, event) in turns.into_iter().cycle() {
        if started.elapsed() >= APPENDING {
            break;
        }
        let transition = Transition::new("Issue", "42")
            .from(from)
            .to(to)
            .event(event);
        let asked = Instant::now();
        retold.transition(transition).await?;
        latencies.record(asked.elapsed())?;
    }
    let (p50, p99) = (latencies.percentile(50.0), latencies.percentile(99.0));
    table.row(
        "transitions of one issue, 1 task, snapshots included",
        &format!("p50 {p50:.1?}, p99 {p99:.1?}"),
        &format!(
            "p50 {:.2} overwrites ({sync:.0?})",
            p50.as_secs_f64() / sync.as_secs_f64()
        ),
    );
    Ok(retold.close().await?)
}

/// One event for each append, each durable, from so many tasks.
async fn appends(
    store: &Arc<EngineStore>,
    workload: &Arc<Workload>,
    tasks: usize,
    sync: Duration,
    table: &mut Table,
) -> Outcome<()> {
    let started = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (store, workload) = (Arc::clone(store), Arc::clone(workload));
        running.spawn(async move {
            let mut latencies = Latencies::default();
            while started.elapsed() < APPENDING {
                let append = workload.one(task, tasks)?;
                let asked = Instant::now();
                store.append(append).await?;
                latencies.record(asked.elapsed())?;
            }
            Outcome::Ok(latencies)
        });
    }
    let mut latencies = Latencies::default();
    while let Some(task) = running.join_next().await {
        latencies.add(&task??)?;
    }
    let rate = latencies.len() as f64 / started.elapsed().as_secs_f64();
    let (p50, p99) = (latencies.percentile(50.0), latencies.percentile(99.0));
    let noun = if tasks == 1 { "task" } else { "tasks" };
    table.row(
        &format!("durable appends of one event, {tasks} {noun}"),
        &format!("{} events/s, p50 {p50:.1?}, p99 {p99:.1?}", count(rate)),
        &format!(
            "p50 {:.2} overwrites; {:.2} events an overwrite ({sync:.0?})",
            p50.as_secs_f64() / sync.as_secs_f64(),
            rate * sync.as_secs_f64()
        ),
    );
    Ok(())
}

/// Appends of a thousand events by one task; the time in which it makes them is not counted.
async fn bulk(
    store: &EngineStore,
    workload: &Workload,
    events: u64,
    sync: Duration,
    table: &mut Table,
) -> Outcome<()> {
    let memory = resident_bytes();
    let batches = events / workload::BATCH;
    let mut latencies = Latencies::default();
    let (mut took, mut last_tenth) = (Duration::ZERO, Duration::ZERO);
    for batch in 0..batches {
        let append = workload.batch(batch * workload::BATCH)?;
        let asked = Instant::now();
        store.append(append).await?;
        let elapsed = asked.elapsed();
        latencies.record(elapsed)?;
        took += elapsed;
        if batch >= batches - batches.div_ceil(10) {
            last_tenth += elapsed;
        }
    }
    let loaded = (batches * workload::BATCH) as f64;
    let rate = loaded / took.as_secs_f64();
    let last = (batches.div_ceil(10) * workload::BATCH) as f64 / last_tenth.as_secs_f64();
    let (p50, p99) = (latencies.percentile(50.0), latencies.percentile(99.0));
    table.row(
        &format!(
            "durable appends of {} events, 1 task",
            count(workload::BATCH as f64)
        ),
        &format!("{} events/s, p50 {p50:.1?}, p99 {p99:.1?}", count(rate)),
        &format!(
            "{:.0} events an overwrite ({sync:.0?}); last tenth {} events/s",
            rate * sync.as_secs_f64(),
            count(last)
        ),
    );
    if let (Some(before), Some(after)) = (memory, resident_bytes()) {
        table.row(
            &format!("memory of {} events loaded", count(loaded)),
            &format!(
                "{:.0} bytes per event",
                after.saturating_sub(before) as f64 / loaded
            ),
            &format!("{} MiB resident in all", after >> 20),
        );
    }
    Ok(())
}

/// Events of a stream that are read in a second.
async fn replay(store: &EngineStore, stream: StreamId) -> Outcome<f64> {
    let mut rates = Vec::new();
    for _ in 0..REPLAYS {
        let started = Instant::now();
        let mut query = StreamQuery::new(stream.clone());
        query.limit = 10_000;
        let mut events = 0;
        loop {
            let page = store.read_stream(query.clone()).await?;
            events += page.entries.len();
            match page.next {
                Some(next) => query = query.continued(next),
                None => break,
            }
        }
        rates.push(events as f64 / started.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[REPLAYS / 2])
}

fn bytes_of(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// What of this process lies in memory; known on Linux only.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
