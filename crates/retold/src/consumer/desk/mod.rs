//! What a consumer hands out and takes back: a plain state machine without a clock, a disk or a
//! task. Whoever drives it says what was read, what time it is, and what came of a delivery.
//!
//! Events come in twice. The reader of the log offers them by position, and the position moves
//! over what is finished. A stream whose event failed leaves that order: the position passes it
//! over, nothing of it is copied, and it is read again from the stream once it may go on.

mod hold;
mod lane;
mod planted;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use retold_core::{
    Blocked, ConsumerProgress, Position, RecordedEvent, SequenceNumber, StreamId, StreamProgress,
    Text, Timestamp,
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
            ahead: BTreeMap::new(),
            flights: HashMap::new(),
            leases: BTreeSet::new(),
            waiting: 0,
            changed: HashSet::new(),
            removed: Vec::new(),
            kept_position: position,
            has_news: false,
            draws: u64::from(epoch),
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
            _ => self.limits.read_ahead.saturating_sub(self.unfinished.len()),
        }
    }

    /// How far the log has been offered.
    pub(crate) fn read_through(&self) -> Position {
        self.read_through
    }

    /// Everything at or before it is finished, but for the streams that are blocked.
    pub(crate) fn position(&self) -> Position {
        self.position
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

    /// The lane that is tried while the consumer holds, once it has been read.
    fn probe(&mut self) -> Option<StreamId> {
        let at = self.ready.iter().position(|s| self.hold.is_probe(s))?;
        self.ready.remove(at)
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
            lane.next = event.sequence_number + 1;
            lane.through = event.position;
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

    /// The event that a blocked lane waited for is finished: the rest of it catches up.
    fn go_on(&mut self, stream: &StreamId) {
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

    fn want(&mut self, stream: StreamId) {
        self.wanted.push_back(stream);
    }

    fn unload(&mut self, stream: &StreamId) {
        if let Some(obstacle) = self.obstacle(stream)
            && std::mem::take(&mut obstacle.is_loaded)
        {
            self.loaded -= 1;
        }
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
            self.look_after_probe();
            if self.hold.wants_probe(now.monotonic) {
                self.choose_probe();
            }
            return;
        }
        while let Some((due, stream)) = self.due.first().cloned() {
            if due > now.monotonic {
                break;
            }
            self.due.remove(&(due, stream.clone()));
            self.want(stream);
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
    fn choose_probe(&mut self) {
        if self.hold.tries_new_event() {
            let is_new = |stream: &&StreamId| {
                let lane = self.lanes.get(*stream);
                lane.is_some_and(|lane| lane.obstacle.is_none())
            };
            if let Some(stream) = self.ready.iter().find(is_new) {
                return self.hold.probe(stream.clone());
            }
        }
        let waiting = self.lanes.iter().filter_map(|(stream, lane)| {
            let obstacle = lane.obstacle.as_ref()?;
            let failed = obstacle.failed.as_ref()?;
            let is_free = obstacle.is_waiting() && lane.flight.is_none();
            is_free.then_some((failed.failed_at, stream))
        });
        let Some(stream) = waiting.min().map(|(_, stream)| stream.clone()) else {
            return;
        };
        if let Some(obstacle) = self.obstacle(&stream)
            && let Stage::Waiting { due } = obstacle.stage
        {
            self.due.remove(&(due, stream.clone()));
        }
        self.hold.probe(stream.clone());
        self.wanted.retain(|wanted| *wanted != stream);
        self.want(stream);
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

    /// The next part of a stream that must be read.
    pub(crate) fn want_next(&mut self) -> Option<Want> {
        loop {
            let stream = match self.hold.reason() {
                None if self.loaded >= self.limits.in_flight_max => return None,
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

    /// Tries a parked event again; false where none is parked in the stream.
    pub(crate) fn replay(&mut self, stream: &StreamId, now: Duration) -> bool {
        let Some(obstacle) = self.obstacle(stream) else {
            return false;
        };
        if !matches!(obstacle.stage, Stage::Parked { .. }) {
            return false;
        }
        obstacle.wait_until(now);
        if let Some(failed) = &mut obstacle.failed {
            failed.attempts = 0;
        }
        self.due.insert((now, stream.clone()));
        self.changed.insert(stream.clone());
        self.has_news = true;
        true
    }

    /// The event that is parked in a stream.
    pub(crate) fn parked(&self, stream: &StreamId) -> Option<&Blocked> {
        let obstacle = self.lanes.get(stream)?.obstacle.as_ref()?;
        let is_parked = matches!(obstacle.stage, Stage::Parked { .. }) && !obstacle.is_loaded;
        obstacle.failed.as_ref().filter(|_| is_parked)
    }

    /// Passes a parked event over; gives what it was, none where none is parked in the stream.
    pub(crate) fn skip(&mut self, stream: &StreamId) -> Option<Blocked> {
        let lane = self.lanes.get_mut(stream)?;
        let obstacle = lane.obstacle.as_mut()?;
        if !matches!(obstacle.stage, Stage::Parked { .. }) || obstacle.is_loaded {
            return None;
        }
        let skipped = obstacle.failed.take()?;
        obstacle.stage = Stage::CatchingUp;
        self.waiting -= 1;
        lane.next += 1;
        lane.through = skipped.position;
        self.counts.skipped += 1;
        self.changed.insert(stream.clone());
        self.has_news = true;
        self.want(stream.clone());
        self.hold.released(self.waiting);
        Some(skipped)
    }

    /// Whether something has to be kept.
    pub(crate) fn has_changes(&self) -> bool {
        self.has_news || self.position != self.kept_position
    }

    /// What was to be kept was not.
    pub(crate) fn not_kept(&mut self, changes: Changes) {
        self.has_news = true;
        if planted::is(Bug::ChangesDropped) {
            return;
        }
        self.changed
            .extend(changes.kept.into_iter().map(|kept| kept.stream));
        self.removed.extend(changes.removed);
    }

    /// What has to be kept; none where that is kept already.
    pub(crate) fn changes(&mut self) -> Option<Changes> {
        if !self.has_changes() {
            return None;
        }
        self.has_news = false;
        self.kept_position = self.position;
        let mut changes = Changes {
            position: self.position,
            kept: Vec::new(),
            removed: std::mem::take(&mut self.removed),
        };
        for stream in std::mem::take(&mut self.changed) {
            let Some(lane) = self.lanes.get_mut(&stream) else {
                continue;
            };
            let is_forgotten = match lane.obstacle.is_some() {
                true => planted::is(Bug::BlockedNotKept),
                false => planted::is(Bug::AheadNotKept),
            };
            if is_forgotten {
                continue;
            }
            if lane.obstacle.is_some() || lane.through > self.position {
                lane.is_kept = true;
                changes.kept.push(lane.progress(stream));
            } else if std::mem::take(&mut lane.is_kept) {
                changes.removed.push(stream);
            }
        }
        // A stream that came back after it was let go of is kept, not removed.
        let kept: HashSet<&StreamId> = changes.kept.iter().map(|kept| &kept.stream).collect();
        changes.removed.retain(|stream| !kept.contains(stream));
        Some(changes)
    }

    /// All that must be kept now.
    pub(crate) fn progress(&self) -> Vec<StreamProgress> {
        let kept = self.lanes.iter().filter(|(_, lane)| {
            let says_something = lane.obstacle.is_some() || lane.through > self.position;
            says_something && lane.next > 0
        });
        let mut progress: Vec<_> = kept
            .map(|(stream, lane)| lane.progress(stream.clone()))
            .collect();
        progress.sort_by(|a, b| a.stream.cmp(&b.stream));
        progress
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Streams whose event failed.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
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

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
