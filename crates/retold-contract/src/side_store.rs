//! What is kept beside the log: snapshots, where they were derived, and which to use.

use retold_core::{
    Checkpoint, Error, PointInTime, ReducerId, SideStore, Snapshot, SnapshotKey, SnapshotQuery,
    SnapshotScan, SnapshotScanQuery, StreamId,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::SidePlaces;
use crate::events::{assert_invalid, at, issue, json, ok, stream};

const LOG: Uuid = Uuid::from_u128(7);

fn reducer(name: &'static str, fingerprint: &'static str) -> ReducerId {
    ReducerId {
        name: name.into(),
        fingerprint: fingerprint.into(),
    }
}

/// A snapshot at a sequence number n: position 10n, dated 100n, recorded 1000n seconds.
fn snapshot(stream: &StreamId, reducer: &ReducerId, sequence_number: u64) -> Snapshot {
    let seconds = i64::try_from(sequence_number).expect("small");
    Snapshot {
        stream: stream.clone(),
        reducer: reducer.clone(),
        sequence_number,
        checkpoint: Checkpoint {
            log_id: LOG,
            position: sequence_number * 10,
            event_id: Uuid::from_u128(sequence_number.into()),
        },
        latest_timestamp: at(seconds * 100),
        last_persisted_at: at(seconds * 1_000),
        state: json(&format!(r#"{{"number":{sequence_number}}}"#)),
        metadata: json("{}"),
        created_at: at(seconds * 1_000 + 1),
    }
}

/// Saves a snapshot of issue 1 at each sequence number.
async fn save_all(store: &dyn SideStore, reducer: &ReducerId, sequence_numbers: &[u64]) {
    for &sequence_number in sequence_numbers {
        let snapshot = snapshot(&issue("1"), reducer, sequence_number);
        ok(store.save_snapshot(snapshot).await);
    }
}

/// Every snapshot that a query asks for, page by page.
async fn listed(store: &dyn SideStore, mut query: SnapshotQuery) -> Vec<Snapshot> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    loop {
        let page = ok(store.snapshots(query.clone()).await);
        if let (Some(last), Some(first)) = (snapshots.last(), page.snapshots.first()) {
            let is_apart = first.sequence_number < last.sequence_number;
            assert!(is_apart, "a page ended within {}", last.sequence_number);
        }
        for snapshot in page.snapshots {
            assert!(snapshot.sequence_number < query.before);
            let is_in_order = snapshots
                .last()
                .is_none_or(|last| snapshot.sequence_number <= last.sequence_number);
            assert!(is_in_order, "not newest first: {snapshot:?}");
            snapshots.push(snapshot);
        }
        let Some(next) = page.next else {
            return snapshots;
        };
        assert!(
            next < query.before,
            "the next page begins where this one did"
        );
        query.before = next;
    }
}

fn sequences(snapshots: &[Snapshot]) -> Vec<u64> {
    let numbers = snapshots.iter().map(|snapshot| snapshot.sequence_number);
    numbers.collect()
}

/// A snapshot comes back with every field as it was saved.
pub async fn a_snapshot_is_kept_as_it_is(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let mut saved = snapshot(
        &stream("$a.b", "\u{1F980} '\"%_"),
        &reducer("é", "\u{1F980}"),
        3,
    );
    saved.state = json(r#"{"b":1e400,"a":"\ud800","b":-0.0}"#);
    saved.metadata = json(r#"{"why":null,"why":[]}"#);
    saved.latest_timestamp = retold_core::Timestamp::MIN;
    saved.last_persisted_at = at(-1).saturating_add_micros(1);
    saved.created_at = retold_core::Timestamp::MAX;
    saved.checkpoint.position = u64::MAX >> 1;
    ok(store.save_snapshot(saved.clone()).await);
    let query = SnapshotQuery::new(saved.stream.clone());
    assert_eq!(listed(&*store, query).await, std::slice::from_ref(&saved));
    let at_head = store
        .snapshots_at(&saved.stream, &saved.reducer, PointInTime::Head, 1)
        .await;
    assert_eq!(ok(at_head), [saved]);
}

/// A snapshot of the same stream, reducer and sequence number takes the place of the first.
pub async fn a_snapshot_is_replaced(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let mut saved = snapshot(&issue("1"), &reducer("r", "1"), 3);
    ok(store.save_snapshot(saved.clone()).await);
    saved.state = json("2");
    saved.checkpoint.log_id = Uuid::from_u128(8);
    saved.checkpoint.event_id = Uuid::from_u128(9);
    ok(store.save_snapshot(saved.clone()).await);
    let all = listed(&*store, SnapshotQuery::new(issue("1"))).await;
    assert_eq!(all, [saved.clone()]);
    assert_eq!(ok(store.newest_checkpoints().await), [saved.checkpoint]);
}

/// Snapshots are listed newest first, in pages, whatever the order they were saved in.
pub async fn snapshots_are_listed_newest_first(places: SidePlaces) {
    let (_place, store) = places.create().await;
    assert!(
        listed(&*store, SnapshotQuery::new(issue("1")))
            .await
            .is_empty()
    );
    save_all(&*store, &reducer("r", "1"), &[50, 10, 200, 150, 100]).await;
    for limit in [1, 2, 3, 5, 100] {
        let mut query = SnapshotQuery::new(issue("1"));
        query.limit = limit;
        let page = ok(store.snapshots(query.clone()).await);
        assert_eq!(
            page.snapshots.len(),
            limit.min(5),
            "a page is filled while it can be"
        );
        let all = listed(&*store, query.clone()).await;
        assert_eq!(sequences(&all), [200, 150, 100, 50, 10]);
        query.before = 150;
        assert_eq!(sequences(&listed(&*store, query).await), [100, 50, 10]);
    }
}

/// A page never ends between two snapshots of the same sequence number.
pub async fn pages_do_not_end_within_a_sequence_number(places: SidePlaces) {
    let (_place, store) = places.create().await;
    for (name, fingerprint) in [("a", "1"), ("a", "2"), ("b", "1")] {
        save_all(&*store, &reducer(name, fingerprint), &[10, 20, 30]).await;
    }
    save_all(&*store, &reducer("c", "1"), &[15, 25]).await;
    for limit in 1..=12 {
        let mut query = SnapshotQuery::new(issue("1"));
        query.limit = limit;
        let all = listed(&*store, query).await;
        assert_eq!(
            sequences(&all),
            [30, 30, 30, 25, 20, 20, 20, 15, 10, 10, 10]
        );
    }
}

/// A page holds at least one snapshot.
pub async fn a_page_of_nothing_is_refused(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let mut query = SnapshotQuery::new(issue("1"));
    query.limit = 0;
    assert_invalid(store.snapshots(query).await, "limit");
}

/// A list is of one stream, and of one reducer where one is asked for.
pub async fn a_list_is_of_one_stream_and_one_reducer(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let (one, two) = (reducer("r", "1"), reducer("r", "2"));
    save_all(&*store, &one, &[10, 20]).await;
    save_all(&*store, &two, &[20, 30]).await;
    for other in [
        issue("10"),
        issue("0"),
        stream("Issue1", "1"),
        stream("Order", "1"),
    ] {
        ok(store.save_snapshot(snapshot(&other, &one, 40)).await);
    }
    let mut query = SnapshotQuery::new(issue("1"));
    assert_eq!(
        sequences(&listed(&*store, query.clone()).await),
        [30, 20, 20, 10]
    );
    query.reducer = Some(one);
    assert_eq!(sequences(&listed(&*store, query.clone()).await), [20, 10]);
    query.reducer = Some(two);
    query.limit = 1;
    assert_eq!(sequences(&listed(&*store, query).await), [30, 20]);
}

/// Each point in time selects the snapshots that hold only events of its prefix.
pub async fn each_point_in_time_selects_its_snapshots(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let reducer = reducer("r", "1");
    save_all(&*store, &reducer, &[2, 1, 3]).await;
    for (moment, expected) in [
        (PointInTime::Head, &[3, 2, 1][..]),
        (PointInTime::Sequence(0), &[]),
        (PointInTime::Sequence(2), &[2, 1]),
        (PointInTime::Sequence(u64::MAX >> 1), &[3, 2, 1]),
        (PointInTime::Position(9), &[]),
        (PointInTime::Position(10), &[1]),
        (PointInTime::Position(29), &[2, 1]),
        (PointInTime::Position(30), &[3, 2, 1]),
        (PointInTime::PersistedAt(at(999)), &[]),
        (PointInTime::PersistedAt(at(2_000)), &[2, 1]),
        (PointInTime::PersistedAt(at(9_999)), &[3, 2, 1]),
        (PointInTime::Timestamp(at(99)), &[]),
        (PointInTime::Timestamp(at(100)), &[1]),
        (PointInTime::Timestamp(at(299)), &[2, 1]),
        (PointInTime::Timestamp(at(300)), &[3, 2, 1]),
    ] {
        for limit in [1, 2, 10] {
            let found = store
                .snapshots_at(&issue("1"), &reducer, moment, limit)
                .await;
            let expected = &expected[..limit.min(expected.len())];
            assert_eq!(sequences(&ok(found)), expected, "{moment:?}, {limit}");
        }
    }
}

/// With timestamps out of order the latest one folded in decides, not that of the last event.
pub async fn timestamps_out_of_order_select_by_the_latest(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let reducer = reducer("r", "1");
    for (sequence_number, latest) in [(1, -50), (2, 300), (3, 300), (4, 300), (5, 301)] {
        let mut saved = snapshot(&issue("1"), &reducer, sequence_number);
        saved.latest_timestamp = at(latest);
        ok(store.save_snapshot(saved).await);
    }
    for (seconds, expected) in [
        (-51, &[][..]),
        (-50, &[1]),
        (299, &[1]),
        (300, &[4, 3, 2, 1]),
    ] {
        let moment = PointInTime::Timestamp(at(seconds));
        let found = store.snapshots_at(&issue("1"), &reducer, moment, 10).await;
        assert_eq!(sequences(&ok(found)), expected);
    }
}

/// A snapshot made under another fingerprint is not returned.
pub async fn another_fingerprint_is_not_returned(places: SidePlaces) {
    let (_place, store) = places.create().await;
    save_all(&*store, &reducer("r", "1"), &[1, 2]).await;
    save_all(&*store, &reducer("r", "2"), &[3]).await;
    for (fingerprint, expected) in [("1", &[2, 1][..]), ("2", &[3]), ("3", &[]), ("", &[])] {
        let wanted = reducer("r", fingerprint);
        let found = store
            .snapshots_at(&issue("1"), &wanted, PointInTime::Head, 10)
            .await;
        assert_eq!(sequences(&ok(found)), expected);
    }
}

/// A snapshot of another reducer, or of another stream, is not returned.
pub async fn another_reducer_is_not_returned(places: SidePlaces) {
    let (_place, store) = places.create().await;
    save_all(&*store, &reducer("r", "1"), &[1]).await;
    for (id, name, count) in [("1", "r", 1), ("1", "R", 0), ("1", "s", 0), ("2", "r", 0)] {
        let wanted = reducer(name, "1");
        let found = store
            .snapshots_at(&issue(id), &wanted, PointInTime::Head, 10)
            .await;
        assert_eq!(ok(found).len(), count);
    }
}

/// A scan meets every snapshot of every stream and reducer once, whatever the size of its parts,
/// and one that is removed under way ends nothing.
pub async fn a_scan_meets_every_snapshot_once(places: SidePlaces) {
    let (_place, store) = places.create().await;
    assert!(ok(scan(&*store, None, 1).await).snapshots.is_empty());
    assert_invalid(scan(&*store, None, 0).await, "limit");
    let mut saved = Vec::new();
    for stream in [issue("1"), issue("10"), issue("2"), stream("$a", "é")] {
        for reducer in [reducer("r", "1"), reducer("r", "2"), reducer("s", "1")] {
            for sequence_number in [1, 2, 10] {
                let snapshot = snapshot(&stream, &reducer, sequence_number);
                ok(store.save_snapshot(snapshot.clone()).await);
                saved.push(snapshot);
            }
        }
    }
    for limit in [1, 2, 7, saved.len(), 100] {
        let met = scanned(&*store, limit).await;
        assert_eq!(met.len(), saved.len(), "{limit}");
        for snapshot in &saved {
            assert!(met.contains(snapshot), "{limit} left out {snapshot:?}");
        }
    }
    let first = ok(scan(&*store, None, 1).await);
    let gone = first.next.expect("there are more");
    ok(store
        .prune_snapshots(&gone.stream, &gone.reducer.name, 0)
        .await);
    let left = scanned(&*store, 5).await;
    let rest = ok(scan(&*store, Some(gone), 100).await);
    assert_eq!(rest.snapshots, left);
}

async fn scan(
    store: &dyn SideStore,
    after: Option<SnapshotKey>,
    limit: usize,
) -> Result<SnapshotScan, Error> {
    store
        .scan_snapshots(SnapshotScanQuery { after, limit })
        .await
}

async fn scanned(store: &dyn SideStore, limit: usize) -> Vec<Snapshot> {
    let mut met = Vec::new();
    let mut after = None;
    loop {
        let part = ok(scan(store, after, limit).await);
        assert!(part.snapshots.len() <= limit);
        met.extend(part.snapshots);
        after = part.next;
        if after.is_none() {
            return met;
        }
    }
}

/// Pruning leaves the newest and says how many it removed.
pub async fn the_newest_snapshots_survive_pruning(places: SidePlaces) {
    let (_place, store) = places.create().await;
    save_all(&*store, &reducer("r", "1"), &[30, 10, 50]).await;
    // Another fingerprint of the same name is pruned along: nobody else would remove it.
    save_all(&*store, &reducer("r", "2"), &[20, 40]).await;
    let all = || listed(&*store, SnapshotQuery::new(issue("1")));
    for (keep, removed, left) in [
        (9, 0, &[50, 40, 30, 20, 10][..]),
        (3, 2, &[50, 40, 30]),
        (3, 0, &[50, 40, 30]),
        (1, 2, &[50]),
        (0, 1, &[]),
    ] {
        let pruned = store.prune_snapshots(&issue("1"), "r", keep).await;
        assert_eq!(ok(pruned), removed);
        assert_eq!(sequences(&all().await), left);
    }
}

/// Pruning concerns one stream and the reducers of one name.
pub async fn pruning_concerns_one_stream_and_one_reducer(places: SidePlaces) {
    let (_place, store) = places.create().await;
    save_all(&*store, &reducer("r", "1"), &[10, 20]).await;
    save_all(&*store, &reducer("s", "1"), &[10, 20]).await;
    ok(store
        .save_snapshot(snapshot(&issue("2"), &reducer("r", "1"), 10))
        .await);
    assert_eq!(ok(store.prune_snapshots(&issue("1"), "r", 1).await), 1);
    assert_eq!(ok(store.prune_snapshots(&issue("3"), "r", 0).await), 0);
    let first = listed(&*store, SnapshotQuery::new(issue("1"))).await;
    assert_eq!(sequences(&first), [20, 20, 10]);
    let second = listed(&*store, SnapshotQuery::new(issue("2"))).await;
    assert_eq!(sequences(&second), [10]);
}

/// For each log that anything was derived from, the newest place is known.
pub async fn the_newest_checkpoint_of_each_log_is_known(places: SidePlaces) {
    let (_place, store) = places.create().await;
    assert!(ok(store.newest_checkpoints().await).is_empty());
    let mut expected = Vec::new();
    for (log, newest) in [(1, 30), (2, 5), (3, 9)] {
        for position in [newest, newest - 1, newest - 4] {
            let mut saved = snapshot(&issue(&log.to_string()), &reducer("r", "1"), position);
            saved.checkpoint.log_id = Uuid::from_u128(log);
            saved.checkpoint.position = position;
            if position == newest {
                expected.push(saved.checkpoint);
            }
            ok(store.save_snapshot(saved).await);
        }
    }
    let mut found = ok(store.newest_checkpoints().await);
    found.sort_by_key(|checkpoint| checkpoint.log_id);
    assert_eq!(found, expected);
    ok(store.prune_snapshots(&issue("1"), "r", 1).await);
    let mut found = ok(store.newest_checkpoints().await);
    found.sort_by_key(|checkpoint| checkpoint.log_id);
    assert_eq!(found, expected);
}

/// Many may write at once; nothing is lost or mixed up.
pub async fn many_write_at_once(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let mut tasks = JoinSet::new();
    for nth in 0..32 {
        let store = store.clone();
        tasks.spawn(async move {
            let stream = issue(&(nth % 4).to_string());
            let saved = snapshot(&stream, &reducer("r", "1"), nth / 4 + 1);
            ok(store.save_snapshot(saved.clone()).await);
            let query = SnapshotQuery::new(stream);
            assert!(ok(store.snapshots(query).await).snapshots.contains(&saved));
        });
    }
    while let Some(result) = tasks.join_next().await {
        ok(result);
    }
    for id in 0..4 {
        let all = listed(&*store, SnapshotQuery::new(issue(&id.to_string()))).await;
        assert_eq!(sequences(&all), [8, 7, 6, 5, 4, 3, 2, 1]);
    }
}
