//! A log that begins as the copy of another one: batch after batch, told again after each
//! crash, until the last is in. Until then nothing else may be appended.

use std::collections::HashMap;

use retold_core::{Error, LogId, Position, RecordedEvent, RestoreBatch, Timestamp};
use uuid::Uuid;

use super::calls::Caller;
use super::world::World;
use crate::disk::sim::dice::Dice;

/// Events of a restore, at most.
const EVENTS_MAX: u64 = 24;

#[derive(Clone)]
pub(super) struct Restoring {
    origin: LogId,
    events: Vec<RecordedEvent>,
    /// The log says that it is being restored.
    is_begun: bool,
    /// The last batch was told, but not answered.
    may_be_done: bool,
}

impl Restoring {
    pub(super) fn new(caller: &Caller, dice: &mut Dice) -> Restoring {
        let count = 1 + dice.below(EVENTS_MAX);
        let mut heads: HashMap<_, u64> = HashMap::new();
        let mut micros = 1_000_000_000_000_000;
        let events = (1..=count).map(|position| {
            let event = caller.event(dice);
            micros += dice.below(1_000_000) as i64;
            let head = heads.entry(event.stream.clone()).or_default();
            *head += 1;
            let date = Timestamp::from_micros(micros).unwrap_or(Timestamp::MIN);
            event.record(*head, position, date)
        });
        Restoring {
            events: events.collect(),
            origin: Uuid::from_u64_pair(dice.next(), dice.next()),
            is_begun: false,
            may_be_done: false,
        }
    }

    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Goes on after an opening; true when the restore is over, or was never begun in time.
    pub(super) fn taken_up(&mut self, durable: Position, is_busy: bool) -> bool {
        let is_complete = durable >= self.events.len() as Position;
        if is_busy {
            self.is_begun = true;
            return false;
        }
        if durable == 0 {
            assert!(!self.is_begun, "a restore was begun, and is forgotten");
            return false;
        }
        assert!(
            !self.is_begun || self.may_be_done && is_complete,
            "a restore is not finished, but appends are taken"
        );
        true
    }
}

impl World {
    /// Tells the next batch, or one again.
    pub(super) fn restore_some(&mut self) {
        let Some(mut restoring) = self.restoring.take() else {
            return;
        };
        let durable = self.model.durable() as usize;
        let Some(mut engine) = self.engine.take() else {
            self.restoring = Some(restoring);
            return;
        };
        let from = durable.saturating_sub(self.dice.index(4));
        let count = 1 + self.dice.index(8);
        let end = (durable + count).min(restoring.events.len());
        let batch = RestoreBatch {
            origin: restoring.origin,
            events: restoring.events[from.min(end)..end].to_vec(),
            is_last: end == restoring.events.len() && self.dice.percent(70),
        };
        let is_last = batch.is_last;
        for event in &restoring.events[durable.min(end)..end] {
            self.model.push(event.clone());
        }
        let answer = engine.restore(batch);
        self.note(|| format!("restore {} to {end}, last: {is_last}: {answer:?}", from + 1));
        restoring.may_be_done |= is_last;
        let answer_is_ok = answer.is_ok();
        restoring.is_begun |= answer_is_ok;
        self.model.settle(engine.head());
        let told = self.model.take_behind(self.model.durable());
        self.report.acknowledged += self.model.durable() - durable as Position;
        match answer {
            Ok(head) => {
                // A log may have grown past its origin before the end of the restore was lost.
                let expected = end.max(durable) as Position;
                assert_eq!(head, expected, "a restore answers another head");
                assert_eq!(
                    self.model.durable(),
                    head,
                    "a restore is answered before it is seen"
                );
            }
            Err(Error::UnknownOutcome { .. })
                if self.disk.failures() > 0 || self.disk.has_halted() =>
            {
                engine.note_unknown(told);
            }
            Err(Error::Full { .. }) if self.disk.has_room_limit() => {}
            Err(Error::Poisoned { .. }) if self.disk.failures() > 0 || self.disk.has_halted() => {}
            Err(Error::Corrupt { .. } | Error::Io { .. })
                if self.disk.failures() > 0 || self.disk.has_halted() => {}
            Err(error) => panic!("a restore is refused: {error}"),
        }
        match is_last && answer_is_ok {
            // Its last frame may be damaged before anything vouches for it.
            true => self.restored = Some(restoring),
            false => self.restoring = Some(restoring),
        }
        engine.note_poison();
        self.engine = Some(engine);
    }
}
