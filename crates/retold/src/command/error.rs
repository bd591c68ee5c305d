//! Why a command was not carried out.

use std::error::Error as StdError;
use std::fmt;

use crate::Error;

/// Why a command was not carried out: the aggregate refused it, or it could not be asked.
#[derive(Debug, Clone)]
pub enum ExecuteError<E> {
    /// What [`decide`](crate::Aggregate::decide) said, as it said it. Nothing was written.
    Rejected(E),
    /// Anything else. Nothing was written, but after
    /// [`UnknownOutcome`](retold_core::Error::UnknownOutcome).
    Failed(Error),
}

impl<E> ExecuteError<E> {
    /// What the aggregate said; none where it was not asked.
    pub fn rejected(self) -> Option<E> {
        match self {
            ExecuteError::Rejected(rejected) => Some(rejected),
            ExecuteError::Failed(_) => None,
        }
    }
}

impl<E> From<Error> for ExecuteError<E> {
    fn from(error: Error) -> Self {
        ExecuteError::Failed(error)
    }
}

impl<E> From<retold_core::Error> for ExecuteError<E> {
    fn from(error: retold_core::Error) -> Self {
        ExecuteError::Failed(Error::Store(error))
    }
}

impl<E: fmt::Display> fmt::Display for ExecuteError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExecuteError::Rejected(rejected) => rejected.fmt(f),
            ExecuteError::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: StdError> StdError for ExecuteError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ExecuteError::Rejected(rejected) => rejected.source(),
            ExecuteError::Failed(error) => error.source(),
        }
    }
}
