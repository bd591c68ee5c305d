//! Webhooks: each event of a consumer posted to an address, signed as Standard Webhooks says.
//! What must not be lost (where it is, what failed, what is parked) is the consumer's; here is
//! only what sends.

mod history;
mod message;
mod secrets;
mod sender;
mod settings;
mod target;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use retold::consumer::{Consumer, Delivery, Rejection};
use retold::{RecordedEvent, Retold, StoreError};
use tokio::sync::watch;

use self::history::History;
pub(crate) use self::history::Sent;
use self::message::{Attempt, Message};
use self::secrets::Secrets;
use self::sender::{Answered, Sender};
pub(crate) use self::settings::WebhookSettings;
pub use self::settings::is_secret_id;

/// The pause before a consumer that could not be opened is opened again.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// How webhooks are sent.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WebhookOptions {
    /// The folder of the secrets that messages are signed with: a file each, named by its id. Those
    /// in the environment are found without it.
    pub secrets: Option<PathBuf>,
    /// Sends also to addresses that only this machine, or its own network, can reach.
    pub allow_private: bool,
}

/// What sends webhooks. Clones share it.
#[derive(Clone)]
pub(crate) struct Webhooks {
    inner: Arc<Inner>,
}

struct Inner {
    retold: Retold,
    secrets: Secrets,
    sender: Sender,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Set once events are to be sent: a command that opens a store for a moment sends none.
    stopping: Option<watch::Receiver<bool>>,
    /// For which consumers a task sends, and whether it is to look again before it ends.
    senders: HashMap<String, bool>,
    histories: HashMap<String, History>,
}

