//! Idempotency keys under retries and races: one effect and one answer, also where the outcome
//! of an append was unknown, and from another process.
#![cfg(feature = "derive")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use retold::{
    Appended, Error, EventId, EventStore, ExecuteError, LogQuery, RecordedEvent, Retold, StoreError,
};
use retold_core::Append;
use retold_memory::MemoryStore;
use support::account::{Account, AccountCommand, Close, DepositEach, Refused, Withdraw};
use support::hooked::{Hook, Hooked};
use support::random::{Random, seeds};

const KEYS: u64 = 12;
const CALLERS_OF_A_KEY: u64 = 6;

/// A store whose answers get lost: before it has written, or after.
struct Lossy(Mutex<Random>);

#[async_trait]
impl Hook for Lossy {
    async fn append(&self, store: &MemoryStore, append: Append) -> Result<Appended, StoreError> {
        let lost = StoreError::UnknownOutcome {
            reason: "the answer was lost".into(),
            event_ids: append.event_ids(),
        };
        let (chance, waits) = {
            let mut random = self.0.lock().unwrap();
            (random.below(4), random.below(8))
        };
        // Between the decision and the append the other process has time to decide as well.
        for _ in 0..waits {
            tokio::task::yield_now().await;
        }
        match chance {
            0 => Err(lost),
            1 => store.append(append).await.and(Err(lost)),
            _ => store.append(append).await,
        }
    }
}

/// What the callers of a key ask for: not all the same, since what is decided depends on the
/// state, and so do the events.
fn command(key: u64, random: &mut Random) -> AccountCommand {
    match key % 4 {
        0 => Withdraw(random.below(10)),
        1 if key > KEYS / 2 => Close,
        _ => DepositEach((0..=random.below(4)).collect()),
    }
}

/// Asks again and again until there is an answer; none where it was refused or had no effect.
async fn ask(retold: &Retold, key: u64, random: &mut Random) -> Option<Vec<RecordedEvent>> {
    loop {
        let execute = retold.execute::<Account>("1", command(key, random));
        match execute.idempotency_key(format!("key-{key}")).await {
            Ok(executed) if executed.recorded.is_empty() => return None,
            Ok(executed) => {
                assert_eq!(executed.events.len(), executed.recorded.len());
                let last = executed.recorded.last().unwrap();
                assert_eq!(executed.sequence_number, last.sequence_number);
                assert_eq!(executed.state.moves, last.sequence_number);
                return Some(executed.recorded);
            }
            Err(ExecuteError::Rejected(Refused::Overdrawn { .. } | Refused::Closed)) => {
                return None;
            }
            Err(ExecuteError::Failed(Error::Store(StoreError::UnknownOutcome { .. }))) => {}
            Err(ExecuteError::Failed(error)) => panic!("failed to {error}"),
        }
    }
}

async fn play(seed: u64) {
    let store = Arc::new(Hooked::new(Lossy(Mutex::new(Random(seed)))));
    let handle = || Retold::builder().store(store.clone()).build();
    let handles = [handle().await.unwrap(), handle().await.unwrap()];
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..KEYS * CALLERS_OF_A_KEY {
        let retold = handles[caller as usize % handles.len()].clone();
        let mut random = Random(seed.wrapping_add(caller << 32));
        callers.spawn(async move {
            let key = caller / CALLERS_OF_A_KEY;
            (key, ask(&retold, key, &mut random).await)
        });
    }
    let mut effects: BTreeMap<u64, Vec<RecordedEvent>> = BTreeMap::new();
    for (key, answer) in callers.join_all().await {
        let Some(answer) = answer else { continue };
        let first = effects.entry(key).or_insert_with(|| answer.clone());
        assert_eq!(*first, answer, "key {key} has two answers");
    }
    // Later, and by whichever process, the answer is still that one.
    for (key, first) in &effects {
        for retold in &handles {
            let mut random = Random(seed ^ key);
            assert_eq!(ask(retold, *key, &mut random).await.as_ref(), Some(first));
        }
    }
    let page = handles[0].log(LogQuery::after(0).limit(10_000)).await;
    let log = page.unwrap().into_events().unwrap();
    let kept: HashSet<EventId> = log.iter().map(|event| event.metadata.event_id).collect();
    let answered = effects.values().flatten();
    let answered: HashSet<EventId> = answered.map(|event| event.metadata.event_id).collect();
    assert_eq!(kept, answered, "an effect without an answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_has_one_effect_and_one_answer() {
    for seed in seeds(60) {
        play(seed).await;
    }
}
