//! Room in the queue of appends: what bounds the memory that they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use retold_core::{Error, EventId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of appends that may wait to be written: some hundred groups, and a bound on memory.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Callers that may wait for room in that queue before further ones are answered `busy`.
const QUEUE_WAITERS_MAX: usize = 16_384;

/// The room, and how many wait for it.
pub(super) struct Room {
    bytes: Arc<Semaphore>,
    waiters: AtomicUsize,
}

impl Room {
    pub(super) fn new() -> Room {
        Room {
            bytes: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            waiters: AtomicUsize::new(0),
        }
    }

    /// Takes room for so many bytes, and waits for it where there is none.
    pub(super) async fn take(
        &self,
        bytes: usize,
        event_ids: &[EventId],
    ) -> Result<OwnedSemaphorePermit, Error> {
        let permits = u32::try_from(bytes.clamp(1, QUEUE_BYTES_MAX)).expect("the bound fits");
        if let Ok(permit) = Arc::clone(&self.bytes).try_acquire_many_owned(permits) {
            return Ok(permit);
        }
        let waiting = Waiting::new(&self.waiters);
        if waiting.number > QUEUE_WAITERS_MAX {
            return Err(Error::Busy {
                reason: "too many appends wait to be written".into(),
                event_ids: event_ids.to_vec(),
            });
        }
        let permit = Arc::clone(&self.bytes).acquire_many_owned(permits).await;
        Ok(permit.expect("the semaphore is never closed"))
    }
}

/// Counts a caller that waits for room, as long as it waits.
struct Waiting<'a> {
    counter: &'a AtomicUsize,
    number: usize,
}

impl Waiting<'_> {
    fn new(counter: &AtomicUsize) -> Waiting<'_> {
        let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
        Waiting { counter, number }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}
