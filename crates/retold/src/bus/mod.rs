//! The event bus: handlers that are called for what was committed, by topic. It reads the log,
//! so nothing is published that is not kept, and a slow handler delays nobody but itself.

mod event;
mod pattern;
mod reader;
mod subscribing;
mod subscription;

pub use event::{BusEvent, BusMetadata};
pub use subscribing::{DurableSubscribing, Subscribing};
pub use subscription::{BusStatistics, BusSubscription};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;

use crate::consumer;
use subscription::{Running, Statistics, Stop};

/// The topics of the shipped types.
pub mod topics {
    /// Everything that happens to issues.
    pub const ISSUE_EVENTS: &str = "issue.events";

    /// Everything that happens to executions.
    pub const EXECUTION_EVENTS: &str = "execution.events";

    /// The topic of an aggregate type: its name in kebab case, and `.events`.
    ///
    /// ```
    /// assert_eq!(retold::topics::of("PurchaseOrder"), "purchase-order.events");
    /// ```
    pub fn of(aggregate_type: &str) -> String {
        format!("{}.events", super::event::kebab(aggregate_type))
    }
}

/// The subscriptions that run, by the number each was given.
type Subscriptions = Arc<Mutex<BTreeMap<u64, Running>>>;

/// The event bus of a handle: [`Retold::bus`](crate::Retold::bus).
///
/// Every event of the log is on it, except those of Retold's own streams. A transition appears as
/// `<kebab-case type>.state.changed`, any other event under its own type.
///
/// Delivery is in the order of the log, one event at a time for each subscription, from the
/// moment of subscribing, and only while the process runs: a handler that fails is not called
/// again with the same event. Who must not miss one makes the subscription
/// [durable](Subscribing::durable).
pub struct Bus {
    consumers: Arc<consumer::Registry>,
    subscriptions: Subscriptions,
    next_id: AtomicU64,
}

impl Bus {
    pub(crate) fn new(consumers: Arc<consumer::Registry>) -> Bus {
        Bus {
            consumers,
            subscriptions: Arc::default(),
            next_id: AtomicU64::new(0),
        }
    }

    /// Calls `handler` for every event on a topic that is committed from now on.
    ///
    /// In the topic, `*` stands for any run of characters: `*.events`, or `*` for everything.
    /// A handler that answers with an error, or panics, is logged and counted, and called for the
    /// next event all the same; other handlers do not notice.
    /// [`durable`](Subscribing::durable) makes the subscription a consumer, which loses nothing.
    ///
    /// The subscription goes on when the value returned is dropped. It ends with
    /// [`BusSubscription::unsubscribe`], with [`Retold::close`](crate::Retold::close), or with
    /// the last clone of the handle.
    ///
    /// ```
    /// use retold::{Retold, topics};
    ///
    /// # async fn example(retold: Retold) -> Result<(), retold::Error> {
    /// let bus = retold.bus();
    /// bus.subscribe(topics::ISSUE_EVENTS, |event| async move {
    ///     println!("{} {}", event.event_type, event.payload);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .durable("printer")
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) when the head of the log cannot be read.
    pub fn subscribe<H, F, E>(&self, topic: impl Into<String>, handler: H) -> Subscribing<'_, H>
    where
        // Said here too, so that a closure need not name what it is given.
        H: Fn(BusEvent) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        Subscribing::new(self, topic.into(), handler)
    }

    /// The sum over the subscriptions that run; `position` is that of the slowest.
    pub fn statistics(&self) -> BusStatistics {
        let subscriptions = lock(&self.subscriptions);
        let each = subscriptions.values().map(|s| s.statistics.read());
        each.reduce(BusStatistics::plus).unwrap_or_default()
    }

    /// Keeps a subscription that runs.
    fn add(
        &self,
        stop: Stop,
        task: JoinHandle<()>,
        statistics: Arc<Statistics>,
    ) -> BusSubscription {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let running = Running {
            stop,
            task,
            statistics: statistics.clone(),
        };
        lock(&self.subscriptions).insert(id, running);
        BusSubscription::new(id, Arc::downgrade(&self.subscriptions), statistics)
    }

    /// Ends all subscriptions.
    pub(crate) async fn stop(&self) {
        let running = std::mem::take(&mut *lock(&self.subscriptions));
        let stopping: Vec<_> = running.into_values().map(Running::stop).collect();
        futures::future::join_all(stopping).await;
    }
}

fn lock(
    subscriptions: &Mutex<BTreeMap<u64, Running>>,
) -> std::sync::MutexGuard<'_, BTreeMap<u64, Running>> {
    subscriptions.lock().unwrap_or_else(PoisonError::into_inner)
}
