//! When a consumer holds as a whole: too many streams wait, or nothing has succeeded for a while.
//! Then one event is tried now and then, until it succeeds.

use std::time::Duration;

use retold_core::StreamId;

use crate::consumer::settings::Limits;

/// Why a consumer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HoldReason {
    /// So many streams wait that no more are begun.
    WaitingStreams,
    /// Every delivery has failed for a while.
    Outage,
}

pub(crate) struct Hold {
    limits: Limits,
    reason: Option<HoldReason>,
    /// When the first of the deliveries failed that have all failed, and how many they are.
    streak: Option<(Duration, usize)>,
    probes: u32,
    probe_at: Duration,
    probe: Option<StreamId>,
}

impl Hold {
    pub(super) fn new(limits: &Limits) -> Hold {
        Hold {
            limits: limits.clone(),
            reason: None,
            streak: None,
            probes: 0,
            probe_at: Duration::ZERO,
            probe: None,
        }
    }

    pub(crate) fn reason(&self) -> Option<HoldReason> {
        self.reason
    }

    /// A delivery failed.
    pub(super) fn failed(&mut self, now: Duration) {
        let (_, failures) = self.streak.get_or_insert((now, 0));
        *failures += 1;
        self.probe = None;
    }

    /// Puts the next attempt on behalf of all off, for longer each time.
    pub(super) fn pause(&mut self, now: Duration, draws: &mut u64) {
        if self.reason.is_some() {
            self.probes += 1;
            self.probe_at = now + self.limits.pause_after(self.probes, draws);
        }
    }

    /// Nothing can be tried now.
    pub(super) fn put_off(&mut self, now: Duration) {
        self.probe_at = now + self.limits.backoff;
    }

    /// Holds if there is reason to. Gives since when nothing has succeeded, where that is found
    /// out now.
    pub(super) fn judge(&mut self, waiting: usize, now: Duration) -> Option<Duration> {
        if self.reason == Some(HoldReason::Outage) {
            return None;
        }
        let is_full = waiting >= self.limits.parked_streams_max;
        let outage = self.streak.filter(|(began, failures)| {
            let is_long = *failures > 1 && now >= *began + self.limits.outage_after;
            is_long || (is_full && *failures >= waiting)
        });
        let reason = match outage {
            Some(_) => Some(HoldReason::Outage),
            None => is_full.then_some(HoldReason::WaitingStreams),
        };
        if self.reason.is_none() && reason.is_some() {
            self.probes = 0;
            self.probe_at = now + self.limits.backoff;
        }
        self.reason = reason;
        outage.map(|(began, _)| began)
    }

    /// Whether the next attempt on behalf of all is rather for a new event.
    pub(super) fn tries_new_event(&self) -> bool {
        self.probes.is_multiple_of(2)
    }

    /// A delivery succeeded. True where that ends an outage.
    pub(super) fn succeeded(&mut self, waiting: usize, now: Duration) -> bool {
        self.streak = None;
        self.probe = None;
        self.probes = 0;
        self.probe_at = now;
        let was_outage = self.reason == Some(HoldReason::Outage);
        if was_outage {
            self.reason = Some(HoldReason::WaitingStreams);
        }
        self.released(waiting);
        was_outage
    }

    /// Fewer streams wait.
    pub(super) fn released(&mut self, waiting: usize) {
        if self.reason == Some(HoldReason::WaitingStreams)
            && waiting < self.limits.parked_streams_max
        {
            self.reason = None;
        }
    }

    pub(super) fn wants_probe(&self, now: Duration) -> bool {
        self.probe.is_none() && now >= self.probe_at
    }

    pub(super) fn probe(&mut self, stream: StreamId) {
        self.probe = Some(stream);
    }

    pub(super) fn probed(&self) -> Option<&StreamId> {
        self.probe.as_ref()
    }

    pub(super) fn give_up_probe(&mut self) {
        self.probe = None;
    }

    pub(super) fn is_probe(&self, stream: &StreamId) -> bool {
        self.probe.as_ref() == Some(stream)
    }

    /// When an event is tried; none while one is.
    pub(super) fn probe_at(&self) -> Option<Duration> {
        self.probe.is_none().then_some(self.probe_at)
    }
}
