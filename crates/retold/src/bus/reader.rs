//! The task of one subscription: reads the log and calls the handler, whatever comes.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use retold_core::{Entry, RecordedEvent, Subscription};
use tokio::sync::watch;

use super::BusEvent;
use super::pattern::Pattern;
use super::subscription::Statistics;
use crate::error::panic_text;

/// The pause after the log could not be read: short, as most reasons pass …
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// … doubled each time up to this, as some do not, and each try is a line in the program's log.
const PAUSE_MAX: Duration = Duration::from_secs(30);

pub(super) struct Reader {
    pub(super) events: Subscription,
    pub(super) pattern: Pattern,
    pub(super) statistics: Arc<Statistics>,
    /// Changes, or loses its sender, when the subscription is to end.
    pub(super) stopped: watch::Receiver<()>,
}

impl Reader {
    /// Runs until it is stopped; a handler in progress is finished first.
    pub(super) async fn run<H, F, E>(mut self, handler: H)
    where
        H: Fn(BusEvent) -> F,
        F: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        let mut pause = PAUSE_MIN;
        loop {
            let batch = tokio::select! {
                biased;
                _ = self.stopped.changed() => return,
                batch = self.events.next() => batch,
            };
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    let topic = self.pattern.as_str();
                    tracing::warn!(topic, %error, "failed to read the log for the bus; trying again");
                    self.statistics.note_error(error.to_string());
                    tokio::select! {
                        _ = self.stopped.changed() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                    continue;
                }
            };
            pause = PAUSE_MIN;
            for entry in batch.entries {
                if self.stopped.has_changed().is_err() {
                    return;
                }
                let position = entry.position();
                match entry {
                    Entry::Event(event) => self.deliver(event, &handler).await,
                    Entry::Lost(_) => {
                        let error = format!("the event at position {position} was lost to damage");
                        self.failed(position, error);
                    }
                }
                self.statistics.reached(position);
            }
            self.statistics.reached(batch.complete_through);
        }
    }

    async fn deliver<H, F, E>(&self, event: RecordedEvent, handler: &H)
    where
        H: Fn(BusEvent) -> F,
        F: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        let position = event.position;
        let event = match BusEvent::new(event) {
            Ok(event) => event,
            Err(error) => return self.failed(position, error.to_string()),
        };
        if !self.pattern.admits(&event.topic) {
            return;
        }
        // The handler is called inside, so that a panic before its first await is caught too.
        // What it leaves half done is its own; nothing of the bus is shared with it.
        let called = AssertUnwindSafe(async { handler(event).await });
        match called.catch_unwind().await {
            Ok(Ok(())) => self.statistics.delivered(),
            Ok(Err(error)) => self.failed(position, error.to_string()),
            Err(panic) => self.failed(position, format!("panicked: {}", panic_text(&*panic))),
        }
    }

    fn failed(&self, position: u64, error: String) {
        let topic = self.pattern.as_str();
        tracing::warn!(
            topic,
            position,
            error,
            "failed to handle an event of the bus"
        );
        self.statistics.failed(error);
    }
}
