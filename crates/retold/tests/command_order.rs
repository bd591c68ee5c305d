//! Commands of 64 callers at the same time equal some order of one after another: that of the
//! log. Each recorded command is what would have been decided on the state before it, each answer
//! is what it led to, and each refusal is one that was due at a moment while it was asked.
#![cfg(feature = "derive")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use retold::{
    Aggregate, Appended, Event, EventStore, ExecuteError, Executed, LogQuery, Position,
    RecordedEvent, Retold, StoreError,
};
use retold_core::Append;
use retold_memory::MemoryStore;
use support::account::{
    Account, AccountCommand, AccountEvent, Close, Deposit, DepositEach, Refused, Withdraw,
};
use support::hooked::{Hook, Hooked};
use support::random::{Random, seeds};

const CALLERS: u64 = 64;
const COMMANDS_OF_EACH: usize = 4;
const ACCOUNTS: u64 = 3;

/// The metadata key that says which call an event belongs to.
const CALL: &str = "call";

type Bank = BTreeMap<String, Account>;
type Decided = Result<Vec<(String, Vec<AccountEvent>)>, Refused>;

/// What a caller asks for.
#[derive(Debug, Clone)]
enum Asked {
    Alone(String, AccountCommand),
    Transfer(String, String, u64),
}

/// What was asked, what was answered, and where the log was before and after.
struct Call {
    asked: Asked,
    answer: Result<Vec<Executed<Account>>, Refused>,
    before: Position,
    after: Position,
}

impl Asked {
    fn draw(random: &mut Random) -> Asked {
        let account = random.below(ACCOUNTS);
        let amount = random.below(20);
        let id = |number: u64| format!("account-{number}");
        match random.below(16) {
            0 => Asked::Alone(id(account), Close),
            1 => Asked::Alone(id(account), DepositEach(vec![])),
            2..5 => Asked::Alone(id(account), DepositEach(vec![amount, 1, 2])),
            5..8 => Asked::Alone(id(account), Deposit(amount)),
            8..12 => Asked::Alone(id(account), Withdraw(amount)),
            _ => {
                let other = (account + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
                Asked::Transfer(id(account), id(other), amount)
            }
        }
    }

    /// What is decided where the accounts are like that.
    fn decide(&self, bank: &Bank) -> Decided {
        let account = |id: &String| bank.get(id).cloned().unwrap_or_default();
        match self {
            Asked::Alone(id, command) => {
                let events = account(id).decide(command)?;
                Ok(vec![(id.clone(), events)])
            }
            Asked::Transfer(from, to, amount) => Ok(vec![
                (from.clone(), account(from).decide(&Withdraw(*amount))?),
                (to.clone(), account(to).decide(&Deposit(*amount))?),
            ]),
        }
    }

    async fn ask(&self, retold: &Retold, call: u64) -> Result<Vec<Executed<Account>>, Refused> {
        let answer = match self {
            Asked::Alone(id, command) => {
                let execute = retold.execute::<Account>(id.as_str(), command.clone());
                execute
                    .extra(CALL, &call)
                    .await
                    .map(|executed| vec![executed])
            }
            Asked::Transfer(from, to, amount) => {
                let transfer = retold.execute_together::<(Account, Account)>([&**from, &**to]);
                let decided = transfer.extra(CALL, &call).decide(|(from, to)| {
                    Ok((
                        from.decide(&Withdraw(*amount))?,
                        to.decide(&Deposit(*amount))?,
                    ))
                });
                decided.await.map(|(from, to)| vec![from, to])
            }
        };
        answer.map_err(|error| match error {
            ExecuteError::Rejected(refused) => refused,
            ExecuteError::Failed(error) => panic!("failed to {error}"),
        })
    }
}

async fn play(seed: u64, store: Arc<dyn EventStore>) {
    // Two handles, as two processes have them: they do not wait for one another.
    let handle = || Retold::builder().store(store.clone()).build();
    let handles = [handle().await.unwrap(), handle().await.unwrap()];
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let retold = handles[caller as usize % handles.len()].clone();
        let mut random = Random(seed.wrapping_add(caller << 32));
        callers.spawn(async move {
            let mut calls = Vec::new();
            for nth in 0..COMMANDS_OF_EACH {
                let call = caller * COMMANDS_OF_EACH as u64 + nth as u64;
                let asked = Asked::draw(&mut random);
                let before = retold.store().head().await.unwrap().position;
                let answer = asked.ask(&retold, call).await;
                let after = retold.store().head().await.unwrap().position;
                let told = Call {
                    asked,
                    answer,
                    before,
                    after,
                };
                calls.push((call, told));
            }
            calls
        });
    }
    let calls = callers.join_all().await.into_iter().flatten().collect();
    let page = store.read_log(LogQuery::after(0).limit(10_000)).await;
    check(&calls, &page.unwrap().into_events().unwrap());
    for account in 0..ACCOUNTS {
        let id = format!("account-{account}");
        let states = [
            handles[0].load::<Account>(id.as_str()).await.unwrap(),
            handles[1].load::<Account>(id.as_str()).await.unwrap(),
        ];
        assert_eq!(states[0], states[1]);
    }
}

