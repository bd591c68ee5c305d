//! What is asked for: a command of one aggregate, the call that asks for it, and the answer.

use std::future::IntoFuture;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{RecordedEvent, SequenceNumber, Text};

use super::ExecuteError;
use super::execution::execute;
use super::facts::{Facts, facts_methods};
use super::together::One;
use crate::Retold;
use crate::aggregate::Aggregate;

/// A command asked of an aggregate, to be awaited: [`Retold::execute`].
#[must_use = "a command is not carried out until it is awaited"]
pub struct Execute<A: Aggregate> {
    retold: Retold,
    id: Text,
    command: A::Command,
    facts: Facts,
}

impl<A: Aggregate> Execute<A> {
    pub(crate) fn new(retold: Retold, id: Text, command: A::Command) -> Execute<A> {
        Execute {
            retold,
            id,
            command,
            facts: Facts::default(),
        }
    }

    facts_methods!();
}

impl<A: Aggregate> IntoFuture for Execute<A> {
    type Output = Result<Executed<A>, ExecuteError<A::Error>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Execute {
            retold,
            id,
            command,
            facts,
        } = self;
        async move {
            let decide = move |state: &Arc<A>| state.decide(&command);
            execute::<One<A>, _>(&retold, id, &facts, decide).await
        }
        .boxed()
    }
}

/// What a command did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Executed<A: Aggregate> {
    /// False when the command was carried out before under the same idempotency key; this is its
    /// answer then, and nothing was written.
    pub is_new: bool,
    /// The events that followed from it; none where there was nothing to do.
    pub events: Vec<A::Event>,
    /// The same as the log keeps them, with their ids and places.
    pub recorded: Vec<RecordedEvent>,
    /// The state that they led to. Of a repeated command the aggregate may have left it since.
    pub state: Arc<A>,
    /// The sequence number of the last event folded into the state; 0 before the first.
    pub sequence_number: SequenceNumber,
}
