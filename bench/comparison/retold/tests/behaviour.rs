//! What Retold does on a conflict, on a retry and on a changed event: what docs/comparison.md
//! says of it.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use comparison_retold::{Account, AccountCommand, AccountError, AccountEvent};
use retold::{Aggregate, Event, ExecuteError, Retold, Upcasters};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// A log with an account that holds 100.
async fn account_of_100() -> (TempDir, Retold) {
    let folder = tempfile::tempdir().unwrap();
    let retold = Retold::open(folder.path()).await.unwrap();
    for command in [
        AccountCommand::Open,
        AccountCommand::Deposit { amount: 100 },
    ] {
        retold.execute::<Account>("ada", command).await.unwrap();
    }
    (folder, retold)
}

async fn balance(retold: &Retold) -> u64 {
    retold.load::<Account>("ada").await.unwrap().state.balance
}

/// The account whose first decision waits until another writer has withdrawn.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Overtaken(Account);

struct Withdraw {
    amount: u64,
    decided: Arc<AtomicUsize>,
    meeting: Arc<Barrier>,
}

impl Aggregate for Overtaken {
    const TYPE: &'static str = "Account";
    type Event = AccountEvent;
    type Command = Withdraw;
    type Error = AccountError;

    fn decide(&self, withdraw: &Withdraw) -> Result<Vec<AccountEvent>, AccountError> {
        if withdraw.decided.fetch_add(1, Ordering::Relaxed) == 0 {
            // Told to the runtime, so that no other task waits for this thread.
            tokio::task::block_in_place(|| {
                withdraw.meeting.wait();
                withdraw.meeting.wait();
            });
        }
        let amount = withdraw.amount;
        self.0.decide(&AccountCommand::Withdraw { amount })
    }

    fn apply(&mut self, event: AccountEvent) {
        self.0.apply(event);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_race_is_decided_again_on_what_happened() {
    let (_folder, retold) = account_of_100().await;
    let (decided, meeting) = (Arc::default(), Arc::new(Barrier::new(2)));
    let withdraw = Withdraw {
        amount: 30,
        decided: Arc::clone(&decided),
        meeting: Arc::clone(&meeting),
    };
    let slow = retold.execute::<Overtaken>("ada", withdraw);
    let slow = tokio::spawn(slow.into_future());
    let wait = || {
        let meeting = Arc::clone(&meeting);
        tokio::task::spawn_blocking(move || meeting.wait())
    };
    wait().await.unwrap();
    // Another process would not be held up by the turns that callers of one handle take; a plain
    // append is not either.
    let stream = retold::StreamId::new("Account", "ada").unwrap();
    let amount = serde_json::json!({"amount": 60});
    let faster = retold::NewEvent::new(stream, "account.withdrawn", &amount).unwrap();
    retold.append(faster).await.unwrap();
    wait().await.unwrap();
    let executed = slow.await.unwrap().unwrap();
    assert_eq!(decided.load(Ordering::Relaxed), 2);
    assert_eq!(executed.sequence_number, 4);
    assert_eq!(balance(&retold).await, 10);
}

#[tokio::test]
async fn a_retry_under_a_key_gives_the_first_answer() {
    let (_folder, retold) = account_of_100().await;
    for attempt in 0..2 {
        let withdraw = AccountCommand::Withdraw { amount: 60 };
        let executed = retold
            .execute::<Account>("ada", withdraw)
            .idempotency_key("payment-7")
            .await
            .unwrap();
        assert_eq!(executed.is_new, attempt == 0);
        assert_eq!(executed.state.balance, 40);
    }
    assert_eq!(balance(&retold).await, 40);
}

#[tokio::test]
async fn a_retry_without_a_key_takes_effect_again() {
    let (_folder, retold) = account_of_100().await;
    for _ in 0..2 {
        let withdraw = AccountCommand::Withdraw { amount: 30 };
        retold.execute::<Account>("ada", withdraw).await.unwrap();
    }
    assert_eq!(balance(&retold).await, 40);
}

/// The account after a change: a deposit has a currency now.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
struct AccountToday {
    currencies: Vec<String>,
}

#[derive(Debug, Event)]
enum EventToday {
    #[event("account.opened")]
    Opened,
    #[event("account.deposited", version = "2.0.0")]
    Deposited { amount: u64, currency: String },
}

impl Aggregate for AccountToday {
    const TYPE: &'static str = "Account";
    type Event = EventToday;
    type Command = ();
    type Error = AccountError;

    fn decide(&self, (): &()) -> Result<Vec<EventToday>, AccountError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, event: EventToday) {
        if let EventToday::Deposited { currency, .. } = event {
            self.currencies.push(currency);
        }
    }
}

#[tokio::test]
async fn a_changed_event_is_refused_until_an_upcaster_is_given() {
    let (folder, retold) = account_of_100().await;
    let refused = retold.execute::<AccountToday>("ada", ()).await;
    let Err(ExecuteError::Failed(refused)) = refused else {
        panic!("an event of another version must not be read");
    };
    let mut told = refused.to_string();
    let mut cause = refused.source();
    while let Some(error) = cause {
        told.push_str(&error.to_string());
        cause = error.source();
    }
    for part in ["account.deposited", "1.0.0", "2.0.0", "upcaster"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    retold.close().await.unwrap();

    let add_currency = |mut deposited: serde_json::Value| {
        deposited["currency"] = "EUR".into();
        Ok(deposited)
    };
    let upcasters =
        Upcasters::of("Account").change("account.deposited", "1.0.0", "2.0.0", add_currency);
    let builder = Retold::builder().upcasters(upcasters);
    let retold = builder.open(folder.path()).await.unwrap();
    let account = retold.load::<AccountToday>("ada").await.unwrap();
    assert_eq!(account.state.currencies, ["EUR"]);
}
