//! A subscription as its owner holds it: ending it, and how it fares.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use retold_core::{Position, Text};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Subscriptions, lock};
use crate::consumer::{self, Consumer};

/// How long a subscription that ends waits for its handler: as long as a request may well take,
/// and no longer than a person waits for a program to end.
const HANDLER_WAIT: Duration = Duration::from_secs(10);

/// How a subscription fares, or all of them together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BusStatistics {
    /// Events that the handler answered well.
    pub delivered: u64,
    /// Events that it answered with an error or a panic, and events that were lost to damage.
    pub failed: u64,
    /// Everything at or before this position has been handled, or is not on the topic; of a durable
    /// subscription but for the streams whose event failed.
    pub position: Position,
    /// The last error, where there was one.
    pub last_error: Option<String>,
}

impl BusStatistics {
    pub(super) fn plus(self, other: BusStatistics) -> BusStatistics {
        BusStatistics {
            delivered: self.delivered + other.delivered,
            failed: self.failed + other.failed,
            position: self.position.min(other.position),
            last_error: other.last_error.or(self.last_error),
        }
    }
}

/// A subscription of the bus: [`Bus::subscribe`](super::Bus::subscribe). Dropping it changes
/// nothing; the subscription goes on.
pub struct BusSubscription {
    id: u64,
    bus: Weak<Mutex<std::collections::BTreeMap<u64, Running>>>,
    statistics: Arc<Statistics>,
}

impl BusSubscription {
    pub(super) fn new(
        id: u64,
        bus: Weak<Mutex<std::collections::BTreeMap<u64, Running>>>,
        statistics: Arc<Statistics>,
    ) -> BusSubscription {
        BusSubscription {
            id,
            bus,
            statistics,
        }
    }

    /// Ends the subscription; when it returns, the handler runs for the last time or not at all.
    /// A handler that is running is waited for, up to ten seconds, unless it is the caller; that of
    /// a durable one up to five, also where it is. A durable one goes on where it was when it is
    /// subscribed again.
    pub async fn unsubscribe(&self) {
        let bus: Option<Subscriptions> = self.bus.upgrade();
        let running = bus.and_then(|bus| lock(&bus).remove(&self.id));
        if let Some(running) = running {
            running.stop().await;
        }
    }

    /// How it fares.
    pub fn statistics(&self) -> BusStatistics {
        self.statistics.read()
    }
}

/// What the bus keeps of a subscription.
pub(super) struct Running {
    pub(super) stop: Stop,
    pub(super) task: JoinHandle<()>,
    pub(super) statistics: Arc<Statistics>,
}

/// What ends the task of a subscription.
pub(super) enum Stop {
    /// Dropped to end it.
    Reader(watch::Sender<()>),
    /// Ended in the registry.
    Consumer(Arc<consumer::Registry>, Text),
}

impl Running {
    pub(super) async fn stop(self) {
        match self.stop {
            Stop::Reader(stop) => drop(stop),
            Stop::Consumer(consumers, name) => consumers.close(&name).await,
        }
        if tokio::task::try_id() == Some(self.task.id()) {
            // The handler itself asks: it cannot wait for its own end.
            return;
        }
        let abort = self.task.abort_handle();
        if tokio::time::timeout(HANDLER_WAIT, self.task).await.is_err() {
            tracing::warn!("stopping a handler of the bus that did not finish in time");
            abort.abort();
        }
    }
}

/// Statistics that a task writes and others read.
pub(super) struct Statistics {
    counted: Mutex<BusStatistics>,
    /// Says where a durable subscription is.
    consumer: Option<Consumer>,
}

impl Statistics {
    pub(super) fn at(position: Position) -> Statistics {
        Statistics {
            counted: Mutex::new(BusStatistics {
                position,
                ..BusStatistics::default()
            }),
            consumer: None,
        }
    }

    /// Of a durable subscription.
    pub(super) fn of(consumer: Consumer) -> Statistics {
        Statistics {
            consumer: Some(consumer),
            ..Statistics::at(0)
        }
    }

    pub(super) fn read(&self) -> BusStatistics {
        if let Some(consumer) = &self.consumer {
            self.reached(consumer.position());
        }
        self.with(|statistics| statistics.clone())
    }

    pub(super) fn delivered(&self) {
        self.with(|statistics| statistics.delivered += 1);
    }

    pub(super) fn failed(&self, error: String) {
        self.with(|statistics| {
            statistics.failed += 1;
            statistics.last_error = Some(error);
        });
    }

    pub(super) fn note_error(&self, error: String) {
        self.with(|statistics| statistics.last_error = Some(error));
    }

    pub(super) fn reached(&self, position: Position) {
        self.with(|statistics| statistics.position = position);
    }

    fn with<T>(&self, work: impl FnOnce(&mut BusStatistics) -> T) -> T {
        let counted = self.counted.lock();
        work(&mut counted.unwrap_or_else(PoisonError::into_inner))
    }
}
