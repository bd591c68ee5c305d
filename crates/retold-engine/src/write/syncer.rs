//! The syncer: writes one group after the other, and answers those who wait for it. A step
//! function that a thread drives in production and a simulator drives from its seed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use retold_core::Position;

use super::group::{Failure, Group, Waiter};
use super::writer::{Work, Writer};
use crate::disk::Lock;
use crate::log::frame::Kind;
use crate::log::tail::{Tail, WriteFailure};
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};
use crate::visible::Visible;

/// How long nothing is appended before a mark vouches for the last group.
pub(crate) const IDLE: Duration = Duration::from_millis(10);

/// Writes groups to the tail of the log.
pub(crate) struct Syncer {
    tail: Tail,
    writer: Arc<Writer>,
    visible: Arc<Visible>,
    /// Something was written that nothing vouches for yet.
    needs_mark: bool,
    /// Given back once nothing is written any more.
    _lock: Arc<Lock>,
}

impl Syncer {
    pub(crate) fn new(
        tail: Tail,
        writer: Arc<Writer>,
        visible: Arc<Visible>,
        needs_mark: bool,
        lock: Arc<Lock>,
    ) -> Syncer {
        Syncer {
            tail,
            writer,
            visible,
            needs_mark,
            _lock: lock,
        }
    }

    /// Works until the writer is closed and everything accepted is written.
    pub(crate) fn run(mut self) {
        let _guard = PanicGuard(Arc::clone(&self.writer));
        loop {
            match self.writer.next(IDLE, self.needs_mark) {
                Work::Write(group) => {
                    self.write(group);
                    // Early and slightly, so that appends never have to wait for the index.
                    let pause = self.visible.index().pressure();
                    if !pause.is_zero() {
                        std::thread::sleep(pause);
                    }
                }
                Work::Idle => self.mark(),
                Work::Closed => {
                    self.mark();
                    return;
                }
            }
        }
    }

    /// Writes the next group, if there is one.
    #[cfg(any(test, feature = "simulator"))]
    pub(crate) fn step(&mut self) -> bool {
        match self.writer.next(Duration::ZERO, true) {
            Work::Write(group) => self.write(group),
            Work::Idle | Work::Closed => return false,
        }
        true
    }

    /// Vouches for everything written so far.
    pub(crate) fn mark(&mut self) {
        if self.needs_mark && self.writer.queue().poisoned.is_none() {
            // Placed by the log itself: callers may have encoded more since.
            let mark = Group::new(Kind::Mark, self.tail.next_position());
            self.write(mark);
        }
    }

    /// What the simulator looks at.
    #[cfg(feature = "simulator")]
    pub(crate) fn tail(&self) -> &Tail {
        &self.tail
    }

    fn write(&mut self, mut group: Group) {
        let durable = self.writer.queue().durable;
        let poisoned = self.writer.queue().poisoned.clone();
        if let Some(cause) = poisoned {
            return fail(group, durable, &Failure::Poisoned(cause));
        }
        if group.is_empty() {
            return group.waiters.into_iter().for_each(Waiter::settle);
        }
        let is_mark = group.waiters.is_empty();
        let events = group.entries.len();
        if planted::is(Bug::AnsweredBeforeSync) {
            group.waiters.drain(..).for_each(Waiter::settle);
        }
        let began = Instant::now();
        let mut draft = group.take_draft();
        let outcome = self.tail.write(&mut draft);
        group.give_back(draft);
        self.visible.extend(self.tail.take_begun());
        match outcome {
            Ok(written) => {
                if is_mark {
                    probe::hit(Probe::MarkWritten);
                }
                // Marks and decisions hold no events and would hide how well events share syncs.
                if events > 0 {
                    self.writer.statistics.record(events, began.elapsed());
                }
                let frame = u32::try_from(written.frame).expect("segments are at most 4 GiB");
                for entry in &mut group.entries {
                    entry.location.offset += frame;
                }
                self.visible.decide(&group.control);
                self.visible.publish(&group.entries, &written);
                if planted::is(Bug::VisibleBeforeSync) {
                    self.tail.sync_late();
                }
                let sealed = self.visible.index().sealed();
                self.writer.advance(self.visible.head(), sealed);
                // A mark needs no other one.
                self.needs_mark = !is_mark;
                group.waiters.drain(..).for_each(Waiter::settle);
                self.writer.keep(group);
            }
            Err(WriteFailure::Full) => {
                probe::hit(Probe::RoomMissing);
                if !is_mark {
                    tracing::warn!("there is no room on the disk; nothing was written");
                }
                let behind = self.writer.queue().rewind();
                for group in std::iter::once(group).chain(behind) {
                    fail(group, durable, &Failure::Full);
                }
            }
            Err(WriteFailure::Failed(error)) => {
                tracing::error!(%error, "a write to the log failed; nothing is appended any more");
                let cause = error.to_string();
                probe::hit(Probe::WritePoisoned);
                let behind = {
                    let mut queue = self.writer.queue();
                    if !planted::is(Bug::NextWrittenAfterFailure) {
                        queue.poisoned = Some(cause.clone());
                    }
                    queue.rewind()
                };
                let unknown_through = last_position(&group).unwrap_or(durable);
                fail(group, durable, &Failure::Unknown(cause.clone()));
                for group in behind {
                    fail_behind(group, durable, unknown_through, &cause);
                }
            }
        }
    }
}

/// Leaves nobody waiting should the thread panic.
struct PanicGuard(Arc<Writer>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon("the thread that writes has panicked");
        }
    }
}

fn last_position(group: &Group) -> Option<Position> {
    group.entries.last().map(|entry| entry.position)
}

fn fail(group: Group, durable: Position, failure: &Failure) {
    for waiter in group.waiters {
        waiter.fail(durable, failure);
    }
}

/// Behind a group whose write failed: an answer that rests on that group is as unknown as the
/// group; what would have been written was not.
fn fail_behind(group: Group, durable: Position, unknown_through: Position, cause: &str) {
    for waiter in group.waiters {
        let failure = match waiter.rests_on <= unknown_through {
            true => Failure::Unknown(cause.to_owned()),
            false => Failure::Poisoned(cause.to_owned()),
        };
        waiter.fail(durable, &failure);
    }
}
