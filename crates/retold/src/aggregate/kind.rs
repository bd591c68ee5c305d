//! What a handle keeps for each kind of aggregate: its reducer, and the states that were used
//! last.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Aggregate, AggregateReducer};
use crate::hot::{HotCounts, HotStates};

/// One kind of aggregate.
pub(crate) struct Kind<A> {
    pub(crate) reducer: AggregateReducer<A>,
    pub(crate) hot: HotStates<Arc<A>>,
}

/// The kinds that commands were asked of so far.
pub(crate) struct Kinds {
    by_type: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    hot_states_max: usize,
    counts: Arc<HotCounts>,
}

impl Kinds {
    pub(crate) fn new(hot_states_max: usize, counts: Arc<HotCounts>) -> Kinds {
        Kinds {
            by_type: RwLock::default(),
            hot_states_max,
            counts,
        }
    }

    /// The kind of an aggregate.
    pub(crate) fn of<A: Aggregate>(&self) -> Arc<Kind<A>> {
        let id = TypeId::of::<A>();
        let known = {
            let kinds = self.by_type.read().unwrap_or_else(PoisonError::into_inner);
            kinds.get(&id).cloned()
        };
        let kind = known.unwrap_or_else(|| {
            let mut kinds = self.by_type.write().unwrap_or_else(PoisonError::into_inner);
            let new = || -> Arc<dyn Any + Send + Sync> {
                Arc::new(Kind::<A> {
                    reducer: AggregateReducer::new(),
                    hot: HotStates::new(self.hot_states_max, self.counts.clone()),
                })
            };
            kinds.entry(id).or_insert_with(new).clone()
        });
        let kind = kind.downcast::<Kind<A>>();
        kind.expect("a kind lies under the id of its own type")
    }
}
