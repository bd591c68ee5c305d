//! A clock that the simulator moves, and lets jump.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use retold_core::{Clock, Timestamp};

use crate::disk::sim::dice::Dice;

/// 2024-01-01T00:00:00Z, in microseconds.
const START_MICROS: i64 = 1_704_067_200_000_000;

pub(super) struct SimClock {
    wall_micros: AtomicI64,
    monotonic_micros: AtomicU64,
    /// The latest that the wall clock ever was: nothing may be dated later.
    latest_micros: AtomicI64,
}

impl SimClock {
    pub(super) fn new() -> SimClock {
        SimClock {
            wall_micros: AtomicI64::new(START_MICROS),
            monotonic_micros: AtomicU64::new(1),
            latest_micros: AtomicI64::new(START_MICROS),
        }
    }

    /// Lets some time pass.
    pub(super) fn pass(&self, dice: &mut Dice) {
        let micros = dice.below(20_000);
        self.monotonic_micros.fetch_add(micros, Ordering::Relaxed);
        self.leap(micros as i64);
    }

    /// Sets the wall clock back or ahead, by up to a day.
    pub(super) fn jump(&self, dice: &mut Dice) -> i64 {
        let most = *dice.pick(&[1_000_000, 120_000_000, 86_400_000_000]);
        let by = dice.below(most) as i64;
        let by = if dice.flip() { by } else { -by };
        self.leap(by);
        // A leap is believed after a minute.
        if dice.flip() {
            self.monotonic_micros
                .fetch_add(61_000_000, Ordering::Relaxed);
        }
        by
    }

    fn leap(&self, micros: i64) {
        let wall = self.wall_micros.fetch_add(micros, Ordering::Relaxed) + micros;
        self.latest_micros.fetch_max(wall, Ordering::Relaxed);
    }

    /// The latest date that an event may have. An expected wall time, while a leap is not
    /// believed, runs with the monotonic clock: that may pass the wall clock.
    pub(super) fn latest(&self) -> i64 {
        let monotonic = self.monotonic_micros.load(Ordering::Relaxed) as i64;
        self.latest_micros.load(Ordering::Relaxed) + monotonic
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let micros = self.wall_micros.load(Ordering::Relaxed);
        Timestamp::from_micros(micros).unwrap_or(Timestamp::MIN)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic_micros.load(Ordering::Relaxed))
    }
}
