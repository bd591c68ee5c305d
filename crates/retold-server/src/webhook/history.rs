//! What was sent last, for whoever wonders what a receiver saw. It is kept in memory: what has to
//! last is kept by the consumer.

use std::collections::VecDeque;

use retold::{EventId, Position, Timestamp};
use serde::Serialize;

/// Attempts that are remembered of each consumer: some minutes of trouble.
const ATTEMPTS_MAX: usize = 1_000;

/// One attempt to deliver an event.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sent {
    /// When it was begun.
    pub(crate) sent_at: Timestamp,
    pub(crate) event_id: EventId,
    /// The event's place in the log.
    pub(crate) position: Position,
    /// Counted from 1.
    pub(crate) attempt: u32,
    /// Whether somebody tried the receiver out.
    pub(crate) is_test: bool,
    /// What the receiver answered; none where no answer came.
    pub(crate) status: Option<u16>,
    /// Why it counts as failed.
    pub(crate) error: Option<String>,
    pub(crate) latency_ms: u64,
}

/// The newest attempts of one consumer.
#[derive(Default)]
pub(crate) struct History(VecDeque<Sent>);

impl History {
    pub(super) fn note(&mut self, sent: Sent) {
        if self.0.len() == ATTEMPTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(sent);
    }

    pub(super) fn newest_first(&self) -> Vec<Sent> {
        self.0.iter().rev().cloned().collect()
    }
}
