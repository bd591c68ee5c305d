//! Streams that have left the order of the log: what must be read of them, and when they are back.

use std::time::Duration;

use retold_core::{RecordedEvent, SequenceNumber, StreamId};

use super::lane::Stage;
use super::planted::{self, Bug};
use super::{Desk, Want, bytes_of};

impl Desk {
    /// The event that a blocked lane waited for is finished: the rest of it catches up.
    pub(super) fn go_on(&mut self, stream: &StreamId) {
        let Some(lane) = self.lanes.get_mut(stream) else {
            return;
        };
        let Some(obstacle) = &mut lane.obstacle else {
            return;
        };
        self.waiting -= usize::from(obstacle.is_waiting());
        obstacle.stage = Stage::CatchingUp;
        obstacle.failed = None;
        match lane.queue.is_empty() {
            true => {
                self.unload(stream);
                self.want(stream.clone());
            }
            false => self.ready.push_back(stream.clone()),
        }
    }

    pub(super) fn want(&mut self, stream: StreamId) {
        self.wanted.push_back(stream);
    }

    fn unload(&mut self, stream: &StreamId) {
        if let Some(obstacle) = self.obstacle(stream)
            && std::mem::take(&mut obstacle.is_loaded)
        {
            self.loaded -= 1;
        }
    }

    /// The next part of a stream that must be read.
    pub(crate) fn want_next(&mut self) -> Option<Want> {
        loop {
            let stream = match self.hold.reason() {
                None if self.loaded >= self.limits.in_flight_max => return None,
                // One goes on in any case: what fills the memory may wait behind it.
                None if self.loaded > 0 && self.is_full() => return None,
                None => self.wanted.pop_front()?,
                // Whatever else has been read waits until the probe has succeeded.
                Some(_) => {
                    let mut wanted = self.wanted.iter();
                    let at = wanted.position(|stream| self.hold.is_probe(stream))?;
                    self.wanted.remove(at)?
                }
            };
            let Some(lane) = self.lanes.get_mut(&stream) else {
                continue;
            };
            let Some(obstacle) = lane.obstacle.as_mut().filter(|o| !o.is_loaded) else {
                continue;
            };
            obstacle.is_loaded = true;
            self.loaded += 1;
            // After a restart the reader of the log may be behind the event that failed.
            let failed_at = obstacle.failed.as_ref().map_or(0, |failed| failed.position);
            let through = self.read_through.max(failed_at);
            return Some(Want {
                from: lane.next,
                stream,
                through,
            });
        }
    }

    /// A part of a stream was read: the events of it that are asked for, and the sequence number
    /// behind everything that was looked at.
    pub(crate) fn caught(
        &mut self,
        want: &Want,
        events: Vec<RecordedEvent>,
        looked_through: SequenceNumber,
        is_end: bool,
    ) {
        let Some(lane) = self.lanes.get_mut(&want.stream) else {
            return;
        };
        let Some(obstacle) = lane.obstacle.as_mut().filter(|o| o.is_loaded) else {
            return;
        };
        if let Some(first) = events.first() {
            // Of what is passed over nothing is asked for.
            lane.next = first.sequence_number;
            self.held_bytes += events.iter().map(bytes_of).sum::<usize>();
            lane.queue = events.into();
            self.ready.push_back(want.stream.clone());
            return;
        }
        lane.next = lane.next.max(looked_through + 1);
        let has_read_all =
            obstacle.passed_through <= want.through || planted::is(Bug::CaughtUpTooEarly);
        let is_caught_up = is_end && has_read_all;
        self.unload(&want.stream);
        if !is_caught_up {
            return self.want(want.stream.clone());
        }
        // The event that it waited for is gone with the damage that was accepted.
        if let Some(lane) = self.lanes.get_mut(&want.stream)
            && let Some(obstacle) = lane.obstacle.take()
        {
            self.waiting -= usize::from(obstacle.is_waiting());
            lane.through = lane.through.max(obstacle.passed_through);
        }
        self.has_news = true;
        self.changed.insert(want.stream.clone());
        self.settle(want.stream.clone());
    }

    /// A part of a stream could not be read; it is tried again after a while.
    pub(crate) fn not_caught(&mut self, want: &Want, now: Duration) {
        self.unload(&want.stream);
        let due = now + self.limits.pause_after(1, &mut self.draws);
        self.due.insert((due, want.stream.clone()));
    }
}
