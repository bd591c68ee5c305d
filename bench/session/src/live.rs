//! From publishing to receiving: one event at a time, while a subscriber waits at the head.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use measuring::Latencies;
use tokio::time::{sleep, timeout};

use crate::point::Figures;
use crate::target::{Subscriber, Target};
use crate::workload::Workload;

/// Between two events: long enough that the store is idle when the next one comes.
const PAUSE: Duration = Duration::from_millis(5);

/// How long an event may be under way before it counts as lost.
const LOST: Duration = Duration::from_secs(10);

/// Until a new subscriber waits at the head.
const SETTLING: Duration = Duration::from_millis(300);

/// Publishes for as long as asked; none where the store does not offer live reading.
pub(crate) async fn measure<T: Target>(
    target: &Arc<T>,
    workload: &mut Workload,
    lasting: Duration,
) -> anyhow::Result<Option<Figures>> {
    let Some(mut subscriber) = target.subscribe().await? else {
        return Ok(None);
    };
    sleep(SETTLING).await;
    let mut latencies = Latencies::default();
    let started = Instant::now();
    while started.elapsed() < lasting {
        let event = workload.one();
        let event_id = event[0].event_id;
        let call = target.prepare(event)?;
        let publisher = Arc::clone(target);
        let published = Instant::now();
        let publishing = tokio::spawn(async move { publisher.append(0, call).await });
        let received = async {
            while !subscriber.next().await?.contains(&event_id) {}
            anyhow::Ok(published.elapsed())
        };
        match timeout(LOST, received).await {
            Ok(latency) => latencies.record(latency?)?,
            Err(_) => bail!("receive an event within {LOST:?}"),
        }
        publishing.await.context("wait for the publisher")??;
        sleep(PAUSE).await;
    }
    Ok(Some(Figures {
        value: latencies.count() as f64 / started.elapsed().as_secs_f64(),
        p50_ns: Some(latencies.percentile(50.0).as_nanos() as u64),
        p99_ns: Some(latencies.percentile(99.0).as_nanos() as u64),
    }))
}
