//! A first account with disintegrate, after its README, kept in PostgreSQL.

use disintegrate::serde::json::Json;
use disintegrate::{BoxDynError, Decision, Event, NoSnapshot, StateMutate, StateQuery};
use disintegrate::{EventSourcedStateStore, LoadState};
use disintegrate_postgres::{PgEventStore, decision_maker};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

#[derive(Debug, Clone, PartialEq, Eq, Event, Serialize, Deserialize)]
pub enum AccountEvent {
    Opened {
        #[id]
        account_id: String,
    },
    Deposited {
        #[id]
        account_id: String,
        amount: u64,
    },
    Withdrawn {
        #[id]
        account_id: String,
        amount: u64,
    },
}

#[derive(Debug, Default, StateQuery, Clone, Serialize, Deserialize)]
#[state_query(AccountEvent)]
pub struct Account {
    #[id]
    account_id: String,
    open: bool,
    pub balance: u64,
}

impl Account {
    pub fn new(account_id: &str) -> Self {
        Self {
            account_id: account_id.to_string(),
            ..Default::default()
        }
    }
}

impl StateMutate for Account {
    fn mutate(&mut self, event: Self::Event) {
        match event {
            AccountEvent::Opened { .. } => self.open = true,
            AccountEvent::Deposited { amount, .. } => self.balance += amount,
            AccountEvent::Withdrawn { amount, .. } => self.balance -= amount,
        }
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

pub struct OpenAccount {
    pub account_id: String,
}

impl Decision for OpenAccount {
    type Event = AccountEvent;
    type StateQuery = Account;
    type Error = AccountError;

    fn state_query(&self) -> Account {
        Account::new(&self.account_id)
    }

    fn process(&self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if account.open {
            return Err(AccountError::AlreadyOpen);
        }
        Ok(vec![AccountEvent::Opened {
            account_id: self.account_id.clone(),
        }])
    }
}

pub struct DepositAmount {
    pub account_id: String,
    pub amount: u64,
}

impl Decision for DepositAmount {
    type Event = AccountEvent;
    type StateQuery = Account;
    type Error = AccountError;

    fn state_query(&self) -> Account {
        Account::new(&self.account_id)
    }

    fn process(&self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        if !account.open {
            return Err(AccountError::NotOpen);
        }
        Ok(vec![AccountEvent::Deposited {
            account_id: self.account_id.clone(),
            amount: self.amount,
        }])
    }
}

pub struct WithdrawAmount {
    pub account_id: String,
    pub amount: u64,
}

impl Decision for WithdrawAmount {
    type Event = AccountEvent;
    type StateQuery = Account;
    type Error = AccountError;

    fn state_query(&self) -> Account {
        Account::new(&self.account_id)
    }

    fn process(&self, account: &Account) -> Result<Vec<AccountEvent>, AccountError> {
        let balance = account.balance;
        if !account.open {
            return Err(AccountError::NotOpen);
        }
        if self.amount > balance {
            return Err(AccountError::InsufficientFunds { balance });
        }
        Ok(vec![AccountEvent::Withdrawn {
            account_id: self.account_id.clone(),
            amount: self.amount,
        }])
    }
}

/// Opens an account, moves money, and gives the balance.
pub async fn first_account(pool: PgPool, id: &str) -> Result<u64, BoxDynError> {
    let account_id = id.to_string();
    let serde = Json::<AccountEvent>::default();
    let event_store = PgEventStore::try_new(pool, serde).await?;
    let decision_maker = decision_maker(event_store.clone(), NoSnapshot);
    decision_maker
        .make(OpenAccount {
            account_id: account_id.clone(),
        })
        .await?;
    decision_maker
        .make(DepositAmount {
            account_id: account_id.clone(),
            amount: 100,
        })
        .await?;
    decision_maker
        .make(WithdrawAmount {
            account_id,
            amount: 30,
        })
        .await?;
    let state_store = EventSourcedStateStore::new(event_store, NoSnapshot);
    let account = state_store.load(Account::new(id)).await?;
    Ok(account.state().balance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use disintegrate::TestHarness;

    fn opened() -> AccountEvent {
        AccountEvent::Opened {
            account_id: "ada".to_string(),
        }
    }

    fn deposited(amount: u64) -> AccountEvent {
        AccountEvent::Deposited {
            account_id: "ada".to_string(),
            amount,
        }
    }

    fn withdraw(amount: u64) -> WithdrawAmount {
        WithdrawAmount {
            account_id: "ada".to_string(),
            amount,
        }
    }

    #[test]
    fn an_account_is_opened_once() {
        let open = OpenAccount {
            account_id: "ada".to_string(),
        };
        TestHarness::given([opened()])
            .when(open)
            .then_err(AccountError::AlreadyOpen);
    }

    #[test]
    fn money_is_withdrawn() {
        TestHarness::given([opened(), deposited(100)])
            .when(withdraw(30))
            .then([AccountEvent::Withdrawn {
                account_id: "ada".to_string(),
                amount: 30,
            }]);
    }

    #[test]
    fn more_than_there_is_cannot_be_withdrawn() {
        TestHarness::given([opened(), deposited(100)])
            .when(withdraw(101))
            .then_err(AccountError::InsufficientFunds { balance: 100 });
    }

    #[tokio::test]
    async fn the_balance_is_what_was_kept() {
        let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a PostgreSQL");
        let pool = PgPool::connect(&url).await.unwrap();
        let id = format!("ada-{}", std::process::id());
        assert_eq!(first_account(pool, &id).await.unwrap(), 70);
    }
}
