//! A transition or a command on a stream that others write to all the time: it is tried again,
//! and not for ever.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use retold::{
    Appended, Error, EventStore, NewEvent, Retold, StoreError, StreamId, TRANSITION_ATTEMPTS_MAX,
};
use retold_core::Append;
use retold_memory::MemoryStore;
use support::hooked::{Hook, Hooked};
use support::{comment, start_work};

/// Somebody else appends an event right before each append, for a while.
struct Busy {
    other: NewEvent,
    others: AtomicUsize,
}

#[async_trait]
impl Hook for Busy {
    async fn append(&self, store: &MemoryStore, append: Append) -> Result<Appended, StoreError> {
        let left = self.others.load(Ordering::Relaxed);
        if left > 0 {
            self.others.store(left - 1, Ordering::Relaxed);
            let other = self.other.clone().event_id(uuid::Uuid::now_v7());
            store.append(Append::new(vec![other])).await?;
        }
        store.append(append).await
    }
}

async fn on_busy_stream(other: NewEvent, others: usize) -> Retold {
    let others = AtomicUsize::new(others);
    let store = Hooked::new(Busy { other, others });
    let builder = Retold::builder().builtin_machines().store(Arc::new(store));
    builder.build().await.unwrap()
}

#[tokio::test]
async fn a_lost_race_begins_again_until_it_is_won() {
    let retold = on_busy_stream(comment("1"), TRANSITION_ATTEMPTS_MAX - 1).await;
    let done = retold.transition(start_work("1")).await.unwrap();
    let others = TRANSITION_ATTEMPTS_MAX as u64 - 1;
    assert_eq!(done.event.sequence_number, others + 1);
}

#[tokio::test]
async fn a_race_that_cannot_be_won_ends_with_the_conflict() {
    let retold = on_busy_stream(comment("1"), TRANSITION_ATTEMPTS_MAX).await;
    let transition = start_work("1");
    let event_id = transition.metadata().event_id;
    match retold.transition(transition).await {
        Err(Error::Store(StoreError::Conflict { event_ids, .. })) => {
            assert_eq!(event_ids, [event_id]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(retold.event(event_id).await.unwrap(), None);
}

#[cfg(feature = "derive")]
mod commands {
    use retold::{Aggregate, COMMAND_ATTEMPTS_MAX, Capabilities, ExecuteError};

    use super::*;
    use crate::support::account::{Account, Deposit, Refused, Withdraw};

    fn deposit() -> NewEvent {
        let stream = StreamId::new("Account", "1").unwrap();
        NewEvent::new(
            stream,
            "account.deposited",
            &serde_json::json!({"amount": 1}),
        )
        .unwrap()
    }

    #[tokio::test]
    async fn a_command_decides_again_on_what_the_others_wrote() {
        let retold = on_busy_stream(deposit(), COMMAND_ATTEMPTS_MAX - 1).await;
        let done = retold.execute::<Account>("1", Deposit(1)).await.unwrap();
        assert_eq!(done.state.balance, COMMAND_ATTEMPTS_MAX as u64);
        assert_eq!(done.sequence_number, COMMAND_ATTEMPTS_MAX as u64);
        assert_eq!(done.events.len(), 1);
    }

    #[tokio::test]
    async fn a_command_that_always_comes_too_late_says_how_often_it_was_tried() {
        let retold = on_busy_stream(deposit(), COMMAND_ATTEMPTS_MAX).await;
        match retold.execute::<Account>("1", Deposit(1)).await {
            Err(ExecuteError::Failed(Error::Contended { streams, attempts })) => {
                assert_eq!(streams, [StreamId::new("Account", "1").unwrap()]);
                assert_eq!(attempts, COMMAND_ATTEMPTS_MAX);
            }
            other => panic!("{other:?}"),
        }
        let log = retold.events("Account", "1").all().await.unwrap();
        assert_eq!(log.len(), COMMAND_ATTEMPTS_MAX, "only the others wrote");
    }

    /// A store that appends to one stream at a time.
    struct OneStream;

    #[async_trait]
    impl Hook for OneStream {
        fn capabilities(&self, mut own: Capabilities) -> Capabilities {
            own.multi_stream = false;
            own
        }
    }

    #[tokio::test]
    async fn a_store_that_cannot_write_several_streams_is_not_asked_to() {
        let store = Arc::new(Hooked::new(OneStream));
        let retold = Retold::builder()
            .store(store.clone())
            .build()
            .await
            .unwrap();
        let transfer = retold
            .execute_together::<(Account, Account)>(["a", "b"])
            .decide(|(from, to)| -> Result<_, Refused> {
                Ok((from.decide(&Withdraw(0))?, to.decide(&Deposit(0))?))
            });
        match transfer.await {
            Err(ExecuteError::Failed(Error::Store(StoreError::Unsupported { .. }))) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(store.head().await.unwrap().position, 0);
    }
}
