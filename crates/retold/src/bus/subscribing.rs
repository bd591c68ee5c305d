//! A subscription that is being made: one that hears what happens while it runs, or a consumer
//! under a name.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{Filter, Subscription, Text};

use super::pattern::Pattern;
use super::reader::Reader;
use super::subscription::{BusSubscription, Statistics, Stop};
use super::{Bus, BusEvent};
use crate::Error;
use crate::consumer::{ConsumerSettings, ConsumerStart};

/// A subscription to a topic: [`Bus::subscribe`]. Awaiting it makes it.
#[must_use = "it is made when it is awaited"]
pub struct Subscribing<'a, H> {
    bus: &'a Bus,
    topic: String,
    handler: H,
}

/// The same that is to be a consumer: [`Subscribing::durable`]. Awaiting it makes it.
#[must_use = "it is made when it is awaited"]
pub struct DurableSubscribing<'a, H> {
    subscribing: Subscribing<'a, H>,
    name: Text,
    settings: ConsumerSettings,
}

impl<'a, H> Subscribing<'a, H> {
    pub(super) fn new(bus: &'a Bus, topic: String, handler: H) -> Subscribing<'a, H> {
        Subscribing {
            bus,
            topic,
            handler,
        }
    }

    /// Makes it a [consumer](crate::consumer) of this name, which goes on where it was when the
    /// process comes back, and calls the handler again for an event that it failed on. It is given
    /// every event; those that are not on the topic are passed over. A new one begins with what is
    /// committed from now on.
    pub fn durable(self, name: impl Into<Text>) -> DurableSubscribing<'a, H> {
        let settings = ConsumerSettings {
            start: ConsumerStart::Now,
            ..ConsumerSettings::default()
        };
        DurableSubscribing {
            subscribing: self,
            name: name.into(),
            settings,
        }
    }
}

impl<H> DurableSubscribing<'_, H> {
    /// Where a new one begins, how many streams it handles side by side, and how patient it is.
    pub fn settings(mut self, settings: ConsumerSettings) -> Self {
        self.settings = settings;
        self
    }
}

impl<'a, H, F, E> IntoFuture for Subscribing<'a, H>
where
    H: Fn(BusEvent) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    type Output = Result<BusSubscription, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Subscribing {
            bus,
            topic,
            handler,
        } = self;
        async move {
            let store = &bus.consumers.stores.store;
            let head = store.head().await?.position;
            let statistics = Arc::new(Statistics::at(head));
            let (stop, stopped) = tokio::sync::watch::channel(());
            let reader = Reader {
                events: Subscription::new(store.clone(), head, Filter::default()),
                pattern: Pattern::new(topic),
                statistics: statistics.clone(),
                stopped,
            };
            let task = tokio::spawn(reader.run(handler));
            Ok(bus.add(Stop::Reader(stop), task, statistics))
        }
        .boxed()
    }
}

impl<'a, H, F, E> IntoFuture for DurableSubscribing<'a, H>
where
    H: Fn(BusEvent) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    type Output = Result<BusSubscription, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let DurableSubscribing {
            subscribing,
            name,
            settings,
        } = self;
        let Subscribing {
            bus,
            topic,
            handler,
        } = subscribing;
        async move {
            let consumers = &bus.consumers;
            let consumer = consumers.open_consumer(&name, Some(settings)).await?;
            let statistics = Arc::new(Statistics::of(consumer.clone()));
            let (counted, handler) = (statistics.clone(), Arc::new(handler));
            let pattern = Arc::new(Pattern::new(topic));
            let running = async move {
                let on_topic = move |event| {
                    let (counted, handler) = (counted.clone(), handler.clone());
                    let pattern = pattern.clone();
                    async move {
                        let event = BusEvent::new(event).map_err(|error| error.to_string())?;
                        if !pattern.admits(&event.topic) {
                            return Ok(());
                        }
                        let handled = handler(event).await.map_err(|error| error.to_string());
                        match &handled {
                            Ok(()) => counted.delivered(),
                            Err(error) => counted.failed(error.clone()),
                        }
                        handled
                    }
                };
                consumer.run(on_topic).await;
            };
            let stop = Stop::Consumer(consumers.clone(), name);
            Ok(bus.add(stop, tokio::spawn(running), statistics))
        }
        .boxed()
    }
}
