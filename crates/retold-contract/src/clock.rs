//! A clock that a test sets by hand, so that no test about time has to sleep.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use retold_core::{Clock, Timestamp};

/// A wall clock and a monotonic one that stand still until they are moved.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> ManualClock {
        ManualClock(Mutex::new((now, Duration::ZERO)))
    }

    /// Lets time pass: both clocks move.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = i64::try_from(by.as_micros()).expect("a test does not wait for ages");
        *hands = (hands.0.saturating_add_micros(micros), hands.1 + by);
    }

    /// Sets the wall clock, as an administrator might; the monotonic one stands still.
    pub fn set(&self, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
