//! Reading a stream, and the log.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::point::Figures;
use crate::target::{Log, Target};
use crate::workload::Workload;

/// Times that a stream is read while it is warm; the middle one counts.
const READS: usize = 5;

/// Reads the stream of an aggregate; none where the store does not offer it.
pub(crate) async fn stream<T: Target>(
    target: &T,
    workload: &Workload,
    aggregate: usize,
    cold: bool,
) -> anyhow::Result<Option<Figures>> {
    let expected = workload.head(aggregate);
    let mut rates = Vec::new();
    for _ in 0..if cold { 1 } else { READS } {
        let started = Instant::now();
        let Some(events) = target.read_stream(aggregate).await? else {
            return Ok(None);
        };
        let took = started.elapsed().as_secs_f64();
        ensure!(events == expected, "read {expected} events: {events} came");
        rates.push(events as f64 / took);
    }
    rates.sort_by(f64::total_cmp);
    Ok(Some(Figures {
        value: rates[rates.len() / 2],
        ..Figures::default()
    }))
}

/// Reads the log from its beginning, to its end or for as long as asked: once so that it is in
/// memory, and that part once more for the clock.
pub(crate) async fn log<T: Target>(
    target: &T,
    workload: &Workload,
    lasting: Duration,
) -> anyhow::Result<Option<Figures>> {
    let Some((in_memory, _)) = read_log(target, workload.events(), lasting).await? else {
        return Ok(None);
    };
    let read = read_log(target, in_memory, lasting).await?;
    Ok(read.map(|(events, took)| Figures {
        value: events as f64 / took.as_secs_f64(),
        ..Figures::default()
    }))
}

/// Reads so many events of the log; how many came in the time given, and how long that took.
async fn read_log<T: Target>(
    target: &T,
    wanted: u64,
    lasting: Duration,
) -> anyhow::Result<Option<(u64, Duration)>> {
    let started = Instant::now();
    let mut log = Log {
        read: 0,
        wanted,
        until: started + lasting,
    };
    if !target.read_log(&mut log).await? {
        return Ok(None);
    }
    let took = started.elapsed();
    ensure!(
        log.read >= log.wanted || took >= lasting,
        "read {} events of the log: {} came",
        log.wanted,
        log.read
    );
    Ok(Some((log.read, took)))
}
