//! A first account with mire, after its README and its example `commands`, kept in its embedded
//! SQLite.

use mire::{Aggregate, Command, CommandError, EventData, EventStore};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, EventData)]
#[serde(tag = "type")]
#[mire(entity = "account")]
pub enum AccountEvent {
    Opened,
    Deposited { amount: u64 },
    Withdrawn { amount: u64 },
}

#[derive(Debug, Default)]
pub struct Account {
    pub open: bool,
    pub balance: u64,
}

impl Aggregate for Account {
    type Event = AccountEvent;

    fn stream_category() -> &'static str {
        "account"
    }

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened => self.open = true,
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
        }
    }
}

#[derive(Debug)]
pub enum AccountCommand {
    Open,
    Deposit { amount: u64 },
    Withdraw { amount: u64 },
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

impl Command for AccountCommand {
    type Aggregate = Account;
    type Error = AccountError;
    type Events = [AccountEvent; 1];

    fn handle(self, account: &Account) -> Result<Self::Events, AccountError> {
        let balance = account.balance;
        let event = match self {
            AccountCommand::Open if account.open => return Err(AccountError::AlreadyOpen),
            AccountCommand::Open => AccountEvent::Opened,
            _ if !account.open => return Err(AccountError::NotOpen),
            AccountCommand::Deposit { amount } => AccountEvent::Deposited { amount },
            AccountCommand::Withdraw { amount } if amount > balance => {
                return Err(AccountError::InsufficientFunds { balance });
            }
            AccountCommand::Withdraw { amount } => AccountEvent::Withdrawn { amount },
        };
        Ok([event])
    }
}

/// Opens an account, moves money, and gives the balance.
pub async fn first_account(store: &EventStore) -> Result<u64, CommandError<AccountError>> {
    let accounts = store.repository::<Account>();
    accounts.send("ada", AccountCommand::Open).await?;
    accounts
        .send("ada", AccountCommand::Deposit { amount: 100 })
        .await?;
    accounts
        .send("ada", AccountCommand::Withdraw { amount: 30 })
        .await?;
    let account = store.load_or_default::<Account>("ada").await?;
    Ok(account.state.balance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mire::AggregateRoot;

    /// An account to which this happened. The crate has no given/when/then of its own.
    fn given(events: impl IntoIterator<Item = AccountEvent>) -> AggregateRoot<Account> {
        let mut account = AggregateRoot::new("ada");
        for event in events {
            account.record(event);
        }
        account
    }

    #[test]
    fn an_account_is_opened_once() {
        let mut account = given([AccountEvent::Opened]);
        let refused = account.execute(AccountCommand::Open);
        assert_eq!(refused, Err(AccountError::AlreadyOpen));
    }

    #[test]
    fn money_is_withdrawn() {
        let account = given([
            AccountEvent::Opened,
            AccountEvent::Deposited { amount: 100 },
        ]);
        let events = AccountCommand::Withdraw { amount: 30 }.handle(&account.state);
        assert_eq!(events, Ok([AccountEvent::Withdrawn { amount: 30 }]));
    }

    #[test]
    fn more_than_there_is_cannot_be_withdrawn() {
        let mut account = given([
            AccountEvent::Opened,
            AccountEvent::Deposited { amount: 100 },
        ]);
        let refused = account.execute(AccountCommand::Withdraw { amount: 101 });
        let insufficient = AccountError::InsufficientFunds { balance: 100 };
        assert_eq!(refused, Err(insufficient));
    }

    #[tokio::test]
    async fn the_balance_is_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("account.db");
        let store = EventStore::open(file).await.unwrap();
        store.migrate().await.unwrap();
        assert_eq!(first_account(&store).await.unwrap(), 70);
    }
}
