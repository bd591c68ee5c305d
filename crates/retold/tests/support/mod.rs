//! What the tests share: handles on each kind of store, and waiting without sleeping blindly.
// Not every test file uses all of it.
#![allow(dead_code)]

#[cfg(feature = "derive")]
pub(crate) mod account;
pub(crate) mod hooked;
pub(crate) mod random;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use retold::{Clock, NewEvent, Retold, StreamId, Timestamp, Transition};

/// How long a condition may take to come true: far longer than it ever does.
const DEADLINE: Duration = Duration::from_secs(20);

/// A handle in memory with the shipped machines.
pub(crate) async fn in_memory() -> Retold {
    let builder = Retold::builder().builtin_machines();
    builder.open("memory:").await.unwrap()
}

/// Runs a test on each kind of location.
pub(crate) async fn on_each_store<F: Future<Output = ()>>(test: impl Fn(Retold) -> F) {
    test(in_memory().await).await;
    #[cfg(feature = "engine")]
    {
        let folder = tempfile::tempdir().unwrap();
        let builder = Retold::builder().builtin_machines();
        let retold = builder.open(folder.path().join("data")).await.unwrap();
        test(retold.clone()).await;
        retold.close().await.unwrap();
    }
}

/// Looks at a condition until it holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Runs an asynchronous test from a synchronous one, as properties are.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

pub(crate) fn issue(id: &str) -> StreamId {
    StreamId::new("Issue", id).unwrap()
}

pub(crate) fn comment(id: &str) -> NewEvent {
    NewEvent::new(issue(id), "issue.commented", &"hello").unwrap()
}

pub(crate) fn start_work(id: &str) -> Transition {
    Transition::new("Issue", id)
        .from("TODO")
        .to("IN_PROGRESS")
        .event("start_work")
}

pub(crate) fn block(id: &str) -> Transition {
    Transition::new("Issue", id)
        .from("IN_PROGRESS")
        .to("BLOCKED")
        .event("block")
}

pub(crate) fn unblock(id: &str) -> Transition {
    Transition::new("Issue", id)
        .from("BLOCKED")
        .to("IN_PROGRESS")
        .event("unblock")
}

pub(crate) fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000).unwrap()
}

/// A clock that a test sets.
#[derive(Default)]
pub(crate) struct ClockByHand(Mutex<i64>);

impl ClockByHand {
    pub(crate) fn new() -> Arc<ClockByHand> {
        Arc::new(ClockByHand::default())
    }

    pub(crate) fn set(&self, seconds: i64) {
        *self.0.lock().unwrap() = seconds;
    }
}

impl Clock for ClockByHand {
    fn now(&self) -> Timestamp {
        seconds(*self.0.lock().unwrap())
    }

    fn monotonic(&self) -> Duration {
        // Both clocks move together, so that a step of the test is no leap.
        Duration::from_secs(self.0.lock().unwrap().unsigned_abs())
    }
}
