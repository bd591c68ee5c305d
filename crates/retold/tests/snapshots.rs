//! Snapshots: which are made by themselves, which count, and that they stay small.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use retold::{EventId, Json, Machine, NewEvent, Retold, SideStore, Snapshot, StoreError, StreamId};
use retold_memory::MemorySideStore;
use support::{block, comment, in_memory, start_work, unblock};

async fn go_around(retold: &Retold, id: &str, transitions: usize) {
    for nth in 0..transitions {
        let next = if nth % 2 == 0 { block(id) } else { unblock(id) };
        retold.transition(next).await.unwrap();
    }
}

async fn sequence_numbers(retold: &Retold, aggregate_type: &str) -> Vec<u64> {
    let snapshots = retold.snapshots(aggregate_type, "1");
    let page = snapshots.list(None, 100).await.unwrap();
    page.snapshots.iter().map(|s| s.sequence_number).collect()
}

#[tokio::test]
async fn a_batch_that_crosses_multiples_makes_one_at_the_highest() {
    let retold = in_memory().await;
    let comments = |count: usize| (0..count).map(|_| comment("1")).collect::<Vec<_>>();
    retold.append(comments(49)).await.unwrap();
    assert_eq!(sequence_numbers(&retold, "Issue").await, [0; 0]);
    retold.append(comments(71)).await.unwrap();
    assert_eq!(sequence_numbers(&retold, "Issue").await, [100]);
    retold.append(comments(1000)).await.unwrap();
    assert_eq!(sequence_numbers(&retold, "Issue").await, [1100, 100]);
    // A repetition appends nothing, so it crosses nothing.
    let batch = comments(40);
    retold.append(batch.clone()).await.unwrap();
    assert_eq!(sequence_numbers(&retold, "Issue").await, [1150, 1100, 100]);
    retold.snapshots("Issue", "1").prune(0).await.unwrap();
    retold.append(batch).await.unwrap();
    assert_eq!(sequence_numbers(&retold, "Issue").await, [0; 0]);
}

#[tokio::test]
async fn a_type_without_a_machine_gets_none_by_itself_but_by_hand() {
    let retold = in_memory().await;
    let stream = StreamId::new("Order", "1").unwrap();
    let placed = |_| NewEvent::new(stream.clone(), "order.placed", &1).unwrap();
    retold
        .append((0..200).map(placed).collect::<Vec<_>>())
        .await
        .unwrap();
    assert_eq!(sequence_numbers(&retold, "Order").await, [0; 0]);
    retold.snapshots("Order", "1").create().await.unwrap();
    assert_eq!(sequence_numbers(&retold, "Order").await, [200]);
}

#[tokio::test]
async fn the_interval_is_the_machines() {
    let every_2 = Machine::issue()
        .toml()
        .replace("snapshot_every = 50", "snapshot_every = 2");
    let machine = Machine::from_toml(&every_2).unwrap();
    let retold = Retold::builder().machine(machine);
    let retold = retold.open("memory:").await.unwrap();
    retold.transition(start_work("1")).await.unwrap();
    go_around(&retold, "1", 5).await;
    assert_eq!(sequence_numbers(&retold, "Issue").await, [6, 4, 2]);
}

