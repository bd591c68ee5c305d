//! What a consumer hands out and takes back: a plain state machine without a clock, a disk or a
//! task. Whoever drives it says what was read, what time it is, and what came of a delivery.
//!
//! Events come in twice. The reader of the log offers them by position, and the position moves
//! over what is finished. A stream whose event failed leaves that order: the position passes it
//! over, nothing of it is copied, and it is read again from the stream once it may go on.

mod catching_up;
mod decisions;
mod hold;
mod keeping;
mod lane;
mod planted;
mod probing;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use retold_core::{
    Blocked, ConsumerProgress, Position, RecordedEvent, SequenceNumber, StreamId, StreamProgress,
    Tally, Text, Timestamp,
};

pub(crate) use hold::{Hold, HoldReason};
use lane::{Lane, Obstacle, Stage};
use planted::Bug;

use super::settings::Limits;

/// Identifies one delivery; later ones have higher numbers, also those of another process.
pub(crate) type Fence = u64;

/// Bits of a fence that count within an epoch.
const FENCE_BITS: u32 = 32;

/// A moment: by the clock that never jumps, and by the one that is shown to people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) monotonic: Duration,
    pub(crate) wall: Timestamp,
}

/// An event that somebody is to digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) event: RecordedEvent,
    pub(crate) fence: Fence,
    /// Counted from 1.
    pub(crate) attempt: u32,
}

/// A part of a stream that must be read before it can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) stream: StreamId,
    pub(crate) from: SequenceNumber,
    /// Events behind this position are offered by the reader of the log.
    pub(crate) through: Position,
}

/// The delivery is not under way any more: it was taken back, or another one took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fenced;

/// What must be kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) position: Position,
    pub(crate) kept: Vec<StreamProgress>,
    pub(crate) removed: Vec<StreamId>,
    pub(crate) tally: Tally,
}

/// What has been counted since the desk was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) delivered: u64,
    pub(crate) finished: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

struct Flight {
    stream: StreamId,
    leased_until: Duration,
}

pub(crate) struct Desk {
    limits: Limits,
    last_fence: Fence,
    /// Everything at or before it is finished, or waits in a lane that is blocked.
    position: Position,
    /// How far the log has been offered.
    read_through: Position,
    /// What was offered and is neither finished nor blocked.
    unfinished: BTreeSet<Position>,
    lanes: HashMap<StreamId, Lane>,
    /// Lanes whose first event can be handed out.
    ready: VecDeque<StreamId>,
    /// When lanes that wait are tried again.
    due: BTreeSet<(Duration, StreamId)>,
    /// Lanes that must be read before they can go on.
    wanted: VecDeque<StreamId>,
    /// Blocked lanes that are being read or hold what was read.
    loaded: usize,
    /// Bytes of all events in lanes.
    held_bytes: usize,
    /// Idle lanes that are ahead of the position, by how far.
    ahead: BTreeMap<Position, StreamId>,
    flights: HashMap<Fence, Flight>,
    leases: BTreeSet<(Duration, Fence)>,
    /// Lanes whose event failed.
    waiting: usize,
    hold: Hold,
    changed: HashSet<StreamId>,
    removed: Vec<StreamId>,
    kept_position: Position,
    has_news: bool,
    draws: u64,
    /// All that was ever finished or passed over.
    tally: Tally,
    pub(crate) counts: Counts,
}

impl Desk {
    /// Goes on where a consumer was. `epoch` is that under which it was claimed.
    pub(crate) fn new(limits: Limits, epoch: u32, position: Position) -> Desk {
        Desk {
            hold: Hold::new(&limits),
            limits,
            last_fence: match planted::is(Bug::FencesBeginAnew) {
                true => 0,
                false => u64::from(epoch) << FENCE_BITS,
            },
            position,
            read_through: position,
            unfinished: BTreeSet::new(),
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            due: BTreeSet::new(),
            wanted: VecDeque::new(),
            loaded: 0,
            held_bytes: 0,
            ahead: BTreeMap::new(),
            flights: HashMap::new(),
            leases: BTreeSet::new(),
            waiting: 0,
            changed: HashSet::new(),
            removed: Vec::new(),
            kept_position: position,
            has_news: false,
            draws: u64::from(epoch),
            tally: Tally::default(),
            counts: Counts::default(),
        }
    }

