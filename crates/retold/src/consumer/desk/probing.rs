//! Which event is tried while the consumer holds as a whole.

use std::time::Duration;

use retold_core::StreamId;

use super::Desk;
use super::hold::HoldReason;
use super::lane::Stage;

impl Desk {
    /// The lane that is tried while the consumer holds, once it has been read.
    pub(super) fn probe(&mut self) -> Option<StreamId> {
        let at = self.ready.iter().position(|s| self.hold.is_probe(s))?;
        self.ready.remove(at)
    }

    /// Sees to it that one event is tried when it is time.
    pub(super) fn tend_probe(&mut self, now: Duration) {
        self.look_after_probe();
        if self.hold.wants_probe(now) && !self.choose_probe() {
            self.hold.put_off(now);
        }
    }

    /// Gives an event up as the one that is tried on behalf of all where it has gone its own way:
    /// its stream could not be read, or somebody has decided about it.
    fn look_after_probe(&mut self) {
        let Some(stream) = self.hold.probed() else {
            return;
        };
        let is_under_way = self.lanes.get(stream).is_some_and(|lane| {
            let obstacle = lane.obstacle.as_ref();
            lane.flight.is_some() || obstacle.is_some_and(|obstacle| obstacle.is_loaded)
        });
        if !is_under_way && !self.ready.contains(stream) && !self.wanted.contains(stream) {
            self.hold.give_up_probe();
        }
    }

    /// One event is tried on behalf of all: the one that has waited longest since it was tried;
    /// in an outage every second time a new one, since those that wait may be to blame themselves.
    /// False where there is none that could be tried.
    fn choose_probe(&mut self) -> bool {
        let is_outage = self.hold.reason() == Some(HoldReason::Outage);
        let new = self.new_event().filter(|_| is_outage);
        let waiting = self.longest_waiting();
        let stream = match self.hold.tries_new_event() {
            true => new.or(waiting),
            false => waiting.or(new),
        };
        let Some(stream) = stream else {
            return false;
        };
        self.hold.probe(stream.clone());
        // A new one is ready as it is.
        if let Some(obstacle) = self.obstacle(&stream) {
            if let Stage::Waiting { due } = obstacle.stage {
                self.due.remove(&(due, stream.clone()));
            }
            self.wanted.retain(|wanted| *wanted != stream);
            self.want(stream);
        }
        true
    }

    fn new_event(&self) -> Option<StreamId> {
        let is_new = |stream: &&StreamId| {
            let lane = self.lanes.get(*stream);
            lane.is_some_and(|lane| lane.obstacle.is_none())
        };
        self.ready.iter().find(is_new).cloned()
    }

    fn longest_waiting(&self) -> Option<StreamId> {
        let waiting = self.lanes.iter().filter_map(|(stream, lane)| {
            let obstacle = lane.obstacle.as_ref()?;
            let failed = obstacle.failed.as_ref()?;
            let is_free = obstacle.is_waiting() && lane.flight.is_none();
            is_free.then_some((failed.failed_at, stream))
        });
        waiting.min().map(|(_, stream)| stream.clone())
    }
}
