//! How far consumers have come, kept beside the log.

use retold_core::{
    Blocked, Checkpoint, ConsumerProgress, ProgressChange, SideStore, StreamId, StreamProgress,
    Tally, Text, Transacted,
};
use uuid::Uuid;

use crate::SidePlaces;
use crate::events::{at, issue, ok, stream};

fn checkpoint(position: u64) -> Option<Checkpoint> {
    Some(Checkpoint {
        log_id: Uuid::from_u128(7),
        position,
        event_id: Uuid::from_u128(position.into()),
    })
}

/// A tally whose numbers use all their bits.
fn tally(position: u64) -> Tally {
    let mut tally = Tally::default();
    tally.add(position);
    tally.sum |= 1 << 63;
    tally
}

fn ahead(stream: StreamId, next: u64, through: u64) -> StreamProgress {
    StreamProgress {
        stream,
        next,
        through,
        blocked: None,
    }
}

fn parked(stream: StreamId, next: u64) -> StreamProgress {
    StreamProgress {
        stream,
        next,
        through: 0,
        blocked: Some(Blocked {
            position: next * 10,
            event_id: Uuid::from_u128(next.into()),
            attempts: 5,
            is_parked: true,
            error: "é\n\u{1F980} '\"".into(),
            failed_at: at(-1).saturating_add_micros(1),
        }),
    }
}

async fn change(
    store: &dyn SideStore,
    epoch: u32,
    position: u64,
    kept: Vec<StreamProgress>,
    removed: Vec<StreamId>,
) -> bool {
    let change = ProgressChange {
        consumer: Text::from_static("mailer"),
        epoch,
        checkpoint: checkpoint(position),
        kept,
        removed,
        tally: tally(position),
    };
    ok(store.save_progress(change).await)
}

async fn progress(store: &dyn SideStore) -> Option<ConsumerProgress> {
    ok(store.consumer_progress("mailer").await)
}

/// Progress comes back as it was saved; what changed takes the place of what was kept.
pub async fn progress_is_kept_as_it_is(places: SidePlaces) {
    let (_place, store) = places.create().await;
    assert_eq!(progress(&*store).await, None);
    let epoch = ok(store.claim_consumer("mailer", 3).await);
    assert_eq!(epoch, 3);
    assert_eq!(progress(&*store).await, None, "an epoch is no progress");
    let odd = stream("$a.b", "\u{1F980} '\"%_");
    let kept = vec![ahead(issue("1"), 4, 40), parked(odd.clone(), 9)];
    assert!(change(&*store, epoch, 30, kept.clone(), Vec::new()).await);
    let mut expected = ConsumerProgress {
        checkpoint: checkpoint(30),
        streams: kept,
        tally: tally(30),
    };
    expected.streams.sort_by(|a, b| a.stream.cmp(&b.stream));
    assert_eq!(progress(&*store).await, Some(expected));

    let kept = vec![ahead(odd.clone(), 10, 90)];
    assert!(
        change(
            &*store,
            epoch,
            50,
            kept.clone(),
            vec![issue("1"), issue("2")]
        )
        .await
    );
    let expected = ConsumerProgress {
        checkpoint: checkpoint(50),
        streams: kept,
        tally: tally(50),
    };
    assert_eq!(progress(&*store).await, Some(expected));
    assert_eq!(ok(store.consumer_progress("other").await), None);
}

/// Progress before the first event is progress too.
pub async fn progress_before_the_first_event_is_kept(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let epoch = ok(store.claim_consumer("mailer", 0).await);
    let nothing = ProgressChange {
        consumer: Text::from_static("mailer"),
        epoch,
        checkpoint: None,
        kept: Vec::new(),
        removed: Vec::new(),
        tally: Tally::default(),
    };
    assert!(ok(store.save_progress(nothing).await));
    assert_eq!(progress(&*store).await, Some(ConsumerProgress::default()));
}

/// Who takes part in the transaction that keeps progress is kept with it or undone with it, or is
/// refused; and nobody keeps anything under an epoch that is over.
pub async fn what_shares_a_transaction_is_kept_or_undone(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let epoch = ok(store.claim_consumer("mailer", 0).await);
    let change = |epoch: u32, position: u64| ProgressChange {
        consumer: Text::from_static("mailer"),
        epoch,
        checkpoint: checkpoint(position),
        kept: vec![ahead(issue("1"), 2, position)],
        removed: Vec::new(),
        tally: tally(position),
    };
    let first = change(epoch, 10);
    let kept = store
        .transact_progress(Box::new(move |_| Some(first)))
        .await;
    if matches!(kept, Err(retold_core::Error::Unsupported { .. })) {
        assert_eq!(progress(&*store).await, None, "what is refused is not done");
        return;
    }
    assert_eq!(ok(kept), Transacted::Kept);
    let expected = progress(&*store).await;
    let reached = expected.as_ref().and_then(|progress| progress.checkpoint);
    assert_eq!(reached, checkpoint(10));
    let undone = store.transact_progress(Box::new(|_| None)).await;
    assert_eq!(ok(undone), Transacted::Undone);
    ok(store.claim_consumer("mailer", 0).await);
    let late = change(epoch, 20);
    let late = store.transact_progress(Box::new(move |_| Some(late))).await;
    assert_eq!(ok(late), Transacted::TakenOver);
    assert_eq!(progress(&*store).await, expected);
}

/// Whoever claimed a consumer last is the only one whose changes are kept.
pub async fn a_consumer_that_was_taken_over_keeps_nothing(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let first = ok(store.claim_consumer("mailer", 0).await);
    assert!(first > 0);
    assert!(
        change(
            &*store,
            first,
            10,
            vec![ahead(issue("1"), 2, 20)],
            Vec::new()
        )
        .await
    );
    let second = ok(store.claim_consumer("mailer", first).await);
    assert!(second > first);
    let before = progress(&*store).await;
    assert!(!change(&*store, first, 30, Vec::new(), vec![issue("1")]).await);
    assert!(!change(&*store, second + 1, 30, Vec::new(), vec![issue("1")]).await);
    assert_eq!(progress(&*store).await, before);
    assert!(change(&*store, second, 30, Vec::new(), vec![issue("1")]).await);
    let after = progress(&*store).await;
    assert_eq!(after.and_then(|after| after.checkpoint), checkpoint(30));
}

/// What is forgotten is gone, but for the epoch: one that is late stays shut out.
pub async fn a_consumer_is_forgotten(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let epoch = ok(store.claim_consumer("mailer", 5).await);
    assert!(change(&*store, epoch, 10, vec![parked(issue("1"), 2)], Vec::new()).await);
    ok(store.forget_consumer("mailer").await);
    ok(store.forget_consumer("unheard of").await);
    assert_eq!(progress(&*store).await, None);
    assert_eq!(ok(store.claim_consumer("mailer", 0).await), epoch + 1);
    assert!(!change(&*store, epoch, 10, Vec::new(), Vec::new()).await);
}

/// Where a consumer is tells too how far the log must reach.
pub async fn the_checkpoint_of_a_consumer_is_known(places: SidePlaces) {
    let (_place, store) = places.create().await;
    let epoch = ok(store.claim_consumer("mailer", 0).await);
    assert!(change(&*store, epoch, 40, Vec::new(), Vec::new()).await);
    let newest = ok(store.newest_checkpoints().await);
    assert_eq!(newest, Vec::from_iter(checkpoint(40)));
}
