//! What the tests share: events, a consumer that is quick to try again, and waiting for something.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use retold::consumer::{Consumer, ConsumerSettings};
use retold::{NewEvent, Retold, StreamId};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn stream(id: impl ToString) -> StreamId {
    StreamId::new("Order", id.to_string()).unwrap()
}

pub(crate) async fn append(retold: &Retold, id: impl ToString, count: usize) {
    for nth in 0..count {
        let event = NewEvent::new(stream(id.to_string()), "order.changed", &nth).unwrap();
        retold.append(event).await.unwrap();
    }
}

pub(crate) fn quick() -> ConsumerSettings {
    let mut settings = ConsumerSettings::default();
    settings.retry_backoff_ms = 1;
    settings.retry_backoff_max_ms = 5;
    settings.attempts_max = 3;
    settings
}

/// Waits until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what} does not come to pass");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) async fn until_finished(consumer: &Consumer) {
    until("the end of the log", || async {
        let status = consumer.status().await.unwrap();
        status.position >= status.head && status.in_flight == 0 && status.waiting_streams == 0
    })
    .await;
}

/// What a handler has seen, and in which order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<HashMap<String, Vec<u64>>>>);

impl Seen {
    pub(crate) fn note(&self, event: &retold::RecordedEvent) {
        let mut seen = self.0.lock().unwrap();
        let of_stream = seen.entry(event.stream.aggregate_id().to_string());
        of_stream.or_default().push(event.sequence_number);
    }

    pub(crate) fn all(&self) -> HashMap<String, Vec<u64>> {
        self.0.lock().unwrap().clone()
    }
}
