//! What is read of a history that was written over years equals what today's code would have
//! written: an account whose events had four eras, with a rename, a split and an event that is
//! no longer written.

#![allow(clippy::unwrap_used)]

mod account;
#[path = "../support/mod.rs"]
mod support;

use account::{Balance, Fact, TODAY, facts, upcasters, written};
use proptest::prelude::*;
use retold::{Filter, NewEvent, RecordedEvent, Retold, StreamId};
use serde_json::Value;
use support::block_on;

/// A type, a version and a payload: what an event says, without its place.
type Said = (String, String, Value);

fn said(event: &RecordedEvent) -> Said {
    let (event_type, version) = (&event.event_type, &event.metadata.version);
    let payload = event.payload.decode().unwrap();
    (event_type.to_string(), version.to_string(), payload)
}

async fn with_history(history: impl Iterator<Item = (Fact, u8)>) -> Retold {
    let builder = Retold::builder().upcasters(upcasters());
    let retold = builder.open("memory:").await.unwrap();
    let stream = StreamId::new("Account", "1").unwrap();
    for (fact, era) in history {
        for (event_type, version, payload) in written(&fact, era) {
            let event = NewEvent::new(stream.clone(), event_type, &payload).unwrap();
            retold.append(event.version(version)).await.unwrap();
        }
    }
    retold
}

async fn balance(retold: &Retold, at: u64) -> Balance {
    let replay = retold.replay("Account", "1", account::Balances);
    replay.at_sequence(at).await.unwrap().state
}

async fn upcasted(retold: &Retold) -> Vec<RecordedEvent> {
    let mut subscription = retold.subscribe(0, Filter::default()).upcasted();
    let mut events = Vec::new();
    loop {
        let batch = subscription.next().await.unwrap();
        events.extend(batch.entries.into_iter().map(|e| e.into_event().unwrap()));
        if batch.is_at_head {
            return events;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_is_what_todays_code_would_have_written(
        history in prop::collection::vec((facts(), 1..=TODAY), 1..30),
        snapshot_at in 0_u64..40,
    ) {
        block_on(async {
            let old = with_history(history.iter().cloned()).await;
            let new = with_history(history.iter().cloned().map(|(fact, _)| (fact, TODAY))).await;
            let read_new: Vec<Said> = upcasted(&new).await.iter().map(said).collect();
            let read_old = upcasted(&old).await;
            prop_assert_eq!(read_old.iter().map(said).collect::<Vec<_>>(), read_new);

            // What was written is what a read of the log shows.
            let raw: Vec<Said> = match old.events("Account", "1").all().await {
                Ok(events) => events.iter().map(said).collect(),
                Err(_) => Vec::new(),
            };
            let wrote = history.iter().flat_map(|(fact, era)| written(fact, *era));
            let wrote: Vec<Said> = wrote.map(|(t, v, p)| (t.to_owned(), v.to_owned(), p)).collect();
            prop_assert_eq!(&raw, &wrote);
            if raw.is_empty() {
                return Ok(());
            }

            // At each event of the old log, the state is that of today's log at the last of the
            // events that it became, also when it is derived from a snapshot in between.
            let snapshot_at = snapshot_at % raw.len() as u64 + 1;
            let replay = old.replay("Account", "1", account::Balances);
            replay.at_sequence(snapshot_at).snapshot().await.unwrap();
            let heads = read_old.iter().map(|event| event.sequence_number);
            let heads: Vec<u64> = heads.collect();
            for at in 1..=raw.len() as u64 {
                let became = heads.iter().filter(|head| **head <= at).count() as u64;
                let expected = match became {
                    0 => Balance::default(),
                    became => balance(&new, became).await,
                };
                prop_assert_eq!(balance(&old, at).await, expected.clone(), "at {}", at);
                let replay = old.replay("Account", "1", account::Balances);
                let shortened = replay.at_sequence(at).from_snapshot().await.unwrap();
                prop_assert_eq!(shortened.state, expected);
                prop_assert_eq!(shortened.sequence_number, at);
                let from = if at < snapshot_at { 0 } else { snapshot_at };
                prop_assert_eq!(shortened.replayed_from, from);
            }

            // A state without a machine counts today's events, at the places of the old ones.
            let state = old.reconstruct("Account", "1").await.unwrap();
            prop_assert_eq!(state.transition_count, read_old.len() as u64);
            prop_assert_eq!(state.sequence_number, raw.len() as u64);
            let history = state.state_history.unwrap();
            let places: Vec<u64> = history.iter().map(|entry| entry.sequence_number).collect();
            prop_assert_eq!(places, heads);

            let report = old.check_upcasters().await.unwrap();
            prop_assert_eq!((report.events, report.failed), (raw.len() as u64, 0));
            let report = old.check_snapshots().reducer(account::Balances).await.unwrap();
            prop_assert_eq!((report.checked, report.differing), (1, 0));
            Ok(())
        })?;
    }
}
