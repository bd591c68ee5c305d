//! Commands over several aggregates at once: all their events are appended in one call, each
//! stream at the sequence number that the decision rests on, or none is.

use std::marker::PhantomData;
use std::sync::Arc;

use retold_core::{NewEvent, RecordedEvent, Text};

use super::execution::execute;
use super::facts::{Facts, facts_methods};
use super::member::{AnyMember, Member};
use super::{ExecuteError, Executed};
use crate::aggregate::Aggregate;
use crate::{Error, Retold};

/// The aggregates that a command concerns together: a tuple of two to four, such as
/// `(Account, Account)`. Implemented for these only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name several aggregates",
    label = "not a tuple of aggregates",
    note = "name two to four aggregates as a tuple: `execute_together::<(Account, Account)>`; for one there is `execute`"
)]
pub trait Together: Sized + Send + 'static {
    /// Their ids, in the order of the tuple: an array of texts is one.
    type Ids: Send + 'static;
    /// Their states, such as `(Arc<Account>, Arc<Account>)`.
    type States: Send;
    /// What happens to each, such as `(Vec<AccountEvent>, Vec<AccountEvent>)`.
    type Events: Send;
    /// What was done to each, such as `(Executed<Account>, Executed<Account>)`.
    type Executed: Send;

    #[doc(hidden)]
    type Members: Send;
    #[doc(hidden)]
    fn members(retold: &Retold, ids: Self::Ids) -> Result<Self::Members, Error>;
    #[doc(hidden)]
    fn each(members: &mut Self::Members) -> Vec<&mut dyn AnyMember>;
    #[doc(hidden)]
    fn states(members: &Self::Members) -> Self::States;
    #[doc(hidden)]
    fn to_new(
        retold: &Retold,
        members: &Self::Members,
        events: Self::Events,
    ) -> Result<Vec<NewEvent>, Error>;
    #[doc(hidden)]
    fn executed(
        retold: &Retold,
        members: Self::Members,
        is_new: bool,
        recorded: &[RecordedEvent],
    ) -> Result<Self::Executed, Error>;
}

/// The ids of `N` aggregates.
#[derive(Debug, Clone)]
pub struct Ids<const N: usize>([Text; N]);

impl<T: Into<Text>, const N: usize> From<[T; N]> for Ids<N> {
    fn from(ids: [T; N]) -> Self {
        Ids(ids.map(Into::into))
    }
}

/// A single aggregate, so that both kinds of commands are carried out by the same code.
pub(super) struct One<A>(PhantomData<fn() -> A>);

impl<A: Aggregate> Together for One<A> {
    type Ids = Text;
    type States = Arc<A>;
    type Events = Vec<A::Event>;
    type Executed = Executed<A>;
    type Members = Member<A>;

    fn members(retold: &Retold, id: Text) -> Result<Member<A>, Error> {
        Member::new(retold, id)
    }

    fn each(member: &mut Member<A>) -> Vec<&mut dyn AnyMember> {
        vec![member]
    }

    fn states(member: &Member<A>) -> Arc<A> {
        member.state()
    }

    fn to_new(
        retold: &Retold,
        member: &Member<A>,
        events: Vec<A::Event>,
    ) -> Result<Vec<NewEvent>, Error> {
        member.to_new(retold, events)
    }

    fn executed(
        retold: &Retold,
        member: Member<A>,
        is_new: bool,
        recorded: &[RecordedEvent],
    ) -> Result<Executed<A>, Error> {
        member.executed(retold, is_new, recorded)
    }
}

/// Implements [`Together`] for a tuple.
macro_rules! together {
    ($count:literal: $($aggregate:ident $index:tt),*) => {
        impl<$($aggregate: Aggregate),*> Together for ($($aggregate,)*) {
            type Ids = Ids<$count>;
            type States = ($(Arc<$aggregate>,)*);
            type Events = ($(Vec<$aggregate::Event>,)*);
            type Executed = ($(Executed<$aggregate>,)*);
            type Members = ($(Member<$aggregate>,)*);

            fn members(retold: &Retold, ids: Self::Ids) -> Result<Self::Members, Error> {
                let mut ids = ids.0.into_iter();
                let mut next = || ids.next().expect("there are as many ids as aggregates");
                Ok(($(Member::<$aggregate>::new(retold, next())?,)*))
            }

            fn each(members: &mut Self::Members) -> Vec<&mut dyn AnyMember> {
                vec![$(&mut members.$index),*]
            }

            fn states(members: &Self::Members) -> Self::States {
                ($(members.$index.state(),)*)
            }

            fn to_new(
                retold: &Retold,
                members: &Self::Members,
                events: Self::Events,
            ) -> Result<Vec<NewEvent>, Error> {
                let mut new = Vec::new();
                $(new.extend(members.$index.to_new(retold, events.$index)?);)*
                Ok(new)
            }

            fn executed(
                retold: &Retold,
                members: Self::Members,
                is_new: bool,
                recorded: &[RecordedEvent],
            ) -> Result<Self::Executed, Error> {
                Ok(($(members.$index.executed(retold, is_new, recorded)?,)*))
            }
        }
    };
}

together!(2: A 0, B 1);
together!(3: A 0, B 1, C 2);
together!(4: A 0, B 1, C 2, D 3);

/// A command over several aggregates: [`Retold::execute_together`].
#[must_use = "a command is not carried out without `decide`"]
pub struct ExecuteTogether<G: Together> {
    retold: Retold,
    ids: G::Ids,
    facts: Facts,
}

impl<G: Together> ExecuteTogether<G> {
    pub(crate) fn new(retold: Retold, ids: G::Ids) -> ExecuteTogether<G> {
        ExecuteTogether {
            retold,
            ids,
            facts: Facts::default(),
        }
    }

    facts_methods!();

    /// Decides what happens to each of them, from the states of all of them, and carries it out.
    /// Like [`Aggregate::decide`] it may be asked again after a lost race, so it must not do
    /// anything but decide.
    ///
    /// # Errors
    /// As [`Retold::execute_together`].
    pub async fn decide<E: Send>(
        self,
        decide: impl FnMut(&G::States) -> Result<G::Events, E> + Send,
    ) -> Result<G::Executed, ExecuteError<E>> {
        if !self.retold.store().capabilities().multi_stream {
            return Err(ExecuteError::from(retold_core::Error::Unsupported {
                what: "a command over several aggregates".into(),
            }));
        }
        execute::<G, E>(&self.retold, self.ids, &self.facts, decide).await
    }
}