impl Webhooks {
    pub(crate) fn new(retold: Retold, options: &WebhookOptions) -> Webhooks {
        Webhooks {
            inner: Arc::new(Inner {
                retold,
                secrets: Secrets::new(options.secrets.clone()),
                sender: Sender::new(options.allow_private),
                state: Mutex::default(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what consumers with a webhook are given, until `stopping` says so.
    pub(crate) fn begin(&self, stopping: watch::Receiver<bool>) {
        self.state().stopping = Some(stopping.clone());
        tokio::spawn(self.clone().begin_all(stopping));
    }

    /// A log of which a part cannot be read is served all the same; this tries again.
    async fn begin_all(self, stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            match self.inner.retold.consumer_names().await {
                Ok(names) => return names.iter().for_each(|name| self.look_at(name)),
                Err(error) => {
                    tracing::warn!(%error, "failed to find the consumers that have webhooks");
                    pause(&stopping).await;
                }
            }
        }
    }

    /// Sees to it that a consumer with a webhook is sent what it is given: to be called when one
    /// was made or changed.
    pub(crate) fn look_at(&self, name: &str) {
        let mut state = self.state();
        let Some(stopping) = state
            .stopping
            .clone()
            .filter(|stopping| !*stopping.borrow())
        else {
            return;
        };
        if let Some(looks_again) = state.senders.get_mut(name) {
            *looks_again = true;
            return;
        }
        state.senders.insert(name.to_owned(), false);
        tokio::spawn(self.clone().send_all(name.to_owned(), stopping));
    }

    /// Whether the task of a consumer for which there is nothing to send may end.
    fn may_end(&self, name: &str) -> bool {
        let mut state = self.state();
        let looks_again = state.senders.get_mut(name).is_some_and(std::mem::take);
        if !looks_again {
            state.senders.remove(name);
        }
        !looks_again
    }

    /// Forgets what was sent for a consumer that is gone.
    pub(crate) fn forget(&self, name: &str) {
        self.state().histories.remove(name);
    }

    /// What was sent last for a consumer, newest first.
    pub(crate) fn history(&self, name: &str) -> Vec<Sent> {
        let state = self.state();
        let history = state.histories.get(name);
        history.map(History::newest_first).unwrap_or_default()
    }

    /// Sends for one consumer as long as it exists and has a webhook: it ends and begins anew
    /// each time that it is given other settings.
    async fn send_all(self, name: String, stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            let opened = self.inner.retold.existing_consumer(name.clone()).await;
            let is_gone = matches!(
                opened,
                Err(retold::Error::Store(StoreError::NotFound { .. }))
            );
            let is_sent = match opened {
                Ok(consumer) => self.send_as_settings_say(&consumer).await,
                Err(_) if is_gone => false,
                Err(error) => {
                    tracing::warn!(consumer = name, %error, "failed to open a consumer");
                    pause(&stopping).await;
                    true
                }
            };
            if !is_sent && self.may_end(&name) {
                return;
            }
        }
    }

    /// Sends until the consumer ends or is given other settings; false where it has no webhook.
    async fn send_as_settings_say(&self, consumer: &Consumer) -> bool {
        let settings = match consumer.settings().webhook.as_ref() {
            Some(settings) => WebhookSettings::read(settings),
            None => return false,
        };
        let settings = match settings {
            Ok(settings) => Arc::new(settings),
            Err(problem) => {
                let (consumer, reason) = (consumer.name(), problem.detail());
                tracing::warn!(consumer, reason, "a webhook cannot be sent");
                return false;
            }
        };
        let (webhooks, to_pause) = (self.clone(), consumer.clone());
        let handler = move |delivery| {
            let (webhooks, consumer) = (webhooks.clone(), to_pause.clone());
            let settings = Arc::clone(&settings);
            async move { webhooks.deliver(&consumer, &settings, &delivery).await }
        };
        consumer.run_deliveries(handler).await;
        true
    }

    async fn deliver(
        &self,
        consumer: &Consumer,
        settings: &WebhookSettings,
        delivery: &Delivery,
    ) -> Result<(), Rejection> {
        let name = consumer.name();
        let attempt = Attempt {
            event: &delivery.event,
            number: delivery.attempt,
            fence: delivery.fence,
            is_test: false,
        };
        let sent = self.send(name, settings, &attempt).await;
        let answered = sent.map_err(Rejection::from)?;
        if answered.is_gone() {
            // The receiver wants nothing more, until somebody has looked.
            let reason = "the receiver answered 410 Gone";
            if let Err(error) = consumer.pause(reason).await {
                tracing::warn!(consumer = name, %error, "failed to pause a consumer");
            }
        }
        answered.verdict()
    }

    /// Sends one event to the receiver of a consumer, by way of trial: nothing is noted of it
    /// but that it was sent.
    ///
    /// # Errors
    /// Why it could not be sent.
    pub(crate) async fn try_out(
        &self,
        name: &str,
        settings: &WebhookSettings,
        event: &RecordedEvent,
    ) -> Result<Answered, String> {
        let attempt = Attempt {
            event,
            number: 1,
            fence: 0,
            is_test: true,
        };
        self.send(name, settings, &attempt).await
    }

    async fn send(
        &self,
        name: &str,
        settings: &WebhookSettings,
        attempt: &Attempt<'_>,
    ) -> Result<Answered, String> {
        let began = std::time::Instant::now();
        let sent_at = retold::Timestamp::now();
        let sending = async {
            let secrets = self.inner.secrets.get(&settings.secret).await?;
            let message = Message::of(name, settings, attempt);
            let headers = message.headers(&secrets, sent_at);
            self.inner
                .sender
                .send(settings, headers, message.body)
                .await
        };
        let answered = sending.await;
        let mut state = self.state();
        let history = state.histories.entry(name.to_owned()).or_default();
        history.note(Sent {
            sent_at,
            event_id: attempt.event.metadata.event_id,
            position: attempt.event.position,
            attempt: attempt.number,
            is_test: attempt.is_test,
            status: answered.as_ref().ok().map(|answered| answered.status),
            error: match &answered {
                Ok(answered) => answered.verdict().err().map(|no| no.error.to_string()),
                Err(error) => Some(error.clone()),
            },
            latency_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        answered
    }
}

/// Waits a while, unless the service stops.
async fn pause(stopping: &watch::Receiver<bool>) {
    let mut stopping = stopping.clone();
    let stops = stopping.wait_for(|stopping| *stopping);
    // Either way the caller looks again.
    let _ = tokio::time::timeout(TROUBLE_PAUSE, stops).await;
}
