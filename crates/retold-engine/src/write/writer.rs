//! The writer: judges appends against what is encoded and encodes them into groups. Callers
//! run it themselves, under a lock that is never held while the disk works.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use retold_core::{
    Appended, Clock, ClockWarning, Error, LogHead, LogId, PersistedClock, Position, RecordedEvent,
    SequenceNumber, StreamHead, Timestamp,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::group::{Answer, Failure, Group, Waiter, ids_of};
use super::keyed::KeyedAppend;
use super::recent::{LookedUp, Recent};
use super::statistics::WriteStatistics;
use crate::few::Few;
use crate::index::EventKeys;
use crate::log::frame::Kind;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};

/// Groups whose memory is kept: one is filled while another one is written.
const SPARE_GROUPS: usize = 2;

/// What is encoded but not yet durable, and what is needed to encode more.
pub(crate) struct Writer {
    queue: Mutex<Queue>,
    /// Told when there is a group to write, or none will come any more.
    filled: Condvar,
    /// From when on all events are known here.
    floor: AtomicU64,
    log_id: LogId,
    clock: Arc<dyn Clock>,
    /// What the syncer counts, where the store finds it.
    pub(crate) statistics: WriteStatistics,
}

pub(crate) struct Queue {
    groups: VecDeque<Group>,
    /// Groups that were written, for their memory.
    spare: Vec<Group>,
    recent: Recent,
    next_position: Position,
    pub(crate) durable: Position,
    dates: PersistedClock,
    warning: Option<ClockWarning>,
    pub(crate) poisoned: Option<String>,
    is_closed: bool,
    /// The thread that syncs waits for something to do.
    is_idle: bool,
    /// Only a restore may write.
    pub(crate) is_restoring: bool,
}

/// What the thread that syncs is to do next.
pub(crate) enum Work {
    Write(Group),
    /// Nothing came for a while.
    Idle,
    Closed,
}

impl Writer {
    pub(crate) fn new(
        log_id: LogId,
        head: LogHead,
        clock: Arc<dyn Clock>,
        memory_events: usize,
    ) -> Writer {
        // Two generations reach back to where the table that events are added to begins.
        let generation_events = (memory_events / 2).max(1);
        Writer {
            queue: Mutex::new(Queue {
                groups: VecDeque::new(),
                spare: Vec::new(),
                recent: Recent::from(head.position, generation_events),
                next_position: head.position + 1,
                durable: head.position,
                dates: PersistedClock::after(head.persisted_at),
                warning: None,
                poisoned: None,
                is_closed: false,
                is_idle: false,
                is_restoring: false,
            }),
            filled: Condvar::new(),
            floor: AtomicU64::new(head.position),
            log_id,
            clock,
            statistics: WriteStatistics::default(),
        }
    }

