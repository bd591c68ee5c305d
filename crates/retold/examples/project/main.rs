//! How fast a projection is: a rebuild over a log that is there already, how late a row tells of an
//! event while others are appended, and what a rebuild costs those who append.
//!
//! `cargo run --release -p retold --example project -- --events 1000000`

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use retold::projection::VersionRole;
use retold::{NewEvent, Retold, StreamId};
use tokio::sync::Mutex;

/// Events of one append while the log is made.
const BATCH: u64 = 1_000;

/// Tasks that append at the same time while the log is written to.
const APPENDERS: u64 = 16;

#[derive(Parser)]
struct Arguments {
    /// Events that the log holds to begin with
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Streams that they belong to
    #[arg(long, default_value_t = 100_000)]
    streams: u64,
    /// Appends in a second while lag is measured
    #[arg(long, default_value_t = 10_000)]
    live_rate: u64,
    /// Appends in a second while a version is rebuilt
    #[arg(long, default_value_t = 5_000)]
    rebuild_rate: u64,
    /// Seconds that appends go on for where nothing else ends them
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The projection that is measured
    #[arg(long, default_value = "current_state")]
    projection: String,
    /// Ends after the first rebuild
    #[arg(long)]
    rebuild_only: bool,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("three digits are allowed")
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments = Arguments::parse();
    let parent = std::env::current_dir()?.join("target/measure");
    std::fs::create_dir_all(&parent)?;
    let folder = tempfile::tempdir_in(parent)?;
    let filled = Retold::open(folder.path()).await?;
    for batch in 0..arguments.events / BATCH {
        let events = (0..BATCH).map(|nth| event(batch * BATCH + nth, arguments.streams));
        filled.append(events.collect::<Outcome<Vec<_>>>()?).await?;
    }
    filled.close().await?;
    println!("| what | measured |\n|---|---|");

    let began = Instant::now();
    let builder = Retold::builder().builtin_machines().builtin_projections();
    let retold = builder.open(folder.path()).await?;
    let head = retold.store().head().await?.position;
    for name in retold.projection_names() {
        retold.projection(name).wait_through(head).await?;
    }
    told(
        "all three projections, built at once for the first time",
        arguments.events,
        began,
    );

    let projection = retold.projection(arguments.projection.clone());
    let name = &arguments.projection;
    let began = Instant::now();
    projection.rebuild(false).await?;
    rebuilt(&retold, name).await?;
    told(
        &format!("{name} rebuilt, nobody appends"),
        arguments.events,
        began,
    );

    if arguments.rebuild_only {
        return Ok(retold.close().await?);
    }

    let lag = live(&retold, &arguments).await?;
    spread(
        &format!(
            "{name}: recorded to readable, {} appends/s",
            arguments.live_rate
        ),
        &lag,
    );

    let seconds = Duration::from_secs(arguments.seconds);
    let wait = tokio::time::sleep(seconds);
    let (without, ()) = appending(&retold, arguments.rebuild_rate, wait).await?;
    spread(
        &format!("append, {}/s, no rebuild", arguments.rebuild_rate),
        &without,
    );
    let began = Instant::now();
    projection.rebuild(false).await?;
    let (with, done) = appending(&retold, arguments.rebuild_rate, rebuilt(&retold, name)).await?;
    done?;
    told(
        &format!("{name} rebuilt meanwhile"),
        retold.store().head().await?.position,
        began,
    );
    spread(
        &format!("append, {}/s, during the rebuild", arguments.rebuild_rate),
        &with,
    );
    #[expect(clippy::cast_precision_loss, reason = "a ratio, to be read by people")]
    let ratio = with.value_at_quantile(0.99) as f64 / without.value_at_quantile(0.99) as f64;
    println!("| p99 during the rebuild / without | {ratio:.2} |");
    retold.close().await?;
    Ok(())
}

fn told(what: &str, events: u64, began: Instant) {
    #[expect(clippy::cast_precision_loss, reason = "a rate, to be read by people")]
    let per_second = events as f64 / began.elapsed().as_secs_f64();
    println!("| {what} | {per_second:.0} events/s |");
}

fn spread(what: &str, times: &Histogram<u64>) {
    let at = |quantile| times.value_at_quantile(quantile);
    println!(
        "| {what} | p50 {} us, p99 {} us, max {} us |",
        at(0.5),
        at(0.99),
        times.max()
    );
}

fn event(number: u64, streams: u64) -> Outcome<NewEvent> {
    // Neighbours in the log are events of different streams, as in a service.
    let stream = number.wrapping_mul(7_919) % streams;
    let stream = StreamId::new("Account", stream.to_string())?;
    let payload = serde_json::json!({ "amount": number, "note": "for what it was" });
    Ok(NewEvent::new(stream, "account.credited", &payload)?.actor("somebody"))
}

/// Waits until a version that is being built is read.
async fn rebuilt(retold: &Retold, name: &str) -> Outcome<()> {
    let projection = retold.projection(name.to_owned());
    loop {
        let status = projection.status().await?;
        if status.version(VersionRole::Building).is_none() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Appends at a rate until something is over; how long each append took, in microseconds.
async fn appending<T>(
    retold: &Retold,
    rate: u64,
    over: impl Future<Output = T>,
) -> Outcome<(Histogram<u64>, T)> {
    let times = Arc::new(Mutex::new(microseconds()));
    let mut tasks = tokio::task::JoinSet::new();
    let every = Duration::from_nanos(1_000_000_000 * APPENDERS / rate);
    for nth in 0..APPENDERS {
        let (retold, times) = (retold.clone(), Arc::clone(&times));
        tasks.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            let mut number = nth;
            loop {
                // An append that is late is measured from when it was due.
                let due = ticks.tick().await;
                number += APPENDERS;
                let appended = retold.append(event(number, 10_000)?).await?;
                let took = due.elapsed();
                drop(appended);
                times
                    .lock()
                    .await
                    .saturating_record(u64::try_from(took.as_micros())?);
            }
            #[expect(unreachable_code, reason = "says what it fails with")]
            Outcome::Ok(())
        });
    }
    let output = over.await;
    tasks.abort_all();
    while let Some(ended) = tasks.join_next().await {
        if let Ok(failed) = ended {
            failed?;
        }
    }
    let times = times.lock().await.clone();
    Ok((times, output))
}

/// How long it takes from when an event is recorded to when a row tells of it.
async fn live(retold: &Retold, arguments: &Arguments) -> Outcome<Histogram<u64>> {
    let projection = retold.projection(arguments.projection.clone());
    let mut lag = microseconds();
    let seconds = Duration::from_secs(arguments.seconds);
    let sampling = async {
        let until = Instant::now() + seconds;
        while Instant::now() < until {
            let appended = retold.append(event(1, arguments.streams)?).await?;
            let recorded = Instant::now();
            projection.wait_through(appended.events[0].position).await?;
            lag.saturating_record(u64::try_from(recorded.elapsed().as_micros())?);
        }
        Outcome::Ok(())
    };
    let (_, sampled) = appending(retold, arguments.live_rate, sampling).await?;
    sampled?;
    Ok(lag)
}
