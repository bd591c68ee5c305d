//! An open store whose writer is driven by hand, with the appends that wait for an answer.
//! Each answer is compared with what the model foresaw when the append was made.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use retold_core::{
    Append, Appended, Entry, Error, EventStore, Position, RecordedEvent, RestoreBatch,
    StreamConflict,
};

use super::model::{Model, Verdict, is_same};
use crate::disk::sim::SimDisk;
use crate::index::Merger;
use crate::log::prepare::Preparing;
use crate::write::syncer::Syncer;
use crate::{EngineStore, Options};

/// Where the simulated store lies.
pub(super) const FOLDER: &str = "/store";

type Answering<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

pub(super) struct Engine {
    pub(super) store: Arc<EngineStore>,
    syncer: Option<Syncer>,
    merger: Option<Merger>,
    preparing: Option<Arc<Preparing>>,
    waiting: Vec<Waiting>,
    /// A write failed: nothing more may be written.
    is_poisoned: bool,
    /// Events whose call has no certain outcome, call by call.
    unknown: Vec<Vec<RecordedEvent>>,
}

struct Waiting {
    append: Append,
    answer: Answering<Appended>,
    awaits: Awaits,
}

enum Awaits {
    Written {
        first: Position,
        last: Position,
    },
    Conflict {
        conflicts: Vec<StreamConflict>,
        rests_on: Position,
    },
    Known {
        at: Position,
    },
}

/// What the answers of one round of work say.
#[derive(Default)]
struct Round {
    /// Something that was encoded was not written.
    has_failed: bool,
}

/// What may excuse an answer that the model did not foresee.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Excuse {
    None,
    /// A call to the disk failed, or what it holds is damaged: reading may fail.
    Unreadable,
}

impl Engine {
    pub(super) fn open(disk: &SimDisk, options: Options) -> Result<Engine, Error> {
        let disk = Arc::new(disk.clone());
        let (store, background) = EngineStore::open_unstarted(disk, FOLDER.into(), options)?;
        let preparing = background.as_ref().map(|it| Arc::clone(&it.preparing));
        let (syncer, merger) = background
            .map(|background| (background.syncer, background.merger))
            .unzip();
        Ok(Engine {
            preparing,
            store: Arc::new(store),
            syncer,
            merger,
            waiting: Vec::new(),
            is_poisoned: false,
            unknown: Vec::new(),
        })
    }

    pub(super) fn syncer(&self) -> Option<&Syncer> {
        self.syncer.as_ref()
    }

    pub(super) fn head(&self) -> Position {
        self.store.shared().visible.head().position
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }

    /// Makes an append and asks for its answer once.
    pub(super) fn append(
        &mut self,
        append: Append,
        model: &mut Model,
        is_restoring: bool,
        excuse: Excuse,
    ) -> &'static str {
        let store = Arc::clone(&self.store);
        let made = append.clone();
        let mut answer: Answering<Appended> = Box::pin(async move { store.append(made).await });
        let polled = answer.as_mut().poll(&mut idle());
        let decided = model.look_up(&append);
        if decided.is_none()
            && (self.is_poisoned || is_restoring)
            && let Poll::Ready(answer) = &polled
        {
            return match answer {
                Err(Error::Poisoned { .. }) if self.is_poisoned => "poisoned",
                Err(Error::Busy { .. }) if is_restoring => "busy",
                Err(Error::Corrupt { .. } | Error::Io { .. }) if excuse == Excuse::Unreadable => {
                    "cannot be decided"
                }
                other => panic!("a store that takes no appends answered {other:?}"),
            };
        }
        let verdict = decided.unwrap_or_else(|| model.judge(&append));
        match polled {
            Poll::Ready(answer) => check(&verdict, &answer, model, excuse),
            Poll::Pending => {
                let awaits = await_in(model, verdict);
                self.waiting.push(Waiting {
                    append,
                    answer,
                    awaits,
                });
                "waits"
            }
        }
    }

    /// Lets the writer write one group, and looks at all answers.
    pub(super) fn step(&mut self, model: &mut Model, excuse: Excuse) -> bool {
        let has_stepped = self.syncer.as_mut().is_some_and(Syncer::step);
        self.look(model, excuse);
        has_stepped
    }

    /// What an idle writer does.
    pub(super) fn mark(&mut self, model: &mut Model, excuse: Excuse) {
        if let Some(syncer) = &mut self.syncer {
            syncer.mark();
        }
        // Nobody waits for a mark: whether it failed shows here.
        self.note_poison();
        self.look(model, excuse);
    }

    /// Lets room be prepared ahead of the end.
    pub(super) fn prepare(&self) -> bool {
        self.preparing
            .as_ref()
            .is_some_and(|preparing| preparing.step())
    }

    /// Lets the merger work a little; how often it found something to do.
    pub(super) fn merge(&mut self, steps: u64) -> u64 {
        let mut merger = self.merger.as_mut();
        let mut step = |_: &u64| merger.as_mut().is_some_and(|merger| merger.step());
        (0..steps).take_while(|nth| step(nth)).count() as u64
    }

    /// A caller that waits goes away; what it asked for stands.
    pub(super) fn give_up_one(&mut self) {
        // Only an append that is in the log for certain, or in flight as a whole, is foreseen.
        let at = self.waiting.iter().rposition(|waiting| {
            matches!(
                waiting.awaits,
                Awaits::Known { .. } | Awaits::Conflict { .. }
            )
        });
        if let Some(at) = at {
            self.waiting.remove(at);
        }
    }

    /// Takes note of what became visible, and of all answers that are there.
    pub(super) fn look(&mut self, model: &mut Model, excuse: Excuse) {
        let head = self.head();
        assert!(head >= model.durable(), "the head went back to {head}");
        assert!(
            head <= model.encoded(),
            "the head is {head}, but only {} events were ever appended",
            model.encoded()
        );
        model.settle(head);
        let mut round = Round::default();
        let mut still = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            still.extend(self.ask(waiting, model, excuse, &mut round));
        }
        self.waiting = still;
        if round.has_failed {
            assert!(
                self.waiting.is_empty(),
                "an answer is missing after a failure"
            );
            model.take_behind(model.durable());
        }
    }

    /// Asks for an answer; hands the call back where there is none yet.
    fn ask(
        &mut self,
        mut waiting: Waiting,
        model: &mut Model,
        excuse: Excuse,
        round: &mut Round,
    ) -> Option<Waiting> {
        let durable = model.durable();
        let answer = match waiting.answer.as_mut().poll(&mut idle()) {
            Poll::Ready(answer) => answer,
            Poll::Pending => {
                let due = match &mut waiting.awaits {
                    Awaits::Written { last, .. } => *last,
                    Awaits::Conflict { rests_on, .. } => *rests_on,
                    Awaits::Known { at } if *at <= durable => {
                        // Looked up again, it has met another event in flight.
                        match model.judge(&waiting.append) {
                            Verdict::Known { at: again } => *at = again,
                            _ => panic!("a repetition is not answered: {:?}", waiting.append),
                        }
                        *at
                    }
                    Awaits::Known { at } => *at,
                };
                assert!(
                    due > durable,
                    "an answer does not come: {:?}",
                    waiting.append
                );
                return Some(waiting);
            }
        };
        if let Some(is_unknown) = failed(&answer) {
            round.has_failed = true;
            match &answer {
                Err(Error::Full { .. }) => {}
                _ => self.is_poisoned = true,
            }
            if let (true, Awaits::Written { first, last }) = (is_unknown, &waiting.awaits) {
                let events = (*first..=*last).filter_map(|at| model.event(at).cloned());
                self.unknown.push(events.collect());
            }
            return None;
        }
        match waiting.awaits {
            Awaits::Written { first, last } => {
                let appended = match answer {
                    Ok(appended) => appended,
                    Err(error) => panic!("an append that was taken is refused: {error}"),
                };
                assert!(appended.is_new, "an append is called a repetition");
                assert!(
                    last <= durable,
                    "position {last} is acknowledged, but readers see only {durable}"
                );
                for (event, at) in appended.events.iter().zip(first..) {
                    model.date(at, event.persisted_at);
                    assert_eq!(
                        Some(event),
                        model.event(at),
                        "another event is acknowledged"
                    );
                }
                assert_eq!(appended.events.len() as u64, last + 1 - first);
            }
            Awaits::Conflict {
                conflicts,
                rests_on,
            } => {
                let verdict = Verdict::Conflict {
                    conflicts,
                    rests_on,
                };
                check(&verdict, &answer, model, excuse);
            }
            Awaits::Known { at } => {
                assert!(
                    at <= durable,
                    "a repetition is answered before the first is durable"
                );
                check(&model.judge(&waiting.append), &answer, model, excuse);
            }
        }
        None
    }

    /// Closes the store in order, and lets go of it.
    pub(super) fn close(mut self, model: &mut Model, excuse: Excuse) -> Vec<Vec<RecordedEvent>> {
        let store = Arc::clone(&self.store);
        let mut closing = store.close();
        assert!(closing.as_mut().poll(&mut idle()).is_ready());
        self.merger = None;
        self.preparing = None;
        if let Some(syncer) = self.syncer.take() {
            syncer.run();
        }
        drop(closing);
        self.look(model, excuse);
        assert!(
            self.waiting.is_empty(),
            "an answer is missing after closing"
        );
        self.unknown
    }

    /// Lets go of a store whose process has died; hands out the calls whose outcome is unknown.
    pub(super) fn die(mut self, model: &mut Model) -> Vec<Vec<RecordedEvent>> {
        // What was answered before the end was answered.
        self.look(model, Excuse::Unreadable);
        for waiting in &self.waiting {
            if let Awaits::Written { first, last } = waiting.awaits {
                let events = (first..=last).filter_map(|at| model.event(at).cloned());
                self.unknown.push(events.collect());
            }
        }
        model.take_behind(model.durable());
        self.unknown
    }

    /// Notes whether a write has failed of which nobody was told.
    pub(super) fn note_poison(&mut self) {
        let is_writable = now(self.store.check_writable());
        self.is_poisoned |= matches!(is_writable, Err(Error::Poisoned { .. }));
    }

    /// Notes events that may be found when the log is opened next.
    pub(super) fn note_unknown(&mut self, events: Vec<RecordedEvent>) {
        self.unknown.push(events);
    }

    /// Tells a batch of a restore, and lets the writer work until it is answered.
    pub(super) fn restore(&mut self, batch: RestoreBatch) -> Result<Position, Error> {
        let store = Arc::clone(&self.store);
        let mut answer: Answering<Position> = Box::pin(async move { store.restore(batch).await });
        loop {
            if let Poll::Ready(answer) = answer.as_mut().poll(&mut idle()) {
                return answer;
            }
            let has_stepped = self.syncer.as_mut().is_some_and(Syncer::step);
            assert!(
                has_stepped,
                "a restore waits for something that never comes"
            );
        }
    }
}

