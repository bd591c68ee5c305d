//! The first aggregate: a state, its events, its commands, and two functions.
//!
//! `cargo run -p retold --example first_aggregate`

use retold::{Aggregate, Event, ExecuteError, Retold};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is derived from the events.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
struct Account {
    balance: u64,
}

/// What can happen, under the names that the log keeps for ever.
#[derive(Event)]
enum AccountEvent {
    #[event("account.deposited")]
    Deposited { amount: u64 },
    #[event("account.withdrawn")]
    Withdrawn { amount: u64 },
}

/// What can be asked for.
enum AccountCommand {
    Deposit { amount: u64 },
    Withdraw { amount: u64 },
}

/// Why it may be refused: an error of yours, which comes back as it is.
#[derive(Debug, thiserror::Error)]
#[error("only {balance} are left")]
struct Overdrawn {
    balance: u64,
}

impl Aggregate for Account {
    const TYPE: &'static str = "Account";
    type Event = AccountEvent;
    type Command = AccountCommand;
    type Error = Overdrawn;

    fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Overdrawn> {
        let balance = self.balance;
        match *command {
            AccountCommand::Withdraw { amount } if amount > balance => Err(Overdrawn { balance }),
            AccountCommand::Withdraw { amount } => Ok(vec![AccountEvent::Withdrawn { amount }]),
            AccountCommand::Deposit { amount } => Ok(vec![AccountEvent::Deposited { amount }]),
        }
    }

    fn apply(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::Deposited { amount } => self.balance += amount,
            AccountEvent::Withdrawn { amount } => self.balance -= amount,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let retold = Retold::open("memory:").await?;
    let deposit = AccountCommand::Deposit { amount: 10 };
    retold.execute::<Account>("alice", deposit).await?;
    let withdraw = AccountCommand::Withdraw { amount: 7 };
    let executed = retold.execute::<Account>("alice", withdraw).await?;
    assert_eq!(executed.state.balance, 3);

    let again = AccountCommand::Withdraw { amount: 7 };
    match retold.execute::<Account>("alice", again).await {
        Err(ExecuteError::Rejected(overdrawn)) => println!("refused: {overdrawn}"),
        Err(ExecuteError::Failed(error)) => return Err(error.into()),
        Ok(_) => unreachable!("there are not 7 left"),
    }
    Ok(())
}
