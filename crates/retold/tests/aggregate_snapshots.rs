//! Snapshots of aggregates: when they are made, how many are kept, and that one of another
//! fingerprint is never used.
#![cfg(feature = "derive")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;

use proptest::prelude::*;
use retold::{
    Aggregate, Json, ReducerId, Retold, SNAPSHOTS_KEPT_DEFAULT, SideStore, Snapshot, StreamId,
};
use retold_core::{EventStore, SnapshotQuery};
use retold_memory::{MemorySideStore, MemoryStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use support::account::{Account, AccountCommand, AccountEvent, Deposit, DepositEach, Refused};

struct Stores {
    store: Arc<MemoryStore>,
    side_store: Arc<MemorySideStore>,
}

impl Stores {
    fn new() -> Stores {
        Stores {
            store: Arc::new(MemoryStore::new()),
            side_store: Arc::new(MemorySideStore::new()),
        }
    }

    /// A handle that has nothing in memory yet.
    async fn open(&self) -> Retold {
        let builder = Retold::builder().store(self.store.clone());
        let builder = builder.side_store(self.side_store.clone());
        builder.build().await.unwrap()
    }

    /// The snapshots of the account, newest first, when none is in progress.
    async fn snapshots(&self, retold: &Retold) -> Vec<Snapshot> {
        retold.snapshots("Account", "a").latest().await.unwrap();
        let mut query = SnapshotQuery::new(StreamId::new("Account", "a").unwrap());
        query.limit = 1_000;
        self.side_store.snapshots(query).await.unwrap().snapshots
    }

    async fn sequence_numbers(&self, retold: &Retold) -> Vec<u64> {
        let snapshots = self.snapshots(retold).await;
        snapshots.iter().map(|s| s.sequence_number).collect()
    }
}

#[tokio::test]
async fn one_is_made_at_the_highest_multiple_that_a_command_crosses() {
    let stores = Stores::new();
    let retold = stores.open().await;
    for _ in 0..4 {
        retold.execute::<Account>("a", Deposit(1)).await.unwrap();
    }
    assert_eq!(stores.sequence_numbers(&retold).await, [0; 0]);
    retold.execute::<Account>("a", Deposit(1)).await.unwrap();
    assert_eq!(stores.sequence_numbers(&retold).await, [5]);
    let many = DepositEach(vec![1; 13]);
    retold.execute::<Account>("a", many).await.unwrap();
    let snapshots = stores.snapshots(&retold).await;
    assert_eq!(snapshots[0].sequence_number, 15);
    assert_eq!(
        snapshots[0].state.as_str(),
        r#"{"balance":15,"moves":15,"is_closed":false}"#
    );
    assert_eq!(snapshots[0].checkpoint.position, 15);
}

#[tokio::test]
async fn the_newest_are_kept() {
    let stores = Stores::new();
    let retold = stores.open().await;
    for _ in 0..SNAPSHOTS_KEPT_DEFAULT + 3 {
        let five = DepositEach(vec![1; 5]);
        retold.execute::<Account>("a", five).await.unwrap();
        // One after the other: they are made beside the commands, and may overtake each other.
        stores.snapshots(&retold).await;
    }
    let newest: Vec<u64> = (4..=13).rev().map(|nth| nth * 5).collect();
    assert_eq!(stores.sequence_numbers(&retold).await, newest);
}

/// Turns the newest snapshot into one that says something else, under a fingerprint.
async fn falsify(stores: &Stores, retold: &Retold, fingerprint: &str) -> Snapshot {
    let mut snapshot = stores.snapshots(retold).await.remove(0);
    snapshot.reducer.fingerprint = fingerprint.into();
    let state = r#"{"balance":1000,"moves":5,"is_closed":false}"#;
    snapshot.state = Json::parse(state).unwrap();
    stores
        .side_store
        .save_snapshot(snapshot.clone())
        .await
        .unwrap();
    snapshot
}

/// Shows that the next test could fail: a snapshot under the right fingerprint is believed.
#[tokio::test]
async fn a_command_begins_from_a_snapshot() {
    let stores = Stores::new();
    let retold = stores.open().await;
    let five = DepositEach(vec![1; 5]);
    retold.execute::<Account>("a", five).await.unwrap();
    let right = stores
        .snapshots(&retold)
        .await
        .remove(0)
        .reducer
        .fingerprint;
    falsify(&stores, &retold, &right).await;
    let retold = stores.open().await;
    let executed = retold.execute::<Account>("a", Deposit(1)).await.unwrap();
    assert_eq!(
        (executed.state.balance, executed.sequence_number),
        (1001, 6)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_of_another_fingerprint_is_never_used(
        fingerprints in proptest::collection::vec("[0-9a-f:.]{0,40}", 1..5),
        cut in 0_usize..8,
        at in 0_u64..9,
    ) {
        support::block_on(async {
            let stores = Stores::new();
            let retold = stores.open().await;
            retold.execute::<Account>("a", DepositEach(vec![1; 8])).await.unwrap();
            let right = stores.snapshots(&retold).await.remove(0).reducer.fingerprint;
            // Also those that begin like the right one.
            let prefix = right[..right.len() - 1 - cut].to_owned();
            for other in fingerprints.into_iter().chain([prefix]) {
                falsify(&stores, &retold, &other).await;
            }
            let mut query = SnapshotQuery::new(StreamId::new("Account", "a").unwrap());
            query.reducer = Some(ReducerId { name: "$aggregate/Account".into(), fingerprint: right });
            let own = stores.side_store.snapshots(query).await.unwrap();
            assert_eq!(own.snapshots.len(), 1, "the right one is beside them");
            // Without it the others are all there is.
            let lies = Stores { store: stores.store.clone(), ..Stores::new() };
            for snapshot in stores.snapshots(&retold).await {
                if snapshot.reducer != own.snapshots[0].reducer {
                    lies.side_store.save_snapshot(snapshot).await.unwrap();
                }
            }
            let retold = lies.open().await;
            let then = retold.load::<Account>("a").at_sequence(at).await.unwrap();
            assert_eq!((then.state.balance, then.state.moves), (at, at));
            let executed = retold.execute::<Account>("a", Deposit(1)).await.unwrap();
            assert_eq!((executed.state.balance, executed.sequence_number), (9, 9));
        });
    }
}

/// The account as another version of the program has it.
macro_rules! other_account {
    ($module:ident, $version:literal, $state:item) => {
        mod $module {
            use super::*;

            #[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
            $state

            impl Aggregate for Other {
                const TYPE: &'static str = "Account";
                const VERSION: &'static str = $version;
                const SNAPSHOT_EVERY: u64 = 5;
                type Event = AccountEvent;
                type Command = AccountCommand;
                type Error = Refused;

                fn decide(&self, _: &AccountCommand) -> Result<Vec<AccountEvent>, Refused> {
                    Ok(vec![AccountEvent::Deposited { amount: 1 }])
                }

                fn apply(&mut self, event: AccountEvent) {
                    if let AccountEvent::Deposited { amount } = event {
                        self.balance += amount as i64;
                    }
                }
            }
        }
    };
}

other_account!(
    other_version,
    "2",
    pub(super) struct Other {
        pub(super) balance: i64,
    }
);
// What the snapshot holds would fit, were it not for the schema.
other_account!(
    other_shape,
    "1",
    pub(super) struct Other {
        pub(super) balance: i64,
        #[serde(default)]
        pub(super) note: Option<String>,
    }
);

#[tokio::test]
async fn a_new_version_and_a_new_shape_derive_anew() {
    let stores = Stores::new();
    let retold = stores.open().await;
    let ten = DepositEach(vec![1; 10]);
    retold.execute::<Account>("a", ten).await.unwrap();
    let right = stores
        .snapshots(&retold)
        .await
        .remove(0)
        .reducer
        .fingerprint;
    falsify(&stores, &retold, &right).await;
    let retold = stores.open().await;
    let version = retold.load::<other_version::Other>("a").await.unwrap();
    assert_eq!(version.state.balance, 10);
    let shape = retold.load::<other_shape::Other>("a").await.unwrap();
    assert_eq!((shape.state.balance, &shape.state.note), (10, &None));
    assert_eq!(
        retold.load::<Account>("a").await.unwrap().state.balance,
        1000
    );
    assert_eq!(stores.store.head().await.unwrap().position, 10);
}

#[tokio::test]
async fn snapshots_of_an_aggregate_can_be_checked() {
    let stores = Stores::new();
    let retold = stores.open().await;
    let ten = DepositEach(vec![1; 10]);
    retold.execute::<Account>("a", ten).await.unwrap();
    // Not told of the aggregate, it says by name what it cannot check.
    let report = retold.check_snapshots().await.unwrap();
    let unknown = report.unknown_reducers.iter().next().unwrap();
    assert_eq!((&**unknown.0, *unknown.1), ("$aggregate/Account", 1));
    let check = || retold.check_snapshots().aggregate::<Account>();
    let report = check().await.unwrap();
    assert_eq!((report.checked, report.differing), (1, 0));
    let right = stores
        .snapshots(&retold)
        .await
        .remove(0)
        .reducer
        .fingerprint;
    falsify(&stores, &retold, &right).await;
    assert_eq!(check().await.unwrap().differing, 1);
}
