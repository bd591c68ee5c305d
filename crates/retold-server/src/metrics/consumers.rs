//! How consumers stand, as metrics: read when they are asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use retold::consumer::ConsumerStatus;
use retold::{Retold, Timestamp};

use crate::api::lag_seconds;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    consumer: String,
}

type Whole = Family<Name, Gauge>;
type Seconds = Family<Name, Gauge<f64, AtomicU64>>;
type Count = Family<Name, Counter>;

/// What is told of each consumer.
#[derive(Default)]
struct Consumers {
    position: Whole,
    lag_events: Whole,
    lag_seconds: Seconds,
    in_flight: Whole,
    waiting: Whole,
    parked: Whole,
    oldest_parked: Seconds,
    is_stopped: Whole,
    delivered: Count,
    retries: Count,
}

/// How all consumers stand, for one scrape; one that cannot be read now is left out.
pub(super) async fn registry(retold: &Retold) -> Registry {
    let mut registry = Registry::with_prefix("retold");
    let told = Consumers::register(&mut registry);
    for name in retold.consumer_names().await.unwrap_or_default() {
        if let Ok(status) = retold.consumer_status(name).await {
            told.tell(&status);
        }
    }
    registry
}

impl Consumers {
    fn register(registry: &mut Registry) -> Consumers {
        let told = Consumers::default();
        let mut whole = |name: &str, help: &str, family: &Whole| {
            registry.register(name, help, Family::clone(family));
        };
        whole(
            "consumer_position",
            "Everything at or before it is finished, but for streams that wait",
            &told.position,
        );
        whole(
            "consumer_lag_events",
            "Places of the log behind the position",
            &told.lag_events,
        );
        whole(
            "consumer_in_flight",
            "Deliveries under way",
            &told.in_flight,
        );
        whole(
            "consumer_waiting_streams",
            "Streams behind the position: tried again, parked, or catching up",
            &told.waiting,
        );
        whole(
            "consumer_parked_streams",
            "Streams whose event is parked",
            &told.parked,
        );
        whole(
            "consumer_stopped",
            "1 where it is paused, holds as a whole, or does not go on",
            &told.is_stopped,
        );
        let mut seconds = |name: &str, help: &str, family: &Seconds| {
            registry.register(name, help, Family::clone(family));
        };
        seconds(
            "consumer_lag_seconds",
            "Since the first event behind the position was recorded",
            &told.lag_seconds,
        );
        seconds(
            "consumer_oldest_parked_seconds",
            "Since the oldest parked event was last tried",
            &told.oldest_parked,
        );
        let mut count = |name: &str, help: &str, family: &Count| {
            registry.register(name, help, Family::clone(family));
        };
        count(
            "consumer_delivered",
            "Deliveries, repeated ones counted",
            &told.delivered,
        );
        count(
            "consumer_failed",
            "Deliveries that failed, and are repeated or parked",
            &told.retries,
        );
        told
    }

    fn tell(&self, status: &ConsumerStatus) {
        let name = Name {
            consumer: status.name.to_string(),
        };
        let whole = |family: &Whole, value: u64| super::set(&family.get_or_create(&name), value);
        whole(&self.position, status.position);
        let lag = status.head.saturating_sub(status.position);
        whole(&self.lag_events, lag);
        whole(&self.in_flight, status.in_flight as u64);
        whole(&self.waiting, status.waiting_streams as u64);
        whole(&self.parked, status.parked_streams as u64);
        let is_stopped = status.paused.is_some() || status.held.is_some() || status.ended.is_some();
        whole(&self.is_stopped, u64::from(is_stopped));
        let seconds = self.lag_seconds.get_or_create(&name);
        seconds.set(lag_seconds(status));
        drop(seconds);
        let oldest = status.oldest_parked_at.map_or(0, |at| {
            Timestamp::now().as_micros().saturating_sub(at.as_micros())
        });
        let parked = self.oldest_parked.get_or_create(&name);
        parked.set(oldest.max(0) as f64 / 1e6);
        drop(parked);
        let count = |family: &Count, value| {
            let counter = family.get_or_create(&name);
            counter.inner().store(value, Ordering::Relaxed);
        };
        count(&self.delivered, status.delivered);
        count(&self.retries, status.failed);
    }
}
