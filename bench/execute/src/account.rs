//! The account that is measured: opened once, then deposits with a note, as on the peer's side;
//! and a command that fills it with a history.

use retold::{Aggregate, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account of which a snapshot is made at each multiple of `EVERY` events; at 0 none is made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Account<const EVERY: u64> {
    open: bool,
    balance: u64,
}

#[derive(Debug, Event)]
pub(crate) enum AccountEvent {
    #[event("account.opened")]
    Opened,
    #[event("account.deposited")]
    Deposited { amount: u64, note: String },
}

#[derive(Debug)]
pub(crate) enum AccountCommand {
    Open,
    Deposit {
        amount: u64,
        note: String,
    },
    /// So many deposits at once.
    Fill {
        deposits: u64,
        note: String,
    },
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("the account is open already")]
    AlreadyOpen,
    #[error("the account is not open")]
    NotOpen,
}

impl<const EVERY: u64> Aggregate for Account<EVERY> {
    const TYPE: &'static str = if EVERY == 0 {
        "AccountWithoutSnapshots"
    } else {
        "Account"
    };
    const SNAPSHOT_EVERY: u64 = EVERY;
    type Event = AccountEvent;
    type Command = AccountCommand;
    type Error = AccountError;

    fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, AccountError> {
        let deposited = |amount, note: &String| AccountEvent::Deposited {
            amount,
            note: note.clone(),
        };
        match command {
            AccountCommand::Open if self.open => Err(AccountError::AlreadyOpen),
            AccountCommand::Open => Ok(vec![AccountEvent::Opened]),
            _ if !self.open => Err(AccountError::NotOpen),
            AccountCommand::Deposit { amount, note } => Ok(vec![deposited(*amount, note)]),
            AccountCommand::Fill { deposits, note } => Ok((0..*deposits)
                .map(|amount| deposited(amount, note))
                .collect()),
        }
    }

    fn apply(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::Opened => self.open = true,
            AccountEvent::Deposited { amount, .. } => self.balance += amount,
        }
    }
}
