//! Commands of one stream wait for one another. Without it all but one of those that run at the
//! same time would lose the race, and the unlucky ones again and again; in a line each is served,
//! in the order of arrival, and reads the state that the one before has left in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use retold_core::StreamId;
use tokio::sync::OwnedMutexGuard;

type Line = Arc<tokio::sync::Mutex<()>>;

/// The streams that commands are at work on, each with its line.
#[derive(Clone, Default)]
pub(crate) struct Turns {
    lines: Arc<Mutex<HashMap<StreamId, Line>>>,
}

/// The turn of a command, until it is dropped.
pub(super) struct Turn {
    stream: StreamId,
    lines: Turns,
    /// None while it waits, and while it is being dropped.
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for the turn at each of the streams. They are taken in the order of their names, so
    /// that no two commands wait for one another.
    pub(super) async fn wait(&self, mut streams: Vec<StreamId>) -> Vec<Turn> {
        streams.sort_unstable();
        let mut turns = Vec::with_capacity(streams.len());
        for stream in streams {
            let line = self.lock().entry(stream.clone()).or_default().clone();
            // There before the wait, so that whoever gives up leaves no empty line behind.
            turns.push(Turn {
                stream,
                lines: self.clone(),
                guard: None,
            });
            let guard = line.lock_owned().await;
            turns.last_mut().expect("just pushed").guard = Some(guard);
        }
        turns
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut lines = self.lines.lock();
        // Lines are handed out under the same lock: one that is only in the map has nobody in it.
        let is_empty = |line: &Line| Arc::strong_count(line) == 1;
        if lines.get(&self.stream).is_some_and(is_empty) {
            lines.remove(&self.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: &str) -> StreamId {
        StreamId::new("Account", id).unwrap()
    }

    #[tokio::test]
    async fn a_line_is_gone_when_nobody_stands_in_it() {
        let turns = Turns::default();
        let first = turns.wait(vec![stream("b"), stream("a")]).await;
        assert_eq!(turns.lock().len(), 2);
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.wait(vec![stream("a")]).await.len() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.unwrap(), 1);
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_no_line_behind() {
        let turns = Turns::default();
        let first = turns.wait(vec![stream("a")]).await;
        let mut waiting = Box::pin(turns.wait(vec![stream("a")]));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        drop(first);
        assert!(turns.lock().is_empty());
    }
}
