//! What mire does on a conflict, on a retry and on a changed event: what docs/comparison.md says
//! of it.

use std::sync::{Arc, Barrier};

use comparison_mire::{Account, AccountCommand, AccountError, AccountEvent};
use mire::{Aggregate, Command, CommandError, EventData, EventStore, EventStoreError};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// A store with an account that holds 100.
async fn account_of_100() -> (TempDir, EventStore) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("account.db");
    let store = EventStore::open(file).await.unwrap();
    store.migrate().await.unwrap();
    let accounts = store.repository::<Account>();
    accounts.send("ada", AccountCommand::Open).await.unwrap();
    let deposit = AccountCommand::Deposit { amount: 100 };
    accounts.send("ada", deposit).await.unwrap();
    (folder, store)
}

async fn balance(store: &EventStore) -> u64 {
    let account = store.load::<Account>("ada").await.unwrap();
    account.expect("it was opened").state.balance
}

/// A command that waits for another between loading and deciding.
struct Meeting(Arc<Barrier>, AccountCommand);

impl Command for Meeting {
    type Aggregate = Account;
    type Error = AccountError;
    type Events = [AccountEvent; 1];

    fn handle(self, account: &Account) -> Result<Self::Events, AccountError> {
        // Told to the runtime, which would otherwise wait for this thread to read from sockets.
        tokio::task::block_in_place(|| self.0.wait());
        self.1.handle(account)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_race_is_the_callers_to_repeat() {
    let (_folder, store) = account_of_100().await;
    let meeting = Arc::new(Barrier::new(2));
    let withdraw = || {
        let command = AccountCommand::Withdraw { amount: 60 };
        let (accounts, command) = (
            store.repository::<Account>(),
            Meeting(meeting.clone(), command),
        );
        tokio::spawn(async move { accounts.send("ada", command).await.map(|_| ()) })
    };
    let (first, second) = (withdraw(), withdraw());
    let lost = match (first.await.unwrap(), second.await.unwrap()) {
        (Ok(()), Err(lost)) | (Err(lost), Ok(())) => lost,
        other => panic!("one of two has to lose: {other:?}"),
    };
    let CommandError::Store(EventStoreError::ConcurrencyConflict {
        expected, actual, ..
    }) = lost
    else {
        panic!("a conflict, not {lost}");
    };
    assert_eq!((expected, actual), (2, 3));
    assert_eq!(balance(&store).await, 40);
}

#[tokio::test]
async fn a_retry_takes_effect_again() {
    let (_folder, store) = account_of_100().await;
    let accounts = store.repository::<Account>();
    for _ in 0..2 {
        let withdraw = AccountCommand::Withdraw { amount: 30 };
        accounts.send("ada", withdraw).await.unwrap();
    }
    assert_eq!(balance(&store).await, 40);
}

/// The events after a change: a deposit has a currency now.
#[derive(Debug, Clone, Serialize, Deserialize, EventData)]
#[serde(tag = "type")]
#[mire(entity = "account")]
enum EventToday {
    Opened,
    Deposited { amount: u64, currency: String },
}

/// The account after the change.
#[derive(Debug, Default)]
struct AccountToday;

impl Aggregate for AccountToday {
    type Event = EventToday;

    fn stream_category() -> &'static str {
        "account"
    }

    fn apply(&mut self, _event: &EventToday) {}
}

#[tokio::test]
async fn a_changed_event_is_refused_and_named() {
    let (_folder, store) = account_of_100().await;
    let refused = store.load::<AccountToday>("ada").await.err();
    let Some(EventStoreError::Deserialization {
        stream_id,
        event_type,
        ..
    }) = refused
    else {
        panic!("an event that cannot be read, not {refused:?}");
    };
    assert_eq!(
        (stream_id.as_str(), event_type.as_str()),
        ("account-ada", "account.deposited")
    );
}