    /// The same with the streams of which more or less is finished.
    pub(crate) fn resume(
        limits: Limits,
        epoch: u32,
        progress: ConsumerProgress,
        now: Duration,
    ) -> Desk {
        let position = progress.checkpoint.map_or(0, |at| at.position);
        let mut desk = Desk::new(limits, epoch, position);
        desk.tally = progress.tally;
        for kept in progress.streams {
            let stream = kept.stream.clone();
            let lane = Lane::resumed(kept, position, now);
            match &lane.obstacle {
                None => {
                    desk.ahead.insert(lane.through, stream.clone());
                }
                Some(obstacle) => {
                    desk.waiting += usize::from(obstacle.is_waiting());
                    match obstacle.stage {
                        Stage::Waiting { due } => {
                            desk.due.insert((due, stream.clone()));
                        }
                        Stage::CatchingUp => desk.wanted.push_back(stream.clone()),
                        Stage::Parked { .. } => {}
                    }
                }
            }
            desk.lanes.insert(stream, lane);
        }
        desk.hold.judge(desk.waiting, now);
        desk
    }

    /// How many more events may be offered.
    pub(crate) fn room(&self) -> usize {
        match self.hold.reason() {
            Some(HoldReason::WaitingStreams) => 0,
            // In an outage new events are tried too, one at a time.
            // What is finished ahead of an event that takes long is remembered, and bounded.
            _ if self.lanes.len() >= self.limits.lanes_max => 0,
            _ if self.is_full() => 0,
            _ => self.limits.read_ahead.saturating_sub(self.unfinished.len()),
        }
    }

    /// Whether the events that are held are large enough that no more are read ahead.
    fn is_full(&self) -> bool {
        self.held_bytes >= self.limits.read_ahead_bytes
    }

    /// How far the log has been offered.
    pub(crate) fn read_through(&self) -> Position {
        self.read_through
    }

    /// Everything at or before it is finished, but for the streams that are blocked.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// All that was ever finished or passed over.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes in the events that follow in the log; everything through a position was read.
    pub(crate) fn offer(&mut self, events: Vec<RecordedEvent>, through: Position) {
        for event in events {
            let stream = event.stream.clone();
            let lane = self.lanes.entry(stream.clone()).or_default();
            if let Some(obstacle) = &mut lane.obstacle {
                obstacle.passed_through = event.position;
                if !planted::is(Bug::BlockedStreamOffered) {
                    continue;
                }
            }
            if event.sequence_number < lane.next {
                continue;
            }
            self.unfinished.insert(event.position);
            self.held_bytes += bytes_of(&event);
            lane.queue.push_back(event);
            let is_next = lane.queue.len() == 1 && lane.flight.is_none();
            if is_next || planted::is(Bug::TwoUnderWay) {
                self.ready.push_back(stream);
            }
        }
        self.read_through = self.read_through.max(through);
        self.move_position();
    }

    /// Moves the position over what is finished, and lets go of lanes that it has reached.
    fn move_position(&mut self) {
        self.position = match self.unfinished.first() {
            Some(first) if !planted::is(Bug::PositionRunsAhead) => first - 1,
            _ => self.read_through,
        };
        while let Some(entry) = self.ahead.first_entry() {
            if *entry.key() > self.position {
                break;
            }
            let stream = entry.remove();
            self.let_go(&stream);
        }
    }

    /// Removes a lane of which nothing needs to be known any more.
    fn let_go(&mut self, stream: &StreamId) {
        let Some(lane) = self.lanes.get(stream) else {
            return;
        };
        if !lane.is_idle() || lane.through > self.position {
            return;
        }
        if lane.is_kept {
            self.removed.push(stream.clone());
        }
        self.changed.remove(stream);
        self.lanes.remove(stream);
    }

