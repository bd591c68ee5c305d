//! Durable appends by many at once. Calls are made before the clock runs, in stints; the clock
//! of a stint runs from its first call to the end of its last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use measuring::Latencies;
use tokio::task::JoinSet;

use crate::point::Figures;
use crate::target::Target;
use crate::workload::Workload;

/// Calls of each appender in the first stint, which warms up and is not counted.
const WARMING_CALLS: usize = 8;

/// Events of a stint at most. What is made ahead is cold when its turn comes, as no caller's own
/// event would be: few enough that most of it is still in the processor's cache.
const STINT_EVENTS: usize = 20_000;

/// Lets so many append calls of so many events for about as long as asked.
pub(crate) async fn measure<T: Target>(
    target: &Arc<T>,
    workload: &mut Workload,
    appenders: usize,
    events: usize,
    lasting: Duration,
) -> anyhow::Result<Figures> {
    let mut latencies = Latencies::default();
    let calls = workload.calls(appenders, WARMING_CALLS, events);
    let mut took = stint(target, calls, &mut latencies).await?;
    let mut rate = WARMING_CALLS as f64 / took.as_secs_f64();
    latencies = Latencies::default();
    let (mut lasted, mut counted) = (Duration::ZERO, 0);
    while lasted < lasting {
        let left = (lasting - lasted).as_secs_f64();
        let calls_max = STINT_EVENTS / events / appenders;
        let calls_each = ((rate * left).ceil() as usize).clamp(1, calls_max.max(1));
        let calls = workload.calls(appenders, calls_each, events);
        took = stint(target, calls, &mut latencies).await?;
        rate = calls_each as f64 / took.as_secs_f64();
        counted += calls_each * appenders * events;
        lasted += took;
    }
    Ok(Figures {
        value: counted as f64 / lasted.as_secs_f64(),
        p50_ns: Some(latencies.percentile(50.0).as_nanos() as u64),
        p99_ns: Some(latencies.percentile(99.0).as_nanos() as u64),
    })
}

/// Makes the calls, and says how long that took.
async fn stint<T: Target>(
    target: &Arc<T>,
    calls: Vec<VecDeque<Vec<crate::Event>>>,
    latencies: &mut Latencies,
) -> anyhow::Result<Duration> {
    let mut prepared = Vec::with_capacity(calls.len());
    for calls in calls {
        let calls = calls.into_iter().map(|events| target.prepare(events));
        prepared.push(calls.collect::<anyhow::Result<Vec<_>>>()?);
    }
    let started = Instant::now();
    let mut running = JoinSet::new();
    for (appender, calls) in prepared.into_iter().enumerate() {
        let target = Arc::clone(target);
        running.spawn(async move {
            let mut latencies = Latencies::default();
            for call in calls {
                let asked = Instant::now();
                target.append(appender, call).await?;
                latencies.record(asked.elapsed())?;
            }
            anyhow::Ok(latencies)
        });
    }
    let mut ended = started;
    while let Some(appender) = running.join_next().await {
        ended = Instant::now();
        latencies.add(&appender.context("wait for an appender")??)?;
    }
    Ok(ended - started)
}
