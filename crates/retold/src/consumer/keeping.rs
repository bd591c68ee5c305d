//! Keeping how far a consumer has come: beside the log, now and then in it, and in one transaction
//! with what a handler writes.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use retold_core::{Checkpoint, Position, ProgressChange, RecordedEvent, Text, Transacted};

use super::definition::{self, Copied, CopiedStream};
use super::desk::{Changes, Delivery};
use super::running::Running;
use crate::Error;
use crate::checkpoint;
use crate::error::panic_text;

/// What a handler came to that shares a transaction.
enum Came {
    /// The store's connection is of another type.
    OtherType,
    Failed(Text),
    /// The answer came too late: the event is delivered again.
    Late,
    /// It was digested, but what must be kept of it could not be read.
    Unreadable(retold_core::Error),
    /// It was digested, and counts as finished here.
    Finished(#[expect(dead_code, reason = "its end says that it was committed")] Committing),
}

/// Until it is dropped nobody is told how far the consumer is: an event counts as finished, and is
/// not committed.
struct Committing(Arc<Running>);

impl Committing {
    fn of(running: &Arc<Running>) -> Committing {
        running.is_committing.send_replace(true);
        Committing(Arc::clone(running))
    }
}

impl Drop for Committing {
    fn drop(&mut self) {
        self.0.is_committing.send_replace(false);
    }
}

impl Running {
    /// Keeps how far the consumer has come.
    pub(super) async fn save(&self) {
        let _saving = self.saving.lock().await;
        let (changes, answers) = {
            let mut state = self.state();
            if state.ended.is_some() {
                return;
            }
            state.is_awaited = false;
            (state.desk.changes(), state.answers)
        };
        let note_kept = || self.kept.send_modify(|kept| kept.answers = answers);
        let Some(changes) = changes else {
            return note_kept();
        };
        match self.keep(&changes).await {
            Ok(true) => note_kept(),
            Ok(false) => {
                self.end_here("another process has taken the consumer over");
            }
            Err(error) => {
                self.state().desk.not_kept(changes);
                self.trouble("keep the progress", &error).await;
                self.wake.notify_one();
            }
        }
    }

    async fn keep(&self, changes: &Changes) -> Result<bool, retold_core::Error> {
        self.side_store
            .save_progress(self.change_of(changes).await?)
            .await
    }

    async fn change_of(&self, changes: &Changes) -> Result<ProgressChange, retold_core::Error> {
        Ok(ProgressChange {
            consumer: self.name.clone(),
            epoch: self.epoch,
            checkpoint: self.checkpoint(changes.position).await?,
            kept: changes.kept.clone(),
            removed: changes.removed.clone(),
            tally: changes.tally,
        })
    }

    /// A position with what tells that the log is still the same.
    async fn checkpoint(
        &self,
        position: Position,
    ) -> Result<Option<Checkpoint>, retold_core::Error> {
        if position == 0 {
            return Ok(None);
        }
        let event = checkpoint::event_at(&*self.store, position).await?;
        Ok(Some(Checkpoint {
            log_id: self.store.log_id(),
            position,
            // What was lost has no id that anybody knows.
            event_id: event.map_or(uuid::Uuid::nil(), |event| event.metadata.event_id),
        }))
    }

    /// Copies how far the consumer has come into the log, if an event was finished since: the copy
    /// alone must not be a reason for the next one.
    pub(super) async fn copy(&self) {
        // Nothing is copied that is not kept yet.
        let _saving = self.saving.lock().await;
        let (done, position, streams, tally) = {
            let state = self.state();
            let done = state.desk.counts.finished + state.desk.counts.skipped;
            if done == state.copied || state.ended.is_some() {
                return;
            }
            let desk = &state.desk;
            (done, desk.position(), desk.progress(), desk.tally())
        };
        let copied = async {
            let Some(at) = self.checkpoint(position).await? else {
                return Ok(());
            };
            let copied = Copied {
                position,
                event_id: at.event_id,
                streams: streams.iter().map(CopiedStream::of).collect(),
                events: tally.events,
                sum: tally.sum,
            };
            definition::copy(&*self.store, &self.name, &copied).await
        };
        match copied.await {
            Ok(()) => self.state().copied = done,
            Err(error) => {
                let consumer = &*self.name;
                tracing::warn!(consumer, %error, "failed to copy the progress of a consumer");
            }
        }
    }

