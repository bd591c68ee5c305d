//! Following the log: what was written, or what today's code would have written.

use std::sync::Arc;

use retold_core::{Batch, Entry, EventStore, Filter, Position};

use crate::Error;
use crate::upcasters::Chains;

/// A reader that follows the log: [`Retold::subscribe`](crate::Retold::subscribe).
pub struct Subscription {
    store: Arc<dyn EventStore>,
    upcasters: Chains,
    written: retold_core::Subscription,
    wanted: Filter,
    is_upcasted: bool,
    /// What was read and could not be upcasted yet: it begins with the event that failed.
    held_back: Option<Batch>,
    complete_through: Position,
}

impl Subscription {
    /// Entries of the log in one batch at most; upcasters may make several of one.
    pub const BATCH_ENTRIES: usize = retold_core::Subscription::BATCH_ENTRIES;

    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        upcasters: Chains,
        after: Position,
        filter: Filter,
    ) -> Subscription {
        Subscription {
            written: retold_core::Subscription::new(store.clone(), after, filter.clone()),
            store,
            upcasters,
            wanted: filter,
            is_upcasted: false,
            held_back: None,
            complete_through: after,
        }
    }

    /// Delivers what today's code would have written in place of what was. An event that became
    /// several is several entries of one position, in one batch; one that became nothing is
    /// none. The event types of the filter are today's: what was written under an older name is
    /// delivered under the new one.
    pub fn upcasted(mut self) -> Subscription {
        let widened = self.upcasters.widened(&self.wanted);
        let (store, after) = (self.store.clone(), self.complete_through);
        self.written = retold_core::Subscription::new(store, after, widened);
        self.is_upcasted = true;
        self
    }

    /// The next batch; waits at the head. May be dropped and called again: nothing is lost.
    ///
    /// The head is told once when it is first reached, with an empty batch if need be.
    ///
    /// # Errors
    /// Those of [`EventStore::read_log`]; [`Error::Upcast`] where an event cannot be upcasted,
    /// after all that comes before it was delivered. Calling again tries the same part again: it
    /// is never passed over.
    pub async fn next(&mut self) -> Result<Batch, Error> {
        let mut batch = match self.held_back.take() {
            Some(batch) => batch,
            None => self.written.next().await?,
        };
        if self.is_upcasted {
            batch = self.upcast(batch)?;
        }
        self.complete_through = batch.complete_through;
        Ok(batch)
    }

    /// The batch up to the first event that cannot be upcasted; that one and what follows it are
    /// held back.
    fn upcast(&mut self, written: Batch) -> Result<Batch, Error> {
        let mut entries = Vec::with_capacity(written.entries.len());
        for (nth, entry) in written.entries.iter().enumerate() {
            let event = match entry {
                Entry::Event(event) => event,
                Entry::Lost(_) => {
                    entries.push(entry.clone());
                    continue;
                }
            };
            match self.upcasters.upcast(event) {
                Ok(upcasted) => {
                    let wanted = upcasted.iter().filter(|event| self.wanted.admits(event));
                    entries.extend(wanted.cloned().map(Entry::Event));
                }
                Err(error) => {
                    let before = event.position - 1;
                    self.held_back = Some(Batch {
                        entries: written.entries[nth..].to_vec(),
                        ..written
                    });
                    if nth == 0 {
                        return Err(error);
                    }
                    return Ok(Batch {
                        entries,
                        complete_through: before,
                        is_at_head: false,
                    });
                }
            }
        }
        Ok(Batch { entries, ..written })
    }

    /// Everything at or before this position has been delivered.
    pub fn complete_through(&self) -> Position {
        self.complete_through
    }
}
