//! An account, for tests of aggregates.

use retold::{Aggregate, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Account {
    pub(crate) balance: u64,
    pub(crate) moves: u64,
    pub(crate) is_closed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Event)]
pub(crate) enum AccountEvent {
    #[event("account.deposited")]
    Deposited { amount: u64 },
    #[event("account.withdrawn")]
    Withdrawn { amount: u64 },
    #[event("account.closed", version = "2.0.0")]
    Closed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum AccountCommand {
    Deposit(u64),
    /// As several events.
    DepositEach(Vec<u64>),
    Withdraw(u64),
    /// Nothing to do where it is closed already; else what is left is withdrawn first.
    Close,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("withdraw {amount}: only {balance} are left")]
    Overdrawn { balance: u64, amount: u64 },
    #[error("use an account that is closed")]
    Closed,
}

pub(crate) use AccountCommand::{Close, Deposit, DepositEach, Withdraw};
pub(crate) use AccountEvent::{Closed, Deposited, Withdrawn};

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    const SNAPSHOT_EVERY: u64 = 5;
    type Event = AccountEvent;
    type Command = AccountCommand;
    type Error = Refused;

    fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Refused> {
        let balance = self.balance;
        match *command {
            Close if self.is_closed => Ok(vec![]),
            _ if self.is_closed => Err(Refused::Closed),
            Deposit(amount) => Ok(vec![Deposited { amount }]),
            DepositEach(ref amounts) => {
                Ok(amounts.iter().map(|&amount| Deposited { amount }).collect())
            }
            Withdraw(amount) if amount > balance => Err(Refused::Overdrawn { balance, amount }),
            Withdraw(amount) => Ok(vec![Withdrawn { amount }]),
            Close if balance == 0 => Ok(vec![Closed]),
            Close => Ok(vec![Withdrawn { amount: balance }, Closed]),
        }
    }

    fn apply(&mut self, event: AccountEvent) {
        self.moves += 1;
        match event {
            Deposited { amount } => self.balance += amount,
            Withdrawn { amount } => self.balance -= amount,
            Closed => self.is_closed = true,
        }
    }
}