/// Runs a call that has its answer at once, since nothing waits for a thread.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut idle()) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a read waits for something"),
    }
}

fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

pub(super) fn folder() -> &'static Path {
    Path::new(FOLDER)
}

/// Whether an answer says that a write failed, and then whether its outcome is unknown.
fn failed(answer: &Result<Appended, Error>) -> Option<bool> {
    match answer {
        Err(Error::Full { .. } | Error::Poisoned { .. }) => Some(false),
        Err(Error::UnknownOutcome { .. }) => Some(true),
        _ => None,
    }
}

/// Takes a verdict that needs a write into the model, and says what is awaited.
fn await_in(model: &mut Model, verdict: Verdict) -> Awaits {
    match verdict {
        Verdict::New(events) => {
            let first = model.encoded() + 1;
            events.into_iter().for_each(|event| model.push(event));
            Awaits::Written {
                first,
                last: model.encoded(),
            }
        }
        Verdict::Conflict {
            conflicts,
            rests_on,
        } => Awaits::Conflict {
            conflicts,
            rests_on,
        },
        Verdict::Known { at } => Awaits::Known { at },
        _ => panic!("an answer does not come that needs nothing but what is durable"),
    }
}

/// Compares an answer that is there with what it must be.
fn check(
    verdict: &Verdict,
    answer: &Result<Appended, Error>,
    model: &Model,
    excuse: Excuse,
) -> &'static str {
    match (verdict, answer) {
        (_, Err(Error::Corrupt { .. } | Error::Io { .. })) if excuse == Excuse::Unreadable => {
            "cannot be decided"
        }
        (Verdict::Repeated(events), Ok(appended)) => {
            assert!(!appended.is_new, "a repetition is called new");
            assert_eq!(events.len(), appended.events.len());
            for (kept, found) in events.iter().zip(&appended.events) {
                let (kept, found) = (Entry::Event(kept.clone()), Entry::Event(found.clone()));
                assert!(is_same(&found, &kept), "{found:?} is not {kept:?}");
            }
            "repeated"
        }
        (Verdict::IdentityConflict, Err(Error::IdentityConflict { .. })) => "identity conflict",
        (Verdict::Corrupt, Err(Error::Corrupt { .. })) => "corrupt",
        (
            Verdict::Conflict {
                conflicts,
                rests_on,
            },
            Err(Error::Conflict {
                conflicts: found, ..
            }),
        ) => {
            assert_eq!(conflicts, found);
            let durable = model.durable();
            assert!(
                *rests_on <= durable,
                "a conflict is told that rests on position {rests_on}, beyond {durable}"
            );
            "conflict"
        }
        (Verdict::New(_), answer) => panic!("an append was not written, but answered {answer:?}"),
        (Verdict::Known { .. }, answer) => panic!("a repetition in flight is answered {answer:?}"),
        (_, answer) => panic!("an append is answered {answer:?}"),
    }
}
