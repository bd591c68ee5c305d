//! What is appended: payloads of about 200 bytes, random event ids, a correlation id, a
//! hundred thousand aggregates, and the sequence of each stream expected and checked.

use std::sync::atomic::{AtomicU64, Ordering};

use retold_core::{
    Append, EventStore, Expected, Json, Metadata, NewEvent, StreamId, Text, Timestamp,
};
use uuid::Uuid;

use crate::Outcome;

/// Aggregates that events are spread over.
const AGGREGATES: usize = 100_000;

/// Events of a large append.
pub(crate) const BATCH: u64 = 1_000;

/// In large appends every hundredth event belongs to one stream.
pub(crate) const SCATTERED_EVERY: u64 = 100;

/// The heads of all aggregates, and how many appends there were.
pub(crate) struct Workload {
    heads: Vec<AtomicU64>,
    scattered: AtomicU64,
    appends: AtomicU64,
}

impl Default for Workload {
    fn default() -> Self {
        Workload {
            heads: (0..AGGREGATES).map(|_| AtomicU64::new(0)).collect(),
            scattered: AtomicU64::new(0),
            appends: AtomicU64::new(0),
        }
    }
}

impl Workload {
    /// One event. Each task has aggregates of its own, so that no expectation fails.
    pub(crate) fn one(&self, task: usize, tasks: usize) -> Outcome<Append> {
        let nth = self.appends.fetch_add(1, Ordering::Relaxed) as usize;
        let own = AGGREGATES / tasks;
        // A prime far from a divisor of the number of aggregates: neighbours in time are not
        // neighbours by name.
        let aggregate = task + (nth * 7_919 % own) * tasks;
        let stream = StreamId::new("Account", aggregate.to_string())?;
        let head = self.heads[aggregate].fetch_add(1, Ordering::Relaxed);
        let append = Append::new(vec![event(stream.clone())?]);
        Ok(append.expect(stream, Expected::Sequence(head)))
    }

    /// A thousand events, of which every hundredth belongs to one stream and each other one
    /// to a stream of its own; `from` counts the events before.
    pub(crate) fn batch(&self, from: u64) -> Outcome<Append> {
        let mut events = Vec::with_capacity(BATCH as usize);
        let mut expectations = Vec::with_capacity(BATCH as usize);
        let scattered = scattered_stream()?;
        let in_batch = BATCH / SCATTERED_EVERY;
        let head = self.scattered.fetch_add(in_batch, Ordering::Relaxed);
        expectations.push((scattered.clone(), head));
        for nth in from..from + BATCH {
            if nth % SCATTERED_EVERY == 0 {
                events.push(event(scattered.clone())?);
                continue;
            }
            let aggregate = (nth as usize * 7_919) % AGGREGATES;
            let stream = StreamId::new("Account", aggregate.to_string())?;
            let head = self.heads[aggregate].fetch_add(1, Ordering::Relaxed);
            events.push(event(stream.clone())?);
            expectations.push((stream, head));
        }
        let append = Append::new(events);
        Ok(expectations
            .into_iter()
            .fold(append, |append, (stream, head)| {
                append.expect(stream, Expected::Sequence(head))
            }))
    }

    /// Appends a stream that lies in one piece.
    pub(crate) async fn contiguous(&self, store: &dyn EventStore, events: u64) -> Outcome<()> {
        let stream = contiguous_stream()?;
        for head in (0..events).step_by(BATCH as usize) {
            let batch = (0..BATCH).map(|_| event(stream.clone()));
            let append = Append::new(batch.collect::<Outcome<_>>()?);
            let append = append.expect(stream.clone(), Expected::Sequence(head));
            store.append(append).await?;
        }
        Ok(())
    }
}

/// The stream whose events lie side by side.
pub(crate) fn contiguous_stream() -> Outcome<StreamId> {
    Ok(StreamId::new("Ledger", "contiguous")?)
}

/// The stream whose events lie far apart.
pub(crate) fn scattered_stream() -> Outcome<StreamId> {
    Ok(StreamId::new("Ledger", "scattered")?)
}

fn event(stream: StreamId) -> Outcome<NewEvent> {
    let event_id = Uuid::new_v4();
    let payload = format!(
        r#"{{"amount":12345,"currency":"EUR","reference":"{event_id}","note":"paid by card at the counter, receipt printed, no change given","terminal":"berlin-mitte-0042","operator":"user-000123"}}"#
    );
    Ok(NewEvent {
        stream,
        event_type: Text::from_static("account.credited"),
        payload: Json::parse(payload)?,
        tags: Vec::new(),
        metadata: Metadata {
            event_id,
            version: Text::from_static("1.0.0"),
            timestamp: Timestamp::now(),
            correlation_id: Text::from(Uuid::new_v4().to_string()),
            causation_id: None,
            actor: None,
            extra: Vec::new(),
        },
    })
}
