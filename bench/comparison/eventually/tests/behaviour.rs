//! What eventually does on a conflict and on a retry: what docs/comparison.md says of it. Its
//! store in memory keeps the values themselves, so nothing is to be seen there of a changed event.

use comparison_eventually::{Account, AccountCommand, AccountEvent};
use eventually::aggregate::AggregateRootBuilder;
use eventually::inmemory::{ConflictError, EventStore, EventStoreBuilder};
use eventually::repository::{Error, Repository};

type Accounts = Repository<Account, EventStore<String, AccountEvent>>;

/// A repository with an account that holds 100.
async fn account_of_100() -> Accounts {
    let store = EventStoreBuilder::for_aggregate(&Account);
    let mut accounts = Repository::new(AggregateRootBuilder::from(Account), store);
    let mut account = accounts.get("ada".to_string()).await.unwrap();
    account.handle(AccountCommand::Open).await.unwrap();
    let deposit = AccountCommand::Deposit { amount: 100 };
    account.handle(deposit).await.unwrap();
    accounts.add(account).await.unwrap();
    accounts
}

#[tokio::test]
async fn a_lost_race_is_the_callers_to_repeat() {
    let mut accounts = account_of_100().await;
    let mut first = accounts.get("ada".to_string()).await.unwrap();
    let mut second = accounts.get("ada".to_string()).await.unwrap();
    for account in [&mut first, &mut second] {
        let withdraw = AccountCommand::Withdraw { amount: 60 };
        account.handle(withdraw).await.unwrap();
    }
    accounts.add(first).await.unwrap();
    let lost = accounts.add(second).await.err();
    let Some(Error::Store(ConflictError { expected, actual })) = lost else {
        panic!("a conflict, not {lost:?}");
    };
    assert_eq!((expected, actual), (3, 2));
}

#[tokio::test]
async fn a_retry_takes_effect_again() {
    let mut accounts = account_of_100().await;
    for _ in 0..2 {
        let mut account = accounts.get("ada".to_string()).await.unwrap();
        let withdraw = AccountCommand::Withdraw { amount: 30 };
        account.handle(withdraw).await.unwrap();
        accounts.add(account).await.unwrap();
    }
    let account = accounts.get("ada".to_string()).await.unwrap();
    assert_eq!(account.state().balance, 40);
}
