//! The account that several examples share: see `first_aggregate` for how it is read.

use retold::{Aggregate, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Account {
    pub(crate) balance: u64,
}

#[derive(Debug, Event)]
pub(crate) enum AccountEvent {
    #[event("account.deposited")]
    Deposited { amount: u64 },
    #[event("account.withdrawn")]
    Withdrawn { amount: u64 },
}

#[derive(Debug)]
pub(crate) enum AccountCommand {
    Deposit { amount: u64 },
    Withdraw { amount: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("only {balance} are left")]
pub(crate) struct Overdrawn {
    pub(crate) balance: u64,
}

pub(crate) use AccountCommand::{Deposit, Withdraw};
pub(crate) use AccountEvent::{Deposited, Withdrawn};

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Event = AccountEvent;
    type Command = AccountCommand;
    type Error = Overdrawn;

    fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Overdrawn> {
        let balance = self.balance;
        match *command {
            Deposit { amount } => Ok(vec![Deposited { amount }]),
            Withdraw { amount } if amount > balance => Err(Overdrawn { balance }),
            Withdraw { amount } => Ok(vec![Withdrawn { amount }]),
        }
    }

    fn apply(&mut self, event: AccountEvent) {
        match event {
            Deposited { amount } => self.balance += amount,
            Withdrawn { amount } => self.balance -= amount,
        }
    }
}
