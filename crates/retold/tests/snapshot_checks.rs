//! Snapshots cannot lie: one of another fingerprint is never used, and a check finds one whose
//! state is not what the events come to.

#![allow(clippy::unwrap_used)]

mod support;

use std::marker::PhantomData;
use std::sync::Arc;

use proptest::prelude::*;
use retold::{
    BoxError, EventStore, Json, NewEvent, RecordedEvent, Reducer, Retold, SideStore, Snapshot,
    SnapshotFault, SnapshotQuery, StreamId, Upcasters,
};
use retold_memory::{MemorySideStore, MemoryStore};
use schemars::{JsonSchema, Schema, schema_for};
use serde_json::Value;
use support::{block, block_on, comment, start_work, unblock};

/// All that a fingerprint is made of.
#[derive(Debug, Clone, PartialEq)]
struct Declared {
    version: u8,
    shape: Option<bool>,
    /// How far the chain of upcasters goes.
    chain: u8,
    revision: u8,
    /// Whether the chain ends with a rename.
    is_renamed: bool,
}

fn declared() -> impl Strategy<Value = Declared> {
    (
        1..3_u8,
        any::<Option<bool>>(),
        0..3_u8,
        1..3_u8,
        any::<bool>(),
    )
        .prop_map(|(version, shape, chain, revision, is_renamed)| Declared {
            version,
            shape,
            chain,
            // Without upcasters there is nothing whose revision or end could count.
            revision: if chain > 0 { revision } else { 1 },
            is_renamed: chain > 0 && is_renamed,
        })
}

/// A reducer with the declarations given, over a state of one of three shapes.
struct Counting<S>(Declared, PhantomData<S>);

trait Shaped: Send + Sync + 'static {
    fn schema() -> Option<Schema>;
}

impl Shaped for () {
    fn schema() -> Option<Schema> {
        None
    }
}

impl Shaped for OneShape {
    fn schema() -> Option<Schema> {
        Some(schema_for!(OneShape))
    }
}

impl Shaped for AnotherShape {
    fn schema() -> Option<Schema> {
        Some(schema_for!(AnotherShape))
    }
}

#[derive(JsonSchema)]
struct OneShape {
    #[allow(dead_code)]
    count: u64,
}

#[derive(JsonSchema)]
struct AnotherShape {
    #[allow(dead_code)]
    count: String,
}

impl<S: Shaped> Reducer for Counting<S> {
    type State = u64;

    fn name(&self) -> &str {
        "count"
    }

    fn version(&self) -> &str {
        if self.0.version == 1 { "1" } else { "2" }
    }

    fn state_schema(&self) -> Option<Schema> {
        S::schema()
    }

    fn initial(&self) -> u64 {
        0
    }

    fn apply(&self, count: &mut u64, _: &RecordedEvent) -> Result<(), BoxError> {
        *count += 1;
        Ok(())
    }
}

/// Does something with the reducer of a declaration, whose type follows from the shape.
macro_rules! with_reducer {
    ($declared:expr, |$reducer:ident| $work:expr) => {
        match $declared.shape {
            None => {
                let $reducer = Counting::<()>($declared.clone(), PhantomData);
                $work
            }
            Some(true) => {
                let $reducer = Counting::<OneShape>($declared.clone(), PhantomData);
                $work
            }
            Some(false) => {
                let $reducer = Counting::<AnotherShape>($declared.clone(), PhantomData);
                $work
            }
        }
    };
}

impl Declared {
    fn upcasters(&self) -> Upcasters {
        let upcasters = Upcasters::of("Order").revision(self.revision.to_string());
        let upcasters = (0..self.chain).fold(upcasters, |upcasters, from| {
            let (from, to) = (from.to_string(), (from + 1).to_string());
            upcasters.change("order.placed", from, to, |old: Value| Ok(old))
        });
        if !self.is_renamed {
            return upcasters;
        }
        let end = ("order.placed", self.chain.to_string());
        upcasters.rename(end, ("order.bought", "1"), |old: Value| Ok(old))
    }

    async fn open(&self, log: &Arc<dyn EventStore>, side: &Arc<MemorySideStore>) -> Retold {
        let builder = Retold::builder()
            .store(log.clone())
            .side_store(side.clone());
        builder.upcasters(self.upcasters()).build().await.unwrap()
    }
}

fn order() -> StreamId {
    StreamId::new("Order", "1").unwrap()
}

