//! How projections stand, as metrics: read when they are asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use retold::Retold;
use retold::projection::{ProjectionStatus, VersionStatus};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    projection: String,
    version: String,
    role: &'static str,
}

type Whole = Family<Name, Gauge>;
type Fraction = Family<Name, Gauge<f64, AtomicU64>>;
type Count = Family<Name, Counter>;
type Seconds = Family<Name, Counter<f64, AtomicU64>>;

/// What is told of each version of a projection.
#[derive(Default)]
struct Projections {
    position: Whole,
    lag_events: Whole,
    progress: Fraction,
    is_stopped: Whole,
    events: Count,
    batches: Count,
    batch_seconds: Seconds,
}

/// How all projections stand, for one scrape; one that cannot be read now is left out.
pub(super) async fn registry(retold: &Retold) -> Registry {
    let mut registry = Registry::with_prefix("retold");
    let told = Projections::register(&mut registry);
    for name in retold.projection_names() {
        if let Ok(status) = retold.projection(name).status().await {
            for version in &status.versions {
                told.tell(&status, version);
            }
        }
    }
    registry
}

impl Projections {
    fn register(registry: &mut Registry) -> Projections {
        let told = Projections::default();
        let mut whole = |name: &str, help: &str, family: &Whole| {
            registry.register(name, help, Family::clone(family));
        };
        whole(
            "projection_position",
            "Everything at or before it is in the rows",
            &told.position,
        );
        whole(
            "projection_lag_events",
            "Places of the log behind the position",
            &told.lag_events,
        );
        whole(
            "projection_stopped",
            "1 where it is paused, has failed, or tries again after a failure",
            &told.is_stopped,
        );
        registry.register(
            "projection_progress_ratio",
            "The part of the log that is in the rows: how far a rebuild is",
            Family::clone(&told.progress),
        );
        let mut count = |name: &str, help: &str, family: &Count| {
            registry.register(name, help, Family::clone(family));
        };
        count("projection_events", "Events applied", &told.events);
        count("projection_batches", "Batches applied", &told.batches);
        registry.register(
            "projection_batch_seconds",
            "How long the batches took together",
            Family::clone(&told.batch_seconds),
        );
        told
    }

    fn tell(&self, status: &ProjectionStatus, version: &VersionStatus) {
        let name = Name {
            projection: status.name.to_string(),
            version: version.version.to_string(),
            role: version.role.name(),
        };
        let whole = |family: &Whole, value: u64| super::set(&family.get_or_create(&name), value);
        whole(&self.position, version.complete_through);
        let lag = status.head.saturating_sub(version.complete_through);
        whole(&self.lag_events, lag);
        let is_stopped = ["paused", "failed", "waiting"].contains(&version.state.name());
        whole(&self.is_stopped, u64::from(is_stopped));
        let ratio = match status.head {
            0 => 1.0,
            head => version.complete_through as f64 / head as f64,
        };
        self.progress.get_or_create(&name).set(ratio);
        let count = |family: &Count, value| {
            let counter = family.get_or_create(&name);
            counter.inner().store(value, Ordering::Relaxed);
        };
        count(&self.events, version.events);
        count(&self.batches, version.batches);
        let seconds = self.batch_seconds.get_or_create(&name);
        seconds.inner().store(
            version.batch_time.as_secs_f64().to_bits(),
            Ordering::Relaxed,
        );
    }
}
