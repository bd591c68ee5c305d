//! History first, then live: one mechanism over every store. A subscription only ever reads
//! the log, so it cannot skip, and a slow one costs nothing but its own delay.

use std::sync::Arc;

use crate::query::{Entry, Filter, LogQuery};
use crate::{Error, EventStore, Position};

/// A part of the log as a subscription delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The entries, by position. May be empty: then only `complete_through` has moved.
    pub entries: Vec<Entry>,
    /// Everything that the filter admits at or before this position has been delivered.
    pub complete_through: Position,
    /// Whether that was the head of the log when the batch was read.
    pub is_at_head: bool,
}

/// A reader that follows the log.
pub struct Subscription {
    store: Arc<dyn EventStore>,
    query: LogQuery,
    has_reached_head: bool,
}

impl Subscription {
    /// Entries in one batch at most.
    pub const BATCH_ENTRIES: usize = 512;

    /// Follows the log from behind the position `after`.
    pub fn new(store: Arc<dyn EventStore>, after: Position, filter: Filter) -> Subscription {
        let query = LogQuery::after(after)
            .filter(filter)
            .limit(Self::BATCH_ENTRIES);
        Subscription {
            store,
            query,
            has_reached_head: false,
        }
    }

    /// The next batch; waits at the head. May be dropped and called again: nothing is lost.
    ///
    /// The head is told once when it is first reached, with an empty batch if need be.
    ///
    /// # Errors
    /// Those of [`EventStore::read_log`]. Calling again tries the same part again.
    pub async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            let page = self.store.read_log(self.query.clone()).await?;
            let is_at_head = page.next.is_none();
            let has_moved = page.complete_through > self.query.after;
            let tells_head = is_at_head && !self.has_reached_head;
            if !has_moved && !tells_head {
                self.store.wait_past(self.query.after).await?;
                continue;
            }
            self.query.after = page.complete_through;
            self.has_reached_head |= is_at_head;
            return Ok(Batch {
                entries: page.entries,
                complete_through: page.complete_through,
                is_at_head,
            });
        }
    }

    /// Everything at or before this position has been delivered.
    pub fn complete_through(&self) -> Position {
        self.query.after
    }
}