    /// Judges an append and encodes it; the answer comes once all it rests on is durable.
    ///
    /// `room` is held as long as the append is: also when nobody waits for the answer.
    pub(crate) fn append(
        &self,
        keyed: KeyedAppend,
        looked_up: &LookedUp,
        room: OwnedSemaphorePermit,
    ) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut queue = self.queue();
        if let Some(refusal) = queue.refusal_of(&keyed) {
            // A repetition of what is durable is no append, and not refused.
            let _ = reply.send(match looked_up.through < queue.durable {
                true => Answer::LookAgain(Box::new(keyed)),
                false => Answer::Refused(refusal),
            });
            return answer;
        }
        match queue.judge(&keyed, looked_up) {
            Judgement::Stale => {
                let _ = reply.send(Answer::LookAgain(Box::new(keyed)));
            }
            Judgement::Known { at } => queue.answer(Waiter {
                reply,
                answer: Answer::LookAgain(Box::new(keyed)),
                rests_on: at,
                room: Some(room),
            }),
            Judgement::Refused { error, rests_on } => queue.answer(Waiter {
                reply,
                answer: Answer::Refused(error),
                rests_on,
                room: Some(room),
            }),
            Judgement::Accepted { heads } => {
                let date = queue.date(&*self.clock);
                let (events, keys) = keyed.record(heads, queue.next_position, date);
                queue.encode(self.log_id, events, keys, reply, Some(room));
            }
        }
        self.wake(queue);
        answer
    }

    /// Wakes the thread that syncs, where it waits: a call that wakes nobody is not free.
    fn wake(&self, queue: MutexGuard<'_, Queue>) {
        let is_idle = queue.is_idle && !queue.groups.is_empty();
        drop(queue);
        if is_idle {
            self.filled.notify_one();
        }
    }

    /// Encodes events that were recorded elsewhere, as they are. The caller has compared them
    /// with what is durable, and nothing else is appended meanwhile.
    pub(crate) fn restore(
        &self,
        events: Vec<RecordedEvent>,
        keys: Few<EventKeys>,
    ) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut queue = self.queue();
        let first = events.first().map(|event| event.position);
        let mut refusal = queue.refusal(ids_of(&events));
        if refusal.is_none() && first != Some(queue.next_position) {
            // A call whose answer nobody waited for is still being written.
            refusal = Some(Error::Busy {
                reason: "an earlier part of the restore is not durable yet".into(),
                event_ids: ids_of(&events),
            });
        }
        match refusal {
            Some(error) => {
                let _ = reply.send(Answer::Refused(error));
            }
            None => queue.encode(self.log_id, events, keys, reply, None),
        }
        self.wake(queue);
        answer
    }

    /// Writes a frame that holds a decision about the log.
    pub(crate) fn decide(&self, kind: Kind, json: &[u8]) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut queue = self.queue();
        if let Some(refusal) = queue.refusal(Vec::new()) {
            let _ = reply.send(Answer::Refused(refusal));
            return answer;
        }
        let mut group = Group::new(kind, queue.next_position);
        group.push_control(self.log_id, json);
        group.waiters.push(Waiter {
            reply,
            answer: Answer::Decided,
            // Not an event, but written behind all of them: a failure concerns it always.
            rests_on: Position::MAX,
            room: None,
        });
        queue.groups.push_back(group);
        self.wake(queue);
        answer
    }

    /// The next group, a group of nothing but a mark, or the end. Waits for `idle` at most
    /// when `needs_mark`.
    pub(crate) fn next(&self, idle: Duration, needs_mark: bool) -> Work {
        let mut queue = self.queue();
        let until = Instant::now() + idle;
        loop {
            queue.is_idle = false;
            if let Some(group) = queue.groups.pop_front() {
                return Work::Write(group);
            }
            if queue.is_closed {
                return Work::Closed;
            }
            let left = until.saturating_duration_since(Instant::now());
            if needs_mark && left.is_zero() {
                return Work::Idle;
            }
            queue.is_idle = true;
            queue = match needs_mark {
                true => {
                    let waited = self.filled.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                false => {
                    let waited = self.filled.wait(queue);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Takes no more; what was accepted is still written.
    pub(crate) fn close(&self) {
        self.queue().is_closed = true;
        self.filled.notify_all();
    }

    /// Takes no more, and leaves everything that is not answered unknown: the thread that
    /// writes is gone.
    pub(crate) fn abandon(&self, cause: &str) {
        let (groups, durable) = {
            let mut queue = self.queue();
            queue.poisoned = Some(cause.to_owned());
            (queue.rewind(), queue.durable)
        };
        let failure = Failure::Unknown(cause.to_owned());
        for waiter in groups.into_iter().flat_map(|group| group.waiters) {
            waiter.fail(durable, &failure);
        }
    }

    /// All events behind this position are known here, durable ones too: whoever looks up what an
    /// append rests on need not find them.
    pub(crate) fn floor(&self) -> Position {
        self.floor.load(Ordering::Relaxed)
    }

    /// Notes what is durable now, and up to where it can be looked up without the events that are
    /// known here.
    pub(crate) fn advance(&self, durable: LogHead, sealed: Position) {
        let mut queue = self.queue();
        queue.durable = durable.position;
        queue.recent.forget(sealed);
        queue.dates.observe(durable.persisted_at);
        self.floor.store(queue.recent.floor(), Ordering::Relaxed);
    }

    /// Keeps the memory of a group whose waiters were answered, for the next ones.
    pub(crate) fn keep(&self, group: Group) {
        let Some(group) = group.emptied() else {
            return;
        };
        let mut queue = self.queue();
        if queue.spare.len() < SPARE_GROUPS {
            queue.spare.push(group);
        }
    }

    /// Why an append would be refused now, if it would.
    pub(crate) fn refusal(&self) -> Option<Error> {
        let queue = self.queue();
        queue.refusal(Vec::new()).or_else(|| {
            queue.is_restoring.then(|| Error::Busy {
                reason: "a restore is not finished".into(),
                event_ids: Vec::new(),
            })
        })
    }

    pub(crate) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done with an append.
enum Judgement {
    /// The look-up does not reach far enough.
    Stale,
    /// An id is known since the look-up.
    Known {
        at: Position,
    },
    Refused {
        error: Error,
        rests_on: Position,
    },
    /// To be encoded behind the heads of its streams.
    Accepted {
        heads: Few<SequenceNumber>,
    },
}

impl Queue {
    fn refusal(&self, event_ids: Vec<retold_core::EventId>) -> Option<Error> {
        if let Some(cause) = &self.poisoned {
            return Some(Failure::Poisoned(cause.clone()).to_error(event_ids));
        }
        self.is_closed.then(|| Error::Busy {
            reason: "the store is closed".into(),
            event_ids,
        })
    }

    /// Why an append is refused whatever it says.
    fn refusal_of(&self, keyed: &KeyedAppend) -> Option<Error> {
        if self.poisoned.is_none() && !self.is_closed && !self.is_restoring {
            return None;
        }
        let event_ids = keyed.append.event_ids();
        self.refusal(event_ids.clone()).or(Some(Error::Busy {
            reason: "a restore is not finished".into(),
            event_ids,
        }))
    }

    fn judge(&self, keyed: &KeyedAppend, looked_up: &LookedUp) -> Judgement {
        if looked_up.through < self.recent.floor() {
            return Judgement::Stale;
        }
        let events = keyed.append.events().iter();
        let known = events.filter_map(|event| self.recent.position_of(&event.metadata.event_id));
        // What a durable one says may be answer enough.
        let either = |one: Position, other: Position| match one.min(other) {
            least if least <= self.durable => least,
            _ => one.max(other),
        };
        if let Some(at) = known.reduce(either) {
            return Judgement::Known { at };
        }
        let mut rests_on = 0;
        let mut heads = looked_up.heads.clone();
        for (head, stream) in heads.iter_mut().zip(&keyed.streams) {
            if let Some(recent) = self.recent.head(*stream) {
                rests_on = rests_on.max(recent.position);
                *head = recent.sequence_number;
            }
        }
        match keyed.check_conditions(&heads) {
            Ok(()) => Judgement::Accepted { heads },
            Err(error) => Judgement::Refused { error, rests_on },
        }
    }

    fn encode(
        &mut self,
        log_id: LogId,
        events: Vec<RecordedEvent>,
        keys: Few<EventKeys>,
        reply: oneshot::Sender<Answer>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        let bytes = events.iter().map(RecordedEvent::bytes).sum();
        if !self
            .groups
            .back()
            .is_some_and(|group| group.has_room_for(bytes))
        {
            self.push_group();
        }
        let group = self.groups.back_mut().expect("a group was pushed");
        if !group.is_empty() {
            probe::hit(Probe::GroupShared);
        }
        for (event, keys) in events.iter().zip(keys) {
            let head = StreamHead {
                sequence_number: event.sequence_number,
                position: event.position,
            };
            self.recent
                .insert(event.metadata.event_id, keys.stream, head);
            group.push(log_id, event, keys);
        }
        let last = events.last().map_or(self.durable, |event| event.position);
        self.next_position = last + 1;
        group.waiters.push(Waiter {
            reply,
            answer: Answer::Appended(Appended {
                is_new: true,
                events,
            }),
            rests_on: last,
            room,
        });
    }

    /// Begins a group of events.
    fn push_group(&mut self) {
        let group = match self.spare.pop() {
            Some(mut group) => {
                group.renew(self.next_position);
                group
            }
            None => Group::new(Kind::Events, self.next_position),
        };
        self.groups.push_back(group);
    }

    /// Gives an answer at once where it rests on durable events, else with the group that
    /// comes after all that it rests on.
    fn answer(&mut self, waiter: Waiter) {
        let is_hasty =
            planted::is(Bug::RefusalNotAwaited) && matches!(waiter.answer, Answer::Refused(_));
        if waiter.rests_on <= self.durable || is_hasty {
            return waiter.settle();
        }
        probe::hit(Probe::AnswerWaited);
        if self.groups.is_empty() {
            self.push_group();
        }
        let group = self.groups.back_mut().expect("a group was pushed");
        group.waiters.push(waiter);
    }

    fn date(&mut self, clock: &dyn Clock) -> Timestamp {
        let (date, warning) = self.dates.date(clock);
        let kind = |warning: &Option<ClockWarning>| warning.as_ref().map(std::mem::discriminant);
        if let Some(warning) = &warning
            && kind(&self.warning) != Some(std::mem::discriminant(warning))
        {
            tracing::warn!(?warning, "the clock is not to be trusted; appends go on");
        }
        self.warning = warning;
        date
    }

    /// Takes back all that was encoded but not written, so that appends can go on from what
    /// is durable, and hands out the groups that will not be written.
    pub(crate) fn rewind(&mut self) -> VecDeque<Group> {
        if !planted::is(Bug::FailedStateKept) {
            self.recent.reset(self.durable);
        }
        self.next_position = self.durable + 1;
        std::mem::take(&mut self.groups)
    }
}
