//! What an aggregate tells those who check a program against its past: which versions of events
//! are today's, which shapes they have, and how snapshots are derived anew.

use super::{Aggregate, AggregateReducer, Event};
use crate::{CheckSnapshots, EventShape, Upcasters};

impl Upcasters {
    /// Upcasters of the events of an aggregate. Their chains must lead to the versions that its
    /// events have today.
    ///
    /// ```
    /// # use retold::{Aggregate, Upcasters};
    /// # fn example<Account: Aggregate>() {
    /// Upcasters::of_aggregate::<Account>()
    ///     .change("account.opened", "1.0.0", "2.0.0", |old: serde_json::Value| Ok(old));
    /// # }
    /// ```
    pub fn of_aggregate<A: Aggregate>() -> Upcasters {
        let kinds = A::Event::KINDS.iter();
        kinds.fold(Upcasters::of(A::TYPE), |upcasters, kind| {
            upcasters.current(kind.event_type, kind.version)
        })
    }
}

impl EventShape {
    /// The shapes of today's events of an aggregate.
    pub fn of_aggregate_events<A: Aggregate>() -> Vec<EventShape> {
        let shapes = A::Event::shapes().into_iter();
        shapes.map(|shape| shape.of_aggregate(A::TYPE)).collect()
    }
}

impl CheckSnapshots {
    /// Also checks the snapshots of an aggregate.
    pub fn aggregate<A: Aggregate>(self) -> Self {
        self.reducer(AggregateReducer::<A>::new())
    }
}
