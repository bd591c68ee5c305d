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
/// memory, and once more for the clock.
pub(crate) async fn log<T: Target>(
    target: &T,
    workload: &Workload,
    lasting: Duration,
) -> anyhow::Result<Option<Figures>> {
    if read_log(target, workload, lasting).await?.is_none() {
        return Ok(None);
    }
    read_log(target, workload, lasting).await
}

async fn read_log<T: Target>(
    target: &T,
    workload: &Workload,
    lasting: Duration,
) -> anyhow::Result<Option<Figures>> {
    let started = Instant::now();
    let mut log = Log {
        read: 0,
        wanted: workload.events(),
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
    Ok(Some(Figures {
        value: log.read as f64 / took.as_secs_f64(),
        ..Figures::default()
    }))
}
