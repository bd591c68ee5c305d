//! What disintegrate with PostgreSQL does on a conflict, on a retry and on a changed event: what
//! docs/comparison.md says of it.

use std::sync::{Arc, Barrier};

use comparison_disintegrate::{
    Account, AccountError, AccountEvent, DepositAmount, OpenAccount, WithdrawAmount,
};
use disintegrate::serde::json::Json;
use disintegrate::{
    Decision, DecisionError, Event, EventSourcedStateStore, LoadState, NoSnapshot, StateMutate,
    StateQuery,
};
use disintegrate_postgres::{Error, PgEventStore, decision_maker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use tokio::sync::{Mutex, MutexGuard};

type Store = PgEventStore<AccountEvent, Json<AccountEvent>>;

async fn pool() -> PgPool {
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a PostgreSQL");
    PgPool::connect(&url).await.unwrap()
}

/// Tests take turns: a read gives what happened before the oldest write in flight began, so a
/// decision may not see the one before it while another test writes.
static TURN: Mutex<()> = Mutex::const_new(());

/// A store with an account that holds 100, and the account's id: each test has its own.
async fn account_of_100(test: &str) -> (MutexGuard<'static, ()>, Store, String) {
    let turn = TURN.lock().await;
    let store = PgEventStore::try_new(pool().await, Json::default());
    let store = store.await.unwrap();
    let account_id = format!("{test}-{}", std::process::id());
    let maker = decision_maker(store.clone(), NoSnapshot);
    let open = OpenAccount {
        account_id: account_id.clone(),
    };
    maker.make(open).await.unwrap();
    let deposit = DepositAmount {
        account_id: account_id.clone(),
        amount: 100,
    };
    maker.make(deposit).await.unwrap();
    (turn, store, account_id)
}

fn withdraw(account_id: &str, amount: u64) -> WithdrawAmount {
    WithdrawAmount {
        account_id: account_id.to_owned(),
        amount,
    }
}

async fn balance(store: Store, account_id: &str) -> u64 {
    let states = EventSourcedStateStore::new(store, NoSnapshot);
    let account = states.load(Account::new(account_id)).await.unwrap();
    account.state().balance
}

/// A decision that waits for another between loading and deciding.
struct Meeting(Arc<Barrier>, WithdrawAmount);

impl Decision for Meeting {
    type Event = AccountEvent;
    type StateQuery = Account;
    type Error = AccountError;

    fn state_query(&self) -> Account {
        self.1.state_query()
    }

    fn process(&self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        // Told to the runtime, which would otherwise wait for this thread to read from sockets.
        tokio::task::block_in_place(|| self.0.wait());
        self.1.process(account)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_race_is_the_callers_to_repeat() {
    let (_turn, store, id) = account_of_100("race").await;
    let maker = decision_maker(store.clone(), NoSnapshot);
    let meeting = Arc::new(Barrier::new(2));
    let make = || {
        let (maker, decision) = (
            maker.clone(),
            Meeting(Arc::clone(&meeting), withdraw(&id, 60)),
        );
        tokio::spawn(async move { maker.make(decision).await.map(|_| ()) })
    };
    let (first, second) = (make(), make());
    let lost = match (first.await.unwrap(), second.await.unwrap()) {
        (Ok(()), Err(lost)) | (Err(lost), Ok(())) => lost,
        other => panic!("one of two has to lose: {other:?}"),
    };
    // Boxed, and either its own error or the database's, depending on which of its two checks
    // found out.
    let DecisionError::StateStore(lost) = lost else {
        panic!("an error of the store, not {lost}");
    };
    let lost = lost.downcast_ref::<Error>();
    let is_conflict = match lost {
        Some(Error::Concurrency) => true,
        Some(Error::Database(sqlx::Error::Database(error))) => {
            error.code().as_deref() == Some("40001")
        }
        _ => false,
    };
    assert!(is_conflict, "a conflict, not {lost:?}");
    assert_eq!(balance(store, &id).await, 40);
}

#[tokio::test]
async fn a_retry_takes_effect_again() {
    let (_turn, store, id) = account_of_100("retry").await;
    let maker = decision_maker(store.clone(), NoSnapshot);
    for _ in 0..2 {
        maker.make(withdraw(&id, 30)).await.unwrap();
    }
    assert_eq!(balance(store, &id).await, 40);
}

/// The events after a change: a deposit has a currency now.
mod today {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq, Event, Serialize, Deserialize)]
    pub(super) enum AccountEvent {
        Opened {
            #[id]
            account_id: String,
        },
        Deposited {
            #[id]
            account_id: String,
            amount: u64,
            currency: String,
        },
    }

    #[derive(Debug, Default, StateQuery, Clone, Serialize, Deserialize)]
    #[state_query(AccountEvent)]
    pub(super) struct Account {
        #[id]
        pub(super) account_id: String,
    }

    impl StateMutate for Account {
        fn mutate(&mut self, _event: Self::Event) {}
    }
}

#[tokio::test]
async fn a_changed_event_is_refused() {
    let (_turn, _, id) = account_of_100("changed").await;
    let serde = Json::<today::AccountEvent>::default();
    let store = PgEventStore::try_new(pool().await, serde).await.unwrap();
    let states = EventSourcedStateStore::new(store, NoSnapshot);
    let account = today::Account { account_id: id };
    let refused = states.load(account).await.err().expect("it is refused");
    let refused = refused.downcast_ref::<Error>();
    assert!(
        matches!(refused, Some(Error::Deserialization(_))),
        "an event that cannot be read, not {refused:?}"
    );
}