proptest! {
    #[test]
    fn a_snapshot_with_another_fingerprint_is_never_used(then in declared(), now in declared()) {
        block_on(async {
            let log: Arc<dyn EventStore> = Arc::new(MemoryStore::new());
            let side = Arc::new(MemorySideStore::new());
            let retold = then.open(&log, &side).await;
            let placed = NewEvent::new(order(), "order.placed", &1).unwrap().version("0");
            retold.append(placed).await.unwrap();
            with_reducer!(then, |reducer| {
                retold.replay("Order", "1", reducer).snapshot().await.unwrap()
            });
            // A state that tells whether it was used.
            let kept = side.snapshots(SnapshotQuery::new(order())).await.unwrap().snapshots;
            let lying = Snapshot { state: Json::from_value(&700).unwrap(), ..kept[0].clone() };
            side.save_snapshot(lying).await.unwrap();

            let retold = now.open(&log, &side).await;
            let replayed = with_reducer!(now, |reducer| {
                let replay = retold.replay("Order", "1", reducer);
                replay.from_snapshot().await.unwrap()
            });
            let is_same = then == now;
            prop_assert_eq!(replayed.replayed_from, u64::from(is_same));
            prop_assert_eq!(replayed.state, if is_same { 700 } else { 1 });

            let report = with_reducer!(now, |reducer| {
                retold.check_snapshots().reducer(reducer).await.unwrap()
            });
            prop_assert_eq!(report.unused, u64::from(!is_same));
            prop_assert_eq!(report.differing, u64::from(is_same));
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_check_finds_each_snapshot_that_differs_and_names_what_it_cannot_check() {
    let side = Arc::new(MemorySideStore::new());
    let builder = Retold::builder()
        .builtin_machines()
        .side_store(side.clone());
    let retold = builder.open("memory:").await.unwrap();
    for id in ["1", "2", "3"] {
        retold.transition(start_work(id)).await.unwrap();
        retold
            .snapshots("Issue", id)
            .create()
            .force()
            .await
            .unwrap();
        retold.transition(block(id)).await.unwrap();
        retold
            .snapshots("Issue", id)
            .create()
            .force()
            .await
            .unwrap();
        retold.transition(unblock(id)).await.unwrap();
    }
    retold
        .append(NewEvent::new(order(), "order.placed", &1).unwrap())
        .await
        .unwrap();
    retold.snapshots("Order", "1").create().await.unwrap();
    let counted = Declared {
        version: 1,
        shape: None,
        chain: 0,
        revision: 1,
        is_renamed: false,
    };
    let counting = || Counting::<()>(counted.clone(), PhantomData);
    retold
        .replay("Order", "1", counting())
        .snapshot()
        .await
        .unwrap();

    let report = retold.check_snapshots().await.unwrap();
    assert_eq!(
        (report.kept, report.checked, report.differing, report.unused),
        (8, 7, 0, 0)
    );
    assert_eq!(report.unknown_reducers, [("count".into(), 1)].into());
    let report = retold.check_snapshots().reducer(counting()).await.unwrap();
    assert_eq!((report.checked, report.differing), (8, 0));
    assert!(report.unknown_reducers.is_empty());

    let kept = side
        .snapshots(SnapshotQuery::new(support::issue("2")))
        .await
        .unwrap()
        .snapshots;
    let state = r#"{"transitionCount":2,"status":"WRONG","lastTransitionAt":null}"#;
    let wrong_state = Snapshot {
        state: Json::parse(state).unwrap(),
        ..kept[0].clone()
    };
    let later = kept[1].latest_timestamp.saturating_add_micros(1);
    let wrong_date = Snapshot {
        latest_timestamp: later,
        ..kept[1].clone()
    };
    side.save_snapshot(wrong_state.clone()).await.unwrap();
    side.save_snapshot(wrong_date).await.unwrap();
    let report = retold.check_snapshots().await.unwrap();
    assert_eq!((report.checked, report.differing), (7, 2));
    let [first, second] = report.differences.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(
        (first.sequence_number, &first.fault),
        (1, &SnapshotFault::Dates)
    );
    assert_eq!((second.sequence_number, &*second.reducer), (2, "$machine"));
    let derived = kept[0].state.clone();
    let fault = SnapshotFault::State {
        kept: wrong_state.state,
        derived,
    };
    assert_eq!((&second.stream, &second.fault), (&kept[0].stream, &fault));
    // The order of keys is no difference.
    let state: Value = kept[0].state.decode().unwrap();
    let turned = format!(
        r#"{{"lastTransitionAt":{},"transitionCount":{},"status":{}}}"#,
        state["lastTransitionAt"], state["transitionCount"], state["status"]
    );
    let turned = Snapshot {
        state: Json::parse(&turned).unwrap(),
        ..kept[0].clone()
    };
    side.save_snapshot(turned).await.unwrap();
    assert_eq!(retold.check_snapshots().await.unwrap().differing, 1);
}

#[tokio::test]
async fn a_sample_is_drawn_again_with_its_seed() {
    let side = Arc::new(MemorySideStore::new());
    let builder = Retold::builder()
        .builtin_machines()
        .side_store(side.clone());
    let retold = builder.open("memory:").await.unwrap();
    for nth in 0..300 {
        let id = nth.to_string();
        retold.append(comment(&id)).await.unwrap();
        let made = retold.snapshots("Issue", id).create().await.unwrap();
        // Each one lies, so that the differences tell which were drawn.
        let state = r#"{"status":"WRONG","transitionCount":1,"lastTransitionAt":null}"#;
        let state = Json::parse(state).unwrap();
        side.save_snapshot(Snapshot {
            state,
            ..made.snapshot
        })
        .await
        .unwrap();
    }
    let first = retold.check_snapshots().sample(20).await.unwrap();
    assert_eq!((first.kept, first.checked, first.differing), (300, 20, 20));
    let again = retold
        .check_snapshots()
        .sample(20)
        .seed(first.seed.unwrap())
        .await
        .unwrap();
    assert_eq!(again, first);
    let others = retold
        .check_snapshots()
        .sample(20)
        .seed(first.seed.unwrap() ^ 1)
        .await
        .unwrap();
    assert_ne!(others.differences, first.differences);
    let all = retold.check_snapshots().sample(1_000).await.unwrap();
    assert_eq!((all.checked, all.seed.is_some()), (300, true));
}
