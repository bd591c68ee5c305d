//! The writer: judges appends against what is encoded and encodes them into groups. Callers
//! run it themselves, under a lock that is never held while the disk works.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use retold_core::{
    Append, Appended, Clock, ClockWarning, Condition, Error, LogId, NewEvent, PersistedClock,
    Position, RecordedEvent, SequenceNumber, StreamId, Timestamp,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::group::{Answer, Failure, Group, Waiter, ids_of};
use super::recent::{LookedUp, Recent};
use super::statistics::WriteStatistics;
use crate::fast_map::FastMap;
use crate::log::frame::Kind;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};

/// What is encoded but not yet durable, and what is needed to encode more.
pub(crate) struct Writer {
    queue: Mutex<Queue>,
    /// Told when there is a group to write, or none will come any more.
    filled: Condvar,
    log_id: LogId,
    clock: Arc<dyn Clock>,
    /// What the syncer counts, where the store finds it.
    pub(crate) statistics: WriteStatistics,
}

pub(crate) struct Queue {
    groups: VecDeque<Group>,
    recent: Recent,
    next_position: Position,
    pub(crate) durable: Position,
    dates: PersistedClock,
    warning: Option<ClockWarning>,
    pub(crate) poisoned: Option<String>,
    is_closed: bool,
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
        head: Position,
        last_persisted_at: Timestamp,
        clock: Arc<dyn Clock>,
    ) -> Writer {
        Writer {
            queue: Mutex::new(Queue {
                groups: VecDeque::new(),
                recent: Recent::from(head),
                next_position: head + 1,
                durable: head,
                dates: PersistedClock::after(last_persisted_at),
                warning: None,
                poisoned: None,
                is_closed: false,
                is_restoring: false,
            }),
            filled: Condvar::new(),
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
        append: Append,
        looked_up: &LookedUp,
        room: OwnedSemaphorePermit,
    ) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut queue = self.queue();
        let mut refusal = queue.refusal(append.event_ids());
        if queue.is_restoring && refusal.is_none() {
            refusal = Some(Error::Busy {
                reason: "a restore is not finished".into(),
                event_ids: append.event_ids(),
            });
        }
        if let Some(refusal) = refusal {
            let _ = reply.send(Answer::Refused(refusal));
            return answer;
        }
        match queue.judge(&append, looked_up) {
            Judgement::Stale => {
                let _ = reply.send(Answer::LookAgain(append));
            }
            Judgement::Known { at } => queue.answer(Waiter {
                reply,
                answer: Answer::LookAgain(append),
                rests_on: at,
                room: Some(room),
            }),
            Judgement::Refused { error, rests_on } => queue.answer(Waiter {
                reply,
                answer: Answer::Refused(error),
                rests_on,
                room: Some(room),
            }),
            Judgement::Accepted { sequences } => {
                let date = queue.date(&*self.clock);
                let events = append.into_events().into_iter().zip(sequences);
                let events = events.zip(queue.next_position..);
                let record = |((event, sequence), position): ((NewEvent, _), _)| {
                    event.record(sequence, position, date)
                };
                queue.encode(self.log_id, events.map(record).collect(), reply, Some(room));
            }
        }
        drop(queue);
        self.filled.notify_one();
        answer
    }

    /// Encodes events that were recorded elsewhere, as they are. The caller has compared them
    /// with what is durable, and nothing else is appended meanwhile.
    pub(crate) fn restore(&self, events: Vec<RecordedEvent>) -> oneshot::Receiver<Answer> {
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
            None => queue.encode(self.log_id, events, reply, None),
        }
        drop(queue);
        self.filled.notify_one();
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
        drop(queue);
        self.filled.notify_one();
        answer
    }

    /// The next group, a group of nothing but a mark, or the end. Waits for `idle` at most
    /// when `needs_mark`.
    pub(crate) fn next(&self, idle: Duration, needs_mark: bool) -> Work {
        let mut queue = self.queue();
        let until = Instant::now() + idle;
        loop {
            if let Some(group) = queue.groups.pop_front() {
                return Work::Write(group);
            }
            if queue.is_closed {
                return Work::Closed;
            }
            if !needs_mark {
                queue = self
                    .filled
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Work::Idle;
            }
            let waited = self.filled.wait_timeout(queue, left);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = next;
            if timeout.timed_out() && queue.groups.is_empty() {
                return Work::Idle;
            }
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
    /// To be encoded, each event under its sequence number.
    Accepted {
        sequences: Vec<SequenceNumber>,
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

    fn judge(&self, append: &Append, looked_up: &LookedUp) -> Judgement {
        if looked_up.through < self.recent.floor() {
            return Judgement::Stale;
        }
        let id = |event: &NewEvent| self.recent.position_of(&event.metadata.event_id);
        if let Some(at) = append.events().iter().filter_map(id).max() {
            return Judgement::Known { at };
        }
        let mut rests_on = 0;
        let mut heads: FastMap<&StreamId, SequenceNumber> = FastMap::default();
        let conditions = append
            .conditions()
            .iter()
            .filter_map(|condition| match condition {
                Condition::Stream { stream, .. } => Some(stream),
                _ => None,
            });
        for stream in append
            .events()
            .iter()
            .map(|event| &event.stream)
            .chain(conditions)
        {
            heads.entry(stream).or_insert_with(|| {
                let Some(head) = self.recent.head(stream) else {
                    return looked_up.heads.get(stream).copied().unwrap_or(0);
                };
                rests_on = rests_on.max(head.position);
                head.sequence_number
            });
        }
        if let Err(error) =
            append.check_conditions(|stream| heads.get(stream).copied().unwrap_or(0))
        {
            return Judgement::Refused { error, rests_on };
        }
        let mut sequences = Vec::with_capacity(append.events().len());
        for event in append.events() {
            let head = heads.entry(&event.stream).or_default();
            *head += 1;
            sequences.push(*head);
        }
        Judgement::Accepted { sequences }
    }

    fn encode(
        &mut self,
        log_id: LogId,
        events: Vec<RecordedEvent>,
        reply: oneshot::Sender<Answer>,
        room: Option<OwnedSemaphorePermit>,
    ) {
        let bytes = events.iter().map(RecordedEvent::bytes).sum();
        if !self
            .groups
            .back()
            .is_some_and(|group| group.has_room_for(bytes))
        {
            self.groups
                .push_back(Group::new(Kind::Events, self.next_position));
        }
        let group = self.groups.back_mut().expect("a group was pushed");
        if !group.is_empty() {
            probe::hit(Probe::GroupShared);
        }
        for event in &events {
            group.push(log_id, event);
            self.recent.insert(event);
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
            self.groups
                .push_back(Group::new(Kind::Events, self.next_position));
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

    /// Notes that everything up to `durable` can be looked up now.
    pub(crate) fn advance(&mut self, durable: Position, last_persisted_at: Timestamp) {
        self.durable = durable;
        self.recent.forget(durable);
        self.dates.observe(last_persisted_at);
    }

    /// Takes back all that was encoded but not written, so that appends can go on from what
    /// is durable, and hands out the groups that will not be written.
    pub(crate) fn rewind(&mut self) -> VecDeque<Group> {
        if !planted::is(Bug::FailedStateKept) {
            self.recent = Recent::from(self.durable);
        }
        self.next_position = self.durable + 1;
        std::mem::take(&mut self.groups)
    }
}
