//! What is appended: a JSON payload of about 200 bytes, and random ids of the event and
//! of what it belongs to.

use uuid::Uuid;

/// Events of a large append: what every store takes at once.
pub const BATCH: usize = 1_000;

/// An event before it is in any store's own form.
#[derive(Debug, Clone)]
pub struct Event {
    /// The number of its aggregate; see [`crate::CONTIGUOUS`] and [`crate::SCATTERED`].
    pub aggregate: usize,
    /// Its place in the stream of the aggregate, from 1: one more than the sequence expected.
    pub sequence: u64,
    /// A UUIDv4.
    pub event_id: Uuid,
    /// A UUIDv4.
    pub correlation_id: Uuid,
    /// A JSON object.
    pub payload: String,
}

impl Event {
    /// What all aggregates are.
    pub const AGGREGATE_TYPE: &'static str = "Account";

    /// What all events are.
    pub const EVENT_TYPE: &'static str = "account.credited";

    /// A new event.
    pub(crate) fn new(aggregate: usize, sequence: u64) -> Event {
        let event_id = Uuid::new_v4();
        Event {
            aggregate,
            sequence,
            event_id,
            correlation_id: Uuid::new_v4(),
            payload: format!(
                r#"{{"amount":12345,"currency":"EUR","reference":"{event_id}","note":"paid by card at the counter, receipt printed, no change given","terminal":"berlin-mitte-0042","operator":"user-000123"}}"#
            ),
        }
    }

    /// The aggregate's id as text.
    pub fn aggregate_id(&self) -> String {
        self.aggregate.to_string()
    }
}
