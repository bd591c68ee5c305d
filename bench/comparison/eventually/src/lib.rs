//! A first account with eventually, after the documents of its modules `aggregate` and
//! `repository`, kept in its store in memory.

use eventually::aggregate::{Aggregate, AggregateRootBuilder};
use eventually::inmemory::{ConflictError, EventStoreBuilder};
use eventually::repository::{Error, Repository};
use futures::future::{BoxFuture, FutureExt};

#[derive(Debug)]
pub enum AccountCommand {
    Open,
    Deposit { amount: u64 },
    Withdraw { amount: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountEvent {
    Opened,
    Deposited { amount: u64 },
    Withdrawn { amount: u64 },
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error("the account is open already")]
    AlreadyOpen,
    #[error("the account is not open")]
    NotOpen,
    #[error("the account holds {balance} only")]
    InsufficientFunds { balance: u64 },
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct AccountState {
    pub open: bool,
    pub balance: u64,
}

#[derive(Debug, Clone)]
pub struct Account;

impl Aggregate for Account {
    type Id = String;
    type State = AccountState;
    type Event = AccountEvent;
    type Command = AccountCommand;
    type Error = AccountError;

    fn apply(mut state: AccountState, event: AccountEvent) -> Result<AccountState, AccountError> {
        match event {
            AccountEvent::Opened => state.open = true,
            AccountEvent::Deposited { amount } => state.balance += amount,
            AccountEvent::Withdrawn { amount } => state.balance -= amount,
        }
        Ok(state)
    }

    fn handle<'a, 's: 'a>(
        &'a self,
        _id: &'s String,
        state: &'s AccountState,
        command: AccountCommand,
    ) -> BoxFuture<'a, Result<Option<Vec<AccountEvent>>, AccountError>> {
        async move {
            let balance = state.balance;
            let event = match command {
                AccountCommand::Open if state.open => return Err(AccountError::AlreadyOpen),
                AccountCommand::Open => AccountEvent::Opened,
                _ if !state.open => return Err(AccountError::NotOpen),
                AccountCommand::Deposit { amount } => AccountEvent::Deposited { amount },
                AccountCommand::Withdraw { amount } if amount > balance => {
                    return Err(AccountError::InsufficientFunds { balance });
                }
                AccountCommand::Withdraw { amount } => AccountEvent::Withdrawn { amount },
            };
            Ok(Some(vec![event]))
        }
        .boxed()
    }
}

/// Opens an account, moves money, and gives the balance.
pub async fn first_account() -> Result<u64, Error<AccountError, ConflictError>> {
    let store = EventStoreBuilder::for_aggregate(&Account);
    let builder = AggregateRootBuilder::from(Account);
    let mut accounts = Repository::new(builder, store);
    let mut account = accounts.get("ada".to_string()).await?;
    for command in [
        AccountCommand::Open,
        AccountCommand::Deposit { amount: 100 },
        AccountCommand::Withdraw { amount: 30 },
    ] {
        account.handle(command).await.map_err(Error::Aggregate)?;
    }
    accounts.add(account).await?;
    let account = accounts.get("ada".to_string()).await?;
    Ok(account.state().balance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eventually::aggregate::{AggregateExt, AggregateRoot};

    /// An account to which this happened. The crate has no given/when/then of its own.
    fn given(events: &[AccountEvent]) -> AggregateRoot<Account> {
        let history = events.iter().cloned();
        let state = Account::fold(AccountState::default(), history).unwrap();
        let version = events.len() as u32;
        AggregateRootBuilder::from(Account).build_with_state("ada".to_string(), version, state)
    }

    #[tokio::test]
    async fn an_account_is_opened_once() {
        let mut account = given(&[AccountEvent::Opened]);
        let refused = account.handle(AccountCommand::Open).await;
        assert_eq!(refused.unwrap_err(), AccountError::AlreadyOpen);
    }

    #[tokio::test]
    async fn money_is_withdrawn() {
        let account = given(&[
            AccountEvent::Opened,
            AccountEvent::Deposited { amount: 100 },
        ]);
        let withdraw = AccountCommand::Withdraw { amount: 30 };
        let events = Account.handle(account.id(), account.state(), withdraw);
        let withdrawn = AccountEvent::Withdrawn { amount: 30 };
        assert_eq!(events.await, Ok(Some(vec![withdrawn])));
    }

    #[tokio::test]
    async fn more_than_there_is_cannot_be_withdrawn() {
        let mut account = given(&[
            AccountEvent::Opened,
            AccountEvent::Deposited { amount: 100 },
        ]);
        let refused = account.handle(AccountCommand::Withdraw { amount: 101 });
        let insufficient = AccountError::InsufficientFunds { balance: 100 };
        assert_eq!(refused.await.unwrap_err(), insufficient);
    }

    #[tokio::test]
    async fn the_balance_is_what_was_kept() {
        assert_eq!(first_account().await.unwrap(), 70);
    }
}
