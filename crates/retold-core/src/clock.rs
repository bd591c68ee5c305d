//! Time comes in from outside; and the rule by which a store dates what it records.

use std::time::{Duration, Instant};

use crate::{Timestamp, limits};

/// Where time comes from: the system in production, a test's hand elsewhere.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock's time, which may jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, which never runs backwards and never jumps.
    fn monotonic(&self) -> Duration;
}

/// The system's clocks.
#[derive(Debug, Clone)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock {
            started: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Something odd about the clock that an operator should know; appends go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockWarning {
    /// The clock is behind the newest event, which is therefore the date of new ones too.
    Behind {
        /// By how much, in microseconds.
        micros: i64,
    },
    /// The clock leapt ahead of the monotonic one; it is followed once it has held a while.
    Leapt {
        /// By how much, in microseconds.
        micros: i64,
    },
}

/// Dates recorded events: `max(now, the last date)`, so that dates never run backwards; a leap
/// ahead by more than a minute is followed only after it has held for a minute.
#[derive(Debug, Clone)]
pub struct PersistedClock {
    last: Timestamp,
    /// Wall and monotonic time when they last agreed.
    agreed: Option<(Timestamp, Duration)>,
    leapt_at: Option<Duration>,
}

impl PersistedClock {
    /// Goes on after the date of the newest event.
    pub fn after(last: Timestamp) -> PersistedClock {
        PersistedClock {
            last,
            agreed: None,
            leapt_at: None,
        }
    }

    /// The date of what is recorded now, and what is odd about the clock.
    pub fn date(&mut self, clock: &dyn Clock) -> (Timestamp, Option<ClockWarning>) {
        let (wall, monotonic) = (clock.now(), clock.monotonic());
        let (now, leap) = self.doubt_leaps(wall, monotonic);
        let behind = self.last.as_micros() - now.as_micros();
        self.last = self.last.max(now);
        let warning = leap.or_else(|| {
            (behind > limits::CLOCK_BEHIND_WARN_MS * 1_000)
                .then_some(ClockWarning::Behind { micros: behind })
        });
        (self.last, warning)
    }

    /// Moves the last date forward to that of an event recorded elsewhere.
    pub fn observe(&mut self, persisted_at: Timestamp) {
        self.last = self.last.max(persisted_at);
    }

    fn doubt_leaps(
        &mut self,
        wall: Timestamp,
        monotonic: Duration,
    ) -> (Timestamp, Option<ClockWarning>) {
        let Some((agreed_wall, agreed_monotonic)) = self.agreed else {
            self.agreed = Some((wall, monotonic));
            return (wall, None);
        };
        let elapsed = monotonic.saturating_sub(agreed_monotonic);
        let elapsed_micros = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        let expected = agreed_wall.saturating_add_micros(elapsed_micros);
        let leap = wall.as_micros() - expected.as_micros();
        if leap <= limits::CLOCK_LEAP_MS * 1_000 {
            self.agreed = Some((wall, monotonic));
            self.leapt_at = None;
            return (wall, None);
        }
        let leapt_at = *self.leapt_at.get_or_insert(monotonic);
        let held = monotonic.saturating_sub(leapt_at).as_millis();
        if held >= limits::CLOCK_LEAP_MS.unsigned_abs().into() {
            self.agreed = Some((wall, monotonic));
            self.leapt_at = None;
            return (wall, None);
        }
        (expected, Some(ClockWarning::Leapt { micros: leap }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct ByHand(Mutex<(i64, u64)>);

    impl ByHand {
        fn set(&self, wall_s: i64, monotonic_s: u64) {
            *self.0.lock().unwrap() = (wall_s, monotonic_s);
        }
    }

    impl Clock for ByHand {
        fn now(&self) -> Timestamp {
            seconds(self.0.lock().unwrap().0)
        }
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.lock().unwrap().1)
        }
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_clock_that_goes_back_repeats_the_last_date_and_is_warned_about() {
        let clock = ByHand(Mutex::new((100, 0)));
        let mut dates = PersistedClock::after(seconds(90));
        assert_eq!(dates.date(&clock), (seconds(100), None));
        clock.set(99, 1);
        assert_eq!(dates.date(&clock), (seconds(100), None));
        clock.set(95, 2);
        let behind = ClockWarning::Behind { micros: 5_000_000 };
        assert_eq!(dates.date(&clock), (seconds(100), Some(behind)));
        clock.set(101, 8);
        assert_eq!(dates.date(&clock), (seconds(101), None));
    }

    #[test]
    fn a_leap_is_followed_after_it_has_held_for_a_minute() {
        let clock = ByHand(Mutex::new((100, 0)));
        let mut dates = PersistedClock::after(seconds(0));
        dates.date(&clock);
        clock.set(9_000, 10);
        let (date, warning) = dates.date(&clock);
        assert_eq!(date, seconds(110));
        assert!(matches!(warning, Some(ClockWarning::Leapt { .. })));
        clock.set(9_050, 60);
        assert_eq!(dates.date(&clock).0, seconds(160));
        clock.set(9_060, 70);
        assert_eq!(dates.date(&clock), (seconds(9_060), None));
    }

    #[test]
    fn a_leap_that_is_taken_back_leaves_no_trace() {
        let clock = ByHand(Mutex::new((100, 0)));
        let mut dates = PersistedClock::after(seconds(0));
        dates.date(&clock);
        clock.set(9_000, 10);
        dates.date(&clock);
        clock.set(120, 20);
        assert_eq!(dates.date(&clock), (seconds(120), None));
    }
}
