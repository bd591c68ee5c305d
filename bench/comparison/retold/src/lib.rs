//! A first account with Retold, after its README, kept in its embedded log.

use retold::{Aggregate, Event, ExecuteError, Retold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    open: bool,
    pub balance: u64,
}

#[derive(Debug, Event)]
pub enum AccountEvent {
    #[event("account.opened")]
    Opened,
    #[event("account.deposited")]
    Deposited { amount: u64 },
    #[event("account.withdrawn")]
    Withdrawn { amount: u64 },
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

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Event = AccountEvent;
    type Command = AccountCommand;
    type Error = AccountError;

    fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, AccountError> {
        let balance = self.balance;
        let event = match *command {
            AccountCommand::Open if self.open => return Err(AccountError::AlreadyOpen),
            AccountCommand::Open => AccountEvent::Opened,
            _ if !self.open => return Err(AccountError::NotOpen),
            AccountCommand::Deposit { amount } => AccountEvent::Deposited { amount },
            AccountCommand::Withdraw { amount } if amount > balance => {
                return Err(AccountError::InsufficientFunds { balance });
            }
            AccountCommand::Withdraw { amount } => AccountEvent::Withdrawn { amount },
        };
        Ok(vec![event])
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
pub async fn first_account(retold: &Retold) -> Result<u64, ExecuteError<AccountError>> {
    retold
        .execute::<Account>("ada", AccountCommand::Open)
        .await?;
    retold
        .execute::<Account>("ada", AccountCommand::Deposit { amount: 100 })
        .await?;
    retold
        .execute::<Account>("ada", AccountCommand::Withdraw { amount: 30 })
        .await?;
    Ok(retold.load::<Account>("ada").await?.state.balance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use retold::testing::given;

    #[test]
    fn an_account_is_opened_once() {
        given::<Account>([AccountEvent::Opened])
            .when(AccountCommand::Open)
            .then_error(AccountError::AlreadyOpen);
    }

    #[test]
    fn money_is_withdrawn() {
        given::<Account>([
            AccountEvent::Opened,
            AccountEvent::Deposited { amount: 100 },
        ])
        .when(AccountCommand::Withdraw { amount: 30 })
        .then([AccountEvent::Withdrawn { amount: 30 }]);
    }

    #[test]
    fn more_than_there_is_cannot_be_withdrawn() {
        given::<Account>([
            AccountEvent::Opened,
            AccountEvent::Deposited { amount: 100 },
        ])
        .when(AccountCommand::Withdraw { amount: 101 })
        .then_error(AccountError::InsufficientFunds { balance: 100 });
    }

    #[tokio::test]
    async fn the_balance_is_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let retold = Retold::open(folder.path()).await.unwrap();
        assert_eq!(first_account(&retold).await.unwrap(), 70);
    }
}
