//! The fold of an aggregate, as a reducer like any other.

use std::marker::PhantomData;

use retold_core::RecordedEvent;
use schemars::Schema;

use super::Aggregate;
use super::event::decode;
use crate::BoxError;
use crate::fold::Reducer;

/// Folds the events of an aggregate into its state.
pub(crate) struct AggregateReducer<A> {
    name: String,
    aggregate: PhantomData<fn() -> A>,
}

/// The name that the snapshots of an aggregate are kept under.
pub(super) fn reducer_name(aggregate_type: &str) -> String {
    format!("$aggregate/{aggregate_type}")
}

impl<A: Aggregate> AggregateReducer<A> {
    pub(crate) fn new() -> AggregateReducer<A> {
        AggregateReducer {
            name: reducer_name(A::TYPE),
            aggregate: PhantomData,
        }
    }
}

impl<A: Aggregate> Reducer for AggregateReducer<A> {
    type State = A;

    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        A::VERSION
    }

    fn state_schema(&self) -> Option<Schema> {
        Some(A::schema())
    }

    fn initial(&self) -> A {
        A::default()
    }

    fn apply(&self, state: &mut A, event: &RecordedEvent) -> Result<(), BoxError> {
        state.apply(decode(event)?);
        Ok(())
    }
}