    /// Calls a handler in the transaction that keeps that its event is finished.
    pub(super) async fn transact<C, H, E>(
        self: &Arc<Self>,
        delivery: Delivery,
        handler: Arc<H>,
    ) -> Result<(), Error>
    where
        C: Any,
        H: Fn(&RecordedEvent, &C) -> Result<(), E> + Send + Sync + 'static,
        E: fmt::Display,
    {
        let saving = self.saving.lock().await;
        let came = Arc::new(Mutex::new(None));
        let fence = delivery.fence;
        let work = {
            let (running, came) = (Arc::clone(self), Arc::clone(&came));
            let runtime = tokio::runtime::Handle::current();
            move |connection: &dyn Any| {
                let digested = digest(&delivery.event, connection, &*handler)
                    .and_then(|()| runtime.block_on(running.finish_to_keep(fence)));
                let (reason, change) = match digested {
                    Ok((committing, change)) => (Came::Finished(committing), Some(change)),
                    Err(reason) => (reason, None),
                };
                *came.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                change
            }
        };
        let transacted = self.side_store.transact_progress(Box::new(work)).await;
        let came = came.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (transacted, came) {
            (_, Some(Came::OtherType)) => {
                let what = "a transaction with a connection of this type".to_owned();
                return Err(retold_core::Error::Unsupported { what }.into());
            }
            (_, Some(Came::Failed(error))) => {
                self.answer([(fence, Err((error, None)))]);
            }
            (_, Some(Came::Late)) => {}
            (Ok(Transacted::Kept), came) => {
                drop((saving, came));
                self.answer([]);
            }
            // From here on the event counts as finished and is not: where to go on is what was
            // kept.
            (Ok(_), Some(Came::Finished(_))) => {
                self.end_here("another process has taken the consumer over");
            }
            (_, Some(Came::Unreadable(error))) | (Err(error), Some(Came::Finished(_))) => {
                self.end_here(&error.to_string());
                return Err(error.into());
            }
            // The handler was not called.
            (Err(error @ retold_core::Error::Unsupported { .. }), None) => return Err(error.into()),
            (Err(error), None) => {
                self.answer([(fence, Err((error.to_string().into(), None)))]);
            }
            (Ok(_), None) => unreachable!("what shares a transaction says what it came to"),
        }
        Ok(())
    }

    /// Finishes an event, and gives what must be kept then.
    async fn finish_to_keep(
        self: &Arc<Self>,
        fence: u64,
    ) -> Result<(Committing, ProgressChange), Came> {
        let (committing, changes) = {
            let mut state = self.state();
            let finished = state.desk.finish(fence, self.now().monotonic);
            finished.map_err(|_| Came::Late)?;
            let changes = state.desk.changes();
            let changes = changes.expect("an event that was finished has to be kept");
            (Committing::of(self), changes)
        };
        let change = self.change_of(&changes).await;
        change
            .map(|change| (committing, change))
            .map_err(Came::Unreadable)
    }

    /// Hands out nothing more here; whoever opens the consumer again goes on with what was kept.
    fn end_here(&self, reason: &str) {
        tracing::warn!(consumer = &*self.name, reason, "a consumer ends here");
        self.state().ended = Some(reason.to_owned());
        self.stop();
    }
}

fn digest<C: Any, E: fmt::Display>(
    event: &RecordedEvent,
    connection: &dyn Any,
    handler: &impl Fn(&RecordedEvent, &C) -> Result<(), E>,
) -> Result<(), Came> {
    let connection = connection.downcast_ref::<C>().ok_or(Came::OtherType)?;
    // What a panic leaves half done in the store is undone with the transaction.
    let called = catch_unwind(AssertUnwindSafe(|| handler(event, connection)));
    match called {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Came::Failed(error.to_string().into())),
        Err(panic) => Err(Came::Failed(
            format!("panicked: {}", panic_text(&*panic)).into(),
        )),
    }
}
