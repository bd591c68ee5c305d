//! A first account with cqrs-es, after its book, kept in SQLite by sqlite-es, after its README.

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, AggregateContext, AggregateError, DomainEvent, EventStore};
use serde::{Deserialize, Serialize};
use sqlite_es::{SqliteEventRepository, sqlite_cqrs};
use sqlx::{Pool, Sqlite};

#[derive(Debug)]
pub enum AccountCommand {
    Open,
    Deposit { amount: u64 },
    Withdraw { amount: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountEvent {
    Opened,
    Deposited { amount: u64 },
    Withdrawn { amount: u64 },
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        let name = match self {
            AccountEvent::Opened => "Opened",
            AccountEvent::Deposited { .. } => "Deposited",
            AccountEvent::Withdrawn { .. } => "Withdrawn",
        };
        name.to_string()
    }

    fn event_version(&self) -> String {
        "1.0".to_string()
    }
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

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    open: bool,
    balance: u64,
}

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = AccountError;
    type Services = ();

    async fn handle(
        &mut self,
        command: AccountCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), AccountError> {
        let balance = self.balance;
        let event = match command {
            AccountCommand::Open if self.open => return Err(AccountError::AlreadyOpen),
            AccountCommand::Open => AccountEvent::Opened,
            _ if !self.open => return Err(AccountError::NotOpen),
            AccountCommand::Deposit { amount } => AccountEvent::Deposited { amount },
            AccountCommand::Withdraw { amount } if amount > balance => {
                return Err(AccountError::InsufficientFunds { balance });
            }
            AccountCommand::Withdraw { amount } => AccountEvent::Withdrawn { amount },
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::Opened => self.open = true,
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
        }
    }
}

/// Opens an account, moves money, and gives the balance.
pub async fn first_account(pool: Pool<Sqlite>) -> Result<u64, AggregateError<AccountError>> {
    let cqrs = sqlite_cqrs::<Account>(pool.clone(), vec![], ());
    cqrs.execute("ada", AccountCommand::Open).await?;
    cqrs.execute("ada", AccountCommand::Deposit { amount: 100 })
        .await?;
    cqrs.execute("ada", AccountCommand::Withdraw { amount: 30 })
        .await?;
    balance(pool, "ada").await
}

/// What is read from the events; the framework itself answers queries from views.
pub async fn balance(pool: Pool<Sqlite>, id: &str) -> Result<u64, AggregateError<AccountError>> {
    let repository = SqliteEventRepository::new(pool);
    let store = PersistedEventStore::<_, Account>::new_event_store(repository);
    Ok(store.load_aggregate(id).await?.aggregate().balance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cqrs_es::test::TestFramework;
    use sqlite_es::default_sqlite_pool;

    type AccountTest = TestFramework<Account>;

    #[test]
    fn an_account_is_opened_once() {
        AccountTest::with(())
            .given(vec![AccountEvent::Opened])
            .when(AccountCommand::Open)
            .then_expect_error(AccountError::AlreadyOpen);
    }

    #[test]
    fn money_is_withdrawn() {
        AccountTest::with(())
            .given(vec![
                AccountEvent::Opened,
                AccountEvent::Deposited { amount: 100 },
            ])
            .when(AccountCommand::Withdraw { amount: 30 })
            .then_expect_events(vec![AccountEvent::Withdrawn { amount: 30 }]);
    }

    #[test]
    fn more_than_there_is_cannot_be_withdrawn() {
        AccountTest::with(())
            .given(vec![
                AccountEvent::Opened,
                AccountEvent::Deposited { amount: 100 },
            ])
            .when(AccountCommand::Withdraw { amount: 101 })
            .then_expect_error(AccountError::InsufficientFunds { balance: 100 });
    }

    #[tokio::test]
    async fn the_balance_is_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("account.db");
        let pool = default_sqlite_pool(file.to_str().unwrap()).await;
        let tables = include_str!("../events.sql");
        sqlx::raw_sql(tables).execute(&pool).await.unwrap();
        assert_eq!(first_account(pool).await.unwrap(), 70);
    }
}