    /// Hands out an event, if one may be handed out.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Delivery> {
        if self.flights.len() >= self.limits.in_flight_max {
            return None;
        }
        let stream = match self.hold.reason() {
            Some(_) => self.probe()?,
            None => self.ready.pop_front()?,
        };
        let lane = self.lanes.get_mut(&stream)?;
        let event = lane.queue.front()?.clone();
        let attempt = lane.obstacle.as_ref().map_or(0, Obstacle::attempts) + 1;
        self.last_fence += 1;
        let fence = self.last_fence;
        lane.flight = Some(fence);
        let leased_until = now + self.limits.lease;
        self.leases.insert((leased_until, fence));
        let flight = Flight {
            stream,
            leased_until,
        };
        self.flights.insert(fence, flight);
        self.counts.delivered += 1;
        Some(Delivery {
            event,
            fence,
            attempt,
        })
    }

    /// Ends a delivery; gives its stream, whose lane has no delivery then.
    fn land(&mut self, fence: Fence) -> Result<StreamId, Fenced> {
        let flight = self.flights.remove(&fence).ok_or(Fenced)?;
        self.leases.remove(&(flight.leased_until, fence));
        if let Some(lane) = self.lanes.get_mut(&flight.stream) {
            lane.flight = None;
        }
        Ok(flight.stream)
    }

    /// Keeps a delivery under way for longer.
    pub(crate) fn extend(&mut self, fence: Fence, now: Duration) -> Result<(), Fenced> {
        let flight = self.flights.get_mut(&fence).ok_or(Fenced)?;
        self.leases.remove(&(flight.leased_until, fence));
        flight.leased_until = now + self.limits.lease;
        self.leases.insert((flight.leased_until, fence));
        Ok(())
    }

    /// An event was digested.
    pub(crate) fn finish(&mut self, fence: Fence, now: Duration) -> Result<(), Fenced> {
        let stream = self.land(fence)?;
        self.counts.finished += 1;
        self.has_news = true;
        if let Some(lane) = self.lanes.get_mut(&stream)
            && let Some(event) = lane.queue.pop_front()
        {
            self.held_bytes -= bytes_of(&event);
            lane.next = event.sequence_number + 1;
            lane.through = event.position;
            self.tally.add(event.position);
            self.changed.insert(stream.clone());
            match lane.obstacle.is_some() {
                true => self.go_on(&stream),
                false => {
                    self.unfinished.remove(&event.position);
                    self.settle(stream.clone());
                }
            }
        }
        self.move_position();
        if self.hold.succeeded(self.waiting, now) {
            self.try_all_again(now);
        }
        Ok(())
    }

    /// A lane whose first event is finished: the next one is ready, or it is idle.
    fn settle(&mut self, stream: StreamId) {
        let Some(lane) = self.lanes.get(&stream) else {
            return;
        };
        if !lane.queue.is_empty() {
            self.ready.push_back(stream);
        } else if lane.through > self.position {
            self.ahead.insert(lane.through, stream);
        } else {
            self.let_go(&stream);
        }
    }

    /// An event could not be digested: its stream waits, and is tried again after `delay`, or
    /// after a time that grows with each attempt.
    pub(crate) fn fail(
        &mut self,
        fence: Fence,
        error: Text,
        delay: Option<Duration>,
        now: Now,
    ) -> Result<(), Fenced> {
        if planted::is(Bug::FailedIsFinished) {
            return self.finish(fence, now.monotonic);
        }
        let stream = self.land(fence)?;
        self.counts.failed += 1;
        self.has_news = true;
        self.hold.failed(now.monotonic);
        let Some(lane) = self.lanes.get_mut(&stream) else {
            return Ok(());
        };
        let Some(event) = lane.queue.pop_front() else {
            return Ok(());
        };
        let last = lane.queue.back().unwrap_or(&event).position;
        let dropped = lane.queue.iter().chain([&event]).map(bytes_of);
        self.held_bytes -= dropped.sum::<usize>();
        if lane.obstacle.is_none() {
            for position in lane.queue.iter().chain([&event]).map(|e| e.position) {
                self.unfinished.remove(&position);
            }
            lane.obstacle = Some(Obstacle::catching_up(last));
            lane.next = event.sequence_number;
        } else {
            self.loaded -= 1;
        }
        lane.queue.clear();
        let is_held = self.hold.reason().is_some();
        let obstacle = lane.obstacle.as_mut().expect("it was just given one");
        obstacle.is_loaded = false;
        let was_waiting = obstacle.is_waiting();
        let was_parked = matches!(obstacle.stage, Stage::Parked { .. });
        self.waiting += usize::from(!was_waiting);
        // What fails while everything fails says nothing about the event.
        let attempts = obstacle.attempts() + u32::from(!is_held || !was_waiting);
        obstacle.failed = Some(Blocked {
            position: event.position,
            event_id: event.metadata.event_id,
            attempts,
            is_parked: was_parked,
            error,
            failed_at: now.wall,
        });
        if was_parked {
            // It was tried on behalf of all, and stays what it was.
        } else if attempts >= self.limits.attempts_max && !is_held {
            obstacle.park(now.monotonic);
        } else {
            let pause = self.limits.pause_after(attempts, &mut self.draws);
            let due = now.monotonic + delay.unwrap_or(pause);
            obstacle.stage = Stage::Waiting { due };
            self.due.insert((due, stream.clone()));
        }
        self.changed.insert(stream);
        self.move_position();
        self.hold.pause(now.monotonic, &mut self.draws);
        self.judge(now.monotonic);
        Ok(())
    }

    /// Looks whether the consumer holds as a whole.
    fn judge(&mut self, now: Duration) {
        if let Some(began) = self.hold.judge(self.waiting, now) {
            self.unpark_since(began, now);
        }
    }

    /// Nothing succeeded since: what was parked in that time is not to blame.
    fn unpark_since(&mut self, began: Duration, now: Duration) {
        let parked = self.lanes.iter_mut().filter_map(|(stream, lane)| {
            let obstacle = lane.obstacle.as_mut()?;
            matches!(obstacle.stage, Stage::Parked { at: Some(at) } if at >= began)
                .then_some((stream, obstacle))
        });
        for (stream, obstacle) in parked {
            obstacle.wait_until(now);
            self.due.insert((now, stream.clone()));
            self.changed.insert(stream.clone());
        }
    }

    /// Everything that waits to be tried again is tried now.
    fn try_all_again(&mut self, now: Duration) {
        for (_, stream) in std::mem::take(&mut self.due) {
            // Also a stream that catches up may be here, where it could not be read.
            if let Some(obstacle) = self.obstacle(&stream)
                && let Stage::Waiting { due } = &mut obstacle.stage
            {
                *due = now;
            }
            self.due.insert((now, stream));
        }
    }

    fn obstacle(&mut self, stream: &StreamId) -> Option<&mut Obstacle> {
        self.lanes.get_mut(stream)?.obstacle.as_mut()
    }

    /// Lets time pass: leases run out, and what waited is tried again.
    pub(crate) fn tick(&mut self, now: Now) {
        while let Some((until, fence)) = self.leases.first().copied() {
            if until > now.monotonic {
                break;
            }
            if planted::is(Bug::LateAnswerTaken) {
                self.leases.remove(&(until, fence));
                if let Some(flight) = self.flights.get(&fence)
                    && let Some(lane) = self.lanes.get_mut(&flight.stream)
                {
                    lane.flight = None;
                    self.ready.push_back(flight.stream.clone());
                }
                continue;
            }
            let error = Text::from_static("no answer came before the lease ran out");
            if self.fail(fence, error, None, now).is_err() {
                self.leases.remove(&(until, fence));
            }
        }
        if self.hold.reason().is_some() {
            return self.tend_probe(now.monotonic);
        }
        while let Some((due, stream)) = self.due.first().cloned() {
            if due > now.monotonic {
                break;
            }
            self.due.remove(&(due, stream.clone()));
            self.want(stream);
        }
    }

    /// When something happens by itself, if nothing else does before.
    pub(crate) fn next_time(&self) -> Option<Duration> {
        let lease = self.leases.first().map(|(until, _)| *until);
        let retry = match self.hold.reason() {
            Some(_) => self.hold.probe_at(),
            None => self.due.first().map(|(due, _)| *due),
        };
        [lease, retry].into_iter().flatten().min()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Streams of which less is finished than the position says: those whose event failed, and
    /// those that catch up behind one.
    pub(crate) fn behind(&self) -> usize {
        let lanes = self.lanes.values();
        lanes.filter(|lane| lane.obstacle.is_some()).count()
    }

    pub(crate) fn held(&self) -> Option<HoldReason> {
        self.hold.reason()
    }

    /// Whether a delivery could be handed out now.
    pub(crate) fn has_ready(&self) -> bool {
        let is_ready = match self.hold.reason() {
            None => !self.ready.is_empty(),
            Some(_) => self.ready.iter().any(|stream| self.hold.is_probe(stream)),
        };
        is_ready && self.flights.len() < self.limits.in_flight_max
    }
}

/// About how much memory an event takes.
fn bytes_of(event: &RecordedEvent) -> usize {
    /// Its names, ids and dates, and the structure around them.
    const BESIDE_PAYLOAD: usize = 512;
    event.payload.as_str().len() + BESIDE_PAYLOAD
}

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