#[tokio::test]
async fn one_is_made_by_hand_only_when_it_is_time_or_when_forced() {
    let retold = in_memory().await;
    let snapshots = retold.snapshots("Issue", "1");
    let unknown = snapshots.create().force().await;
    assert!(matches!(
        unknown,
        Err(retold::Error::Store(StoreError::NotFound { .. }))
    ));
    retold.transition(start_work("1")).await.unwrap();
    assert!(snapshots.create().await.unwrap().is_new);
    go_around(&retold, "1", 10).await;
    let again = snapshots.create().await.unwrap();
    assert!(!again.is_new);
    assert_eq!(again.snapshot.sequence_number, 1);
    let forced = snapshots.create().force().metadata("a").await.unwrap();
    assert_eq!(forced.snapshot.sequence_number, 11);
    let replaced = snapshots.create().force().metadata("b").await.unwrap();
    assert!(replaced.is_new);
    let page = snapshots.list(None, 10).await.unwrap();
    assert_eq!(page.snapshots, [replaced.snapshot, again.snapshot]);
    assert_eq!(page.snapshots[0].metadata.as_str(), r#""b""#);
    assert_eq!(snapshots.prune(1).await.unwrap(), 1);
    let left = snapshots.list(None, 10).await.unwrap();
    assert_eq!(left.snapshots.len(), 1);
    assert_eq!(left.snapshots[0].sequence_number, 11);
}

#[tokio::test]
async fn the_size_does_not_grow_with_the_number_of_transitions() {
    let retold = in_memory().await;
    retold.transition(start_work("1")).await.unwrap();
    let mut bytes = Vec::new();
    for _ in 0..2 {
        go_around(&retold, "1", 500).await;
        let latest = retold.snapshots("Issue", "1").latest().await.unwrap();
        bytes.push(latest.unwrap().state.as_str().len());
    }
    // The date of the last transition has up to seven digits more, the count one.
    assert!(bytes[0].abs_diff(bytes[1]) <= 8, "{bytes:?}");
}

#[tokio::test]
async fn one_that_does_not_fit_the_log_is_passed_over() {
    let side_store = Arc::new(MemorySideStore::new());
    let builder = Retold::builder().builtin_machines();
    let retold = builder.side_store(side_store.clone());
    let retold = retold.open("memory:").await.unwrap();
    retold.transition(start_work("1")).await.unwrap();
    let made = retold
        .snapshots("Issue", "1")
        .create()
        .await
        .unwrap()
        .snapshot;
    retold.transition(block("1")).await.unwrap();

    // A state that tells whether it was used.
    let wrong = r#"{"status":"WRONG","transitionCount":7,"lastTransitionAt":null}"#;
    let wrong = Snapshot {
        state: Json::parse(wrong).unwrap(),
        ..made
    };
    let count_with = async |change: &dyn Fn(&mut Snapshot)| {
        side_store
            .prune_snapshots(&wrong.stream, "$machine", 0)
            .await
            .unwrap();
        let mut snapshot = wrong.clone();
        change(&mut snapshot);
        side_store.save_snapshot(snapshot).await.unwrap();
        let listed = sequence_numbers(&retold, "Issue").await.len();
        let state = retold.state("Issue", "1").await.unwrap();
        (state.transition_count, listed)
    };
    assert_eq!(count_with(&|_| {}).await, (8, 1), "it is used as it is");
    type Change<'a> = &'a dyn Fn(&mut Snapshot);
    let changes: [(&str, Change); 5] = [
        ("fingerprint", &|s| s.reducer.fingerprint = "0".into()),
        ("log", &|s| s.checkpoint.log_id = EventId::now_v7()),
        ("event id", &|s| s.checkpoint.event_id = EventId::now_v7()),
        ("position", &|s| s.checkpoint.position += 1),
        ("sequence number", &|s| s.sequence_number = 2),
    ];
    for (what, change) in changes {
        assert_eq!(count_with(change).await, (2, 0), "{what}");
    }
    let shape: &dyn Fn(&mut Snapshot) = &|s| s.state = Json::null();
    assert_eq!(count_with(shape).await.0, 2, "shape");
}

#[tokio::test]
async fn names_of_reducers_that_are_retolds_own_are_refused() {
    struct Forged;
    impl retold::Reducer for Forged {
        type State = u8;
        fn name(&self) -> &str {
            "$machine"
        }
        fn initial(&self) -> u8 {
            0
        }
        fn apply(&self, _: &mut u8, _: &retold::RecordedEvent) -> Result<(), retold::BoxError> {
            Ok(())
        }
    }
    let retold = in_memory().await;
    retold.append(comment("1")).await.unwrap();
    let own = retold.replay("Issue", "1", retold::MachineReducer);
    assert_eq!(own.from_snapshot().await.unwrap().state.status, None);
    let refused = retold.replay("Issue", "1", Forged).snapshot().await;
    assert!(matches!(
        refused,
        Err(retold::Error::Store(StoreError::Invalid { .. }))
    ));
}