fn check(calls: &BTreeMap<u64, Call>, log: &[RecordedEvent]) {
    let call_of =
        |event: &RecordedEvent| -> u64 { event.metadata.extra(CALL).unwrap().decode().unwrap() };
    let mut bank = Bank::new();
    // The states after each recorded command, by the position of its last event.
    let mut history = vec![(0, bank.clone())];
    let mut recorded_calls = Vec::new();
    for events in log.chunk_by(|one, next| call_of(one) == call_of(next)) {
        let number = call_of(&events[0]);
        let call = &calls[&number];
        assert!(
            !recorded_calls.contains(&number),
            "call {number} took effect twice"
        );
        recorded_calls.push(number);
        let (first, last) = (events[0].position, events.last().unwrap().position);
        assert!(call.before < first && last <= call.after, "call {number}");
        let answers = call.answer.as_ref().unwrap();
        let decided = call.asked.decide(&bank).unwrap();
        assert_eq!(answers.len(), decided.len());
        for (answer, (id, decided)) in answers.iter().zip(decided) {
            let own: Vec<&RecordedEvent> = events
                .iter()
                .filter(|event| *event.stream.aggregate_id() == id)
                .collect();
            assert!(own.iter().copied().eq(&answer.recorded), "call {number}");
            assert_eq!(answer.events, decided, "call {number}");
            let account = bank.entry(id).or_default();
            for event in own {
                let payload = &event.payload;
                let event = AccountEvent::from_payload(&event.event_type, payload);
                account.apply(event.unwrap().unwrap());
            }
            assert_eq!(*answer.state, *account, "call {number}");
            assert_eq!(answer.sequence_number, account.moves, "call {number}");
        }
        history.push((last, bank.clone()));
    }
    for (number, call) in calls {
        if recorded_calls.contains(number) {
            continue;
        }
        // The last command that was recorded before it was asked, and those until the answer.
        let begin = history.partition_point(|(position, _)| *position <= call.before) - 1;
        let while_asked = history[begin..]
            .iter()
            .take_while(|(position, _)| *position <= call.after);
        let was_due = |(_, bank): &(Position, Bank)| match (call.asked.decide(bank), &call.answer) {
            (Err(due), Err(answered)) => due == *answered,
            (Ok(due), Ok(_)) => due.iter().all(|(_, events)| events.is_empty()),
            _ => false,
        };
        assert!(
            while_asked.into_iter().any(was_due),
            "call {number}, {:?}, was never due: {:?}",
            call.asked,
            call.answer
        );
    }
}

/// Between a decision and its append the other process has time to decide as well.
struct Slow(Mutex<Random>);

#[async_trait]
impl Hook for Slow {
    async fn append(&self, store: &MemoryStore, append: Append) -> Result<Appended, StoreError> {
        let waits = self.0.lock().unwrap().below(6);
        for _ in 0..waits {
            tokio::task::yield_now().await;
        }
        store.append(append).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_at_the_same_time_equal_those_of_the_log_one_after_another() {
    for seed in seeds(40) {
        let slow = Slow(Mutex::new(Random(seed)));
        play(seed, Arc::new(Hooked::new(slow))).await;
    }
}

#[cfg(feature = "engine")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_at_the_same_time_equal_those_of_the_log_on_a_disk_too() {
    use retold::engine::{EngineStore, Options};
    for seed in seeds(3) {
        let folder = tempfile::tempdir().unwrap();
        let store = EngineStore::open(folder.path(), Options::default()).unwrap();
        let store = Arc::new(store);
        play(seed, store.clone()).await;
        store.close().await.unwrap();
    }
}
