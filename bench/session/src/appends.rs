//! Durable appends by many at once. Calls are made before the clock runs, in stints; the clock
//! of a stint runs from its first call to the end of its last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use measuring::Latencies;
use tokio::task::JoinSet;

use crate::event::{BATCH, Event};
use crate::point::Figures;
use crate::target::Target;
use crate::workload::Workload;

/// Calls of each appender in the first stint, which warms up and is not counted.
const WARMING_CALLS: usize = 8;

/// Events of a stint at most. What is made ahead is cold when its turn comes, as no caller's own
/// event would be: few enough that most of it is still in the processor's cache.
const STINT_EVENTS: usize = 20_000;

/// Events of a stint of bulk appends: a file that somebody loads.
const BULK_STINT_EVENTS: usize = 100_000;

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

/// Lets so many append batches without a pause, for about as long as asked.
pub(crate) async fn bulk<T: Target>(
    target: &Arc<T>,
    workload: &mut Workload,
    appenders: usize,
    lasting: Duration,
) -> anyhow::Result<Figures> {
    let (mut lasted, mut counted) = (Duration::ZERO, 0);
    let calls_each = BULK_STINT_EVENTS / BATCH / appenders;
    while lasted < lasting {
        let calls = workload.calls(appenders, calls_each, BATCH);
        let calls = prepare(calls, |events| target.prepare_bulk(events))?;
        let append =
            |target: Arc<T>, appender, calls| async move { target.bulk(appender, calls).await };
        lasted += at_once(target, calls, append, |()| Ok(())).await?;
        counted += calls_each * appenders * BATCH;
    }
    Ok(Figures {
        value: counted as f64 / lasted.as_secs_f64(),
        ..Figures::default()
    })
}

/// Makes the calls one after the other, and says how long that took.
async fn stint<T: Target>(
    target: &Arc<T>,
    calls: Vec<VecDeque<Vec<Event>>>,
    latencies: &mut Latencies,
) -> anyhow::Result<Duration> {
    let calls = prepare(calls, |events| target.prepare(events))?;
    let append = |target: Arc<T>, appender, calls| async move {
        let mut latencies = Latencies::default();
        for call in calls {
            let asked = Instant::now();
            target.append(appender, call).await?;
            latencies.record(asked.elapsed())?;
        }
        Ok(latencies)
    };
    at_once(target, calls, append, |of_one| latencies.add(&of_one)).await
}

fn prepare<C>(
    calls: Vec<VecDeque<Vec<Event>>>,
    prepare: impl Fn(Vec<Event>) -> anyhow::Result<C>,
) -> anyhow::Result<Vec<Vec<C>>> {
    let calls = calls.into_iter();
    calls
        .map(|calls| calls.into_iter().map(&prepare).collect())
        .collect()
}

/// Lets each appender make its calls, and says how long it took until the last had ended.
async fn at_once<T, F, R>(
    target: &Arc<T>,
    calls: Vec<Vec<T::Call>>,
    append: impl Fn(Arc<T>, usize, Vec<T::Call>) -> F,
    mut collect: impl FnMut(R) -> anyhow::Result<()>,
) -> anyhow::Result<Duration>
where
    T: Target,
    F: Future<Output = anyhow::Result<R>> + Send + 'static,
    R: Send + 'static,
{
    let started = Instant::now();
    let mut running = JoinSet::new();
    for (appender, calls) in calls.into_iter().enumerate() {
        running.spawn(append(Arc::clone(target), appender, calls));
    }
    let mut ended = started;
    while let Some(appender) = running.join_next().await {
        ended = Instant::now();
        collect(appender.context("wait for an appender")??)?;
    }
    Ok(ended - started)
}
