//! How fast a consumer is: an empty handler over a log that is there already, and how late an
//! event comes while others are appended.
//!
//! `cargo run --release -p retold --example consume -- --events 1000000`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use retold::consumer::{ConsumerSettings, ConsumerStart};
use retold::{NewEvent, Retold, StreamId};
use tokio::sync::Mutex;

/// Streams of the log.
const STREAMS: u64 = 10_000;

/// Events of one append.
const BATCH: u64 = 1_000;

#[derive(Parser)]
struct Arguments {
    /// Events that the consumer is behind when it begins
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Appends in a second while it follows
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Leaves one stream of all parked
    #[arg(long)]
    parked: bool,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let parent = std::env::current_dir()?.join("target/measure");
    std::fs::create_dir_all(&parent)?;
    let folder = tempfile::tempdir_in(parent)?;
    let retold = Retold::open(folder.path()).await?;
    for batch in 0..arguments.events / BATCH {
        let events = (0..BATCH).map(|nth| event(batch * BATCH + nth));
        retold.append(events.collect::<Outcome<Vec<_>>>()?).await?;
    }
    println!("| what | measured |\n|---|---|");
    behind(&retold, &arguments).await?;
    live(&retold, arguments.rate).await?;
    retold.close().await?;
    Ok(())
}

fn event(number: u64) -> Outcome<NewEvent> {
    let stream = StreamId::new("Account", (number % STREAMS).to_string())?;
    Ok(NewEvent::new(
        stream,
        "account.credited",
        &serde_json::json!({ "amount": number }),
    )?)
}

/// From the beginning of the log to its end.
async fn behind(retold: &Retold, arguments: &Arguments) -> Outcome<()> {
    let mut settings = ConsumerSettings::default();
    settings.attempts_max = 1;
    let consumer = retold.consumer("behind", settings).await?;
    let parked = arguments.parked;
    let started = Instant::now();
    let running = tokio::spawn({
        let consumer = consumer.clone();
        async move {
            let poison = StreamId::new("Account", "0").expect("well formed");
            let handler = move |event: retold::RecordedEvent| {
                let fails = parked && event.stream == poison;
                async move { if fails { Err("no") } else { Ok(()) } }
            };
            consumer.run(handler).await;
        }
    });
    while consumer.status().await?.position < arguments.events {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = started.elapsed();
    let status = consumer.status().await?;
    println!(
        "| {} events behind, 64 in flight, empty handler, {} of {STREAMS} streams parked | {:.0}/s, {} MiB resident |",
        arguments.events,
        status.parked_streams,
        status.finished as f64 / took.as_secs_f64(),
        resident_bytes() >> 20,
    );
    running.abort();
    Ok(())
}

/// How late events come while others are appended.
async fn live(retold: &Retold, rate: u64) -> Outcome<()> {
    const SECONDS: u64 = 10;
    let mut settings = ConsumerSettings::default();
    settings.start = ConsumerStart::Now;
    let consumer = retold.consumer("live", settings).await?;
    let lags = Arc::new(Mutex::new(Histogram::<u64>::new(3)?));
    let seen = Arc::new(AtomicU64::new(0));
    let running = tokio::spawn({
        let (lags, seen) = (lags.clone(), seen.clone());
        async move {
            let handler = move |event: retold::RecordedEvent| {
                let (lags, seen) = (lags.clone(), seen.clone());
                async move {
                    let now = retold::Timestamp::now().as_micros();
                    let lag = now - event.persisted_at.as_micros();
                    lags.lock().await.saturating_record(lag.max(1) as u64);
                    seen.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, String>(())
                }
            };
            consumer.run(handler).await;
        }
    });
    let started = Instant::now();
    let mut number = 0;
    while number < rate * SECONDS {
        let due = (started.elapsed().as_secs_f64() * rate as f64) as u64;
        let mut appending = tokio::task::JoinSet::new();
        let due = due.min(rate * SECONDS);
        for number in number..due {
            let (retold, event) = (retold.clone(), event(number)?);
            appending.spawn(async move { retold.append(event).await.map(|_| ()) });
        }
        number = number.max(due);
        while let Some(appended) = appending.join_next().await {
            appended??;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    while seen.load(Ordering::Relaxed) < number {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let lags = lags.lock().await;
    println!(
        "| from recording to the handler at {:.0} appends/s | p50 {:.1} ms, p99 {:.1} ms |",
        number as f64 / started.elapsed().as_secs_f64(),
        lags.value_at_quantile(0.5) as f64 / 1e3,
        lags.value_at_quantile(0.99) as f64 / 1e3,
    );
    running.abort();
    Ok(())
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
