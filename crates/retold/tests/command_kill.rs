//! Idempotency keys under SIGKILL: a real process is killed while it executes commands, again and
//! again on one folder, and each command whose answer did not come is asked again under its key.
//! There is one effect and one answer, and it is the one that was told before the crash.
//! `RETOLD_SEED` draws the same commands and delays again, `RETOLD_ROUNDS` says how many rounds.
#![cfg(all(unix, feature = "derive", feature = "engine"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use retold::{EventId, ExecuteError, LogQuery, Retold};
use support::account::{Account, AccountCommand, Close, DepositEach, Refused, Withdraw};
use support::random::{Random, number_of, seeds};

const CHILD_FOLDER: &str = "RETOLD_KILL_FOLDER";
const CHILD_ROUND: &str = "RETOLD_KILL_ROUND";
const TASKS: u64 = 8;
const ACCOUNTS: u64 = 3;
const ROUNDS: u64 = 8;
const SIGKILL: i32 = 9;

/// What is asked for under a key follows from the key.
fn asked(key: &str) -> (String, AccountCommand) {
    let seed = key.bytes().fold(7, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let mut random = Random(seed);
    let account = format!("account-{}", random.below(ACCOUNTS));
    let command = match random.below(200) {
        0 => Close,
        1..100 => Withdraw(random.below(8)),
        _ => DepositEach((0..1 + random.below(3)).collect()),
    };
    (account, command)
}

/// The ids of the events that a key has led to; none where it was refused or had no effect.
async fn ask(retold: &Retold, key: &str) -> Vec<EventId> {
    let (account, command) = asked(key);
    let execute = retold.execute::<Account>(account, command);
    match execute.idempotency_key(key).await {
        Ok(executed) => {
            let ids = executed
                .recorded
                .iter()
                .map(|event| event.metadata.event_id);
            ids.collect()
        }
        Err(ExecuteError::Rejected(Refused::Overdrawn { .. } | Refused::Closed)) => Vec::new(),
        Err(ExecuteError::Failed(error)) => panic!("failed to {error}"),
    }
}

/// The process that is killed, when the other test starts it; no test by itself.
#[test]
fn started_again_as_the_child() {
    let Some(folder) = env::var_os(CHILD_FOLDER) else {
        return;
    };
    let round = env::var(CHILD_ROUND).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let retold = Retold::open(Path::new(&folder)).await.unwrap();
        tell("\nready");
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let (retold, round) = (retold.clone(), round.clone());
            tasks.spawn(async move {
                for nth in 0.. {
                    let key = format!("{round}-{task}-{nth}");
                    tell(&format!("asked {key}"));
                    let ids = ask(&retold, &key).await;
                    let ids: Vec<String> = ids.iter().map(EventId::to_string).collect();
                    tell(&format!("answered {key} {}", ids.join(",")));
                }
            });
        }
        tasks.join_next().await.unwrap().unwrap();
    });
}

/// One line at a time, each with the parent before anything else happens.
fn tell(line: &str) {
    let mut pipe = std::io::stdout().lock();
    writeln!(pipe, "{line}").unwrap();
    pipe.flush().unwrap();
}

/// What the child told: the keys that it asked for, and the answers that came.
#[derive(Default)]
struct Told {
    asked: BTreeSet<String>,
    answered: BTreeMap<String, Vec<EventId>>,
}

impl Told {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["asked", key] => {
                self.asked.insert(key.to_owned());
            }
            ["answered", key, ids] => {
                let ids = ids.split(',').filter(|id| !id.is_empty());
                let ids = ids.map(|id| id.parse().unwrap()).collect();
                self.answered.insert(key.to_owned(), ids);
            }
            _ => {}
        }
    }
}

fn kill_one(folder: &Path, round: &str, delay: Duration) -> Told {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "started_again_as_the_child", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .env(CHILD_ROUND, round)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = BufReader::new(child.stdout.take().unwrap());
    while next_line(&mut pipe).is_some_and(|line| line != "ready") {}
    let mut told = Told::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(delay);
            child.kill().unwrap();
        });
        while let Some(line) = next_line(&mut pipe) {
            told.hear(&line);
        }
    });
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGKILL), "the child ended by itself");
    told
}

/// The next line; none at the end, and for one that the child did not finish telling.
fn next_line(pipe: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    pipe.read_line(&mut line).unwrap();
    line.strip_suffix('\n').map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_effect_and_one_answer_when_the_process_is_killed() {
    let seed = seeds(1).next().unwrap();
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("data");
    let mut effects: BTreeMap<String, Vec<EventId>> = BTreeMap::new();
    let (mut unanswered, mut found) = (0, 0);
    for round in 0..number_of("RETOLD_ROUNDS").unwrap_or(ROUNDS) {
        let delay = Duration::from_millis(10 + random.below(150));
        let told = kill_one(&folder, &format!("{seed}-{round}"), delay);
        let retold = Arc::new(Retold::open(&folder).await.unwrap());
        let written = retold.store().head().await.unwrap().position;
        for key in &told.asked {
            match told.answered.get(key) {
                // A refusal is not remembered, so there is nothing to compare.
                Some(answer) if answer.is_empty() => {}
                Some(answer) => {
                    assert_eq!(ask(&retold, key).await, *answer, "{key} has two answers");
                    effects.insert(key.clone(), answer.clone());
                }
                None => {
                    unanswered += 1;
                    let answer = ask(&retold, key).await;
                    assert_eq!(ask(&retold, key).await, answer, "{key} has two answers");
                    let first = answer.first().copied();
                    if let Some(first) = first {
                        let event = retold.event(first).await.unwrap().unwrap();
                        found += u64::from(event.position <= written);
                        effects.insert(key.clone(), answer);
                    }
                }
            }
        }
        check(&retold, &effects).await;
        retold.close().await.unwrap();
    }
    assert!(
        !effects.is_empty(),
        "the child was killed before it did anything"
    );
    let commands = effects.len();
    println!("{commands} commands; {unanswered} without an answer, {found} of them recorded");
}

/// The log holds the events of the effects, in the order of their ordinals, and nothing else.
async fn check(retold: &Retold, effects: &BTreeMap<String, Vec<EventId>>) {
    let mut positions = BTreeMap::new();
    let mut after = Some(0);
    while let Some(from) = after {
        let page = retold
            .log(LogQuery::after(from).limit(10_000))
            .await
            .unwrap();
        after = page.next;
        for event in page.into_events().unwrap() {
            positions.insert(event.metadata.event_id, event.position);
        }
    }
    for (key, ids) in effects {
        let places: Vec<u64> = ids.iter().map(|id| positions.remove(id).unwrap()).collect();
        let follows = |pair: &[u64]| pair[0] + 1 == pair[1];
        assert!(places.windows(2).all(follows), "{key} is at {places:?}");
    }
    assert!(
        positions.is_empty(),
        "effects that nobody asked for: {positions:?}"
    );
}
