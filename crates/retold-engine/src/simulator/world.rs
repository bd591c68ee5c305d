//! The simulated world: a disk, a clock, a store that is open or not, callers, and the model.
//! Which operation comes next, and what goes wrong, is drawn from the seed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use retold_core::{Checkpoint, EventStore, LogId, Position, RecordedEvent};
use uuid::Uuid;

use super::calls::Caller;
use super::clock::SimClock;
use super::engine::{Engine, Excuse, now};
use super::followers::Following;
use super::harm::Harm;
use super::model::Model;
use super::restoring::Restoring;
use super::{OPERATIONS_MIN, POWER_CUTS_MIN, Report};
use crate::disk::sim::dice::Dice;
use crate::disk::sim::{Call, Fault, Image, SimDisk};
use crate::options::IndexOptions;
use crate::{Options, probe, verify_on};

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) disk: SimDisk,
    pub(super) clock: Arc<SimClock>,
    pub(super) caller: Caller,
    pub(super) model: Model,
    /// Calls that may or may not be found when the log is opened next, in order.
    pub(super) unknown: Vec<Vec<RecordedEvent>>,
    pub(super) engine: Option<Engine>,
    pub(super) following: Option<Following>,
    pub(super) restoring: Option<Restoring>,
    /// The restore that the log began with, once it was over.
    pub(super) restored: Option<Restoring>,
    /// Faults that may lose data happen in this world.
    pub(super) is_lossy: bool,
    pub(super) harm: Harm,
    /// An operator has accepted damage: what was lost stays lost.
    pub(super) has_accepted: bool,
    /// What somebody derived from the log, and the store is told of when it is opened.
    pub(super) evidence: Option<Checkpoint>,
    pub(super) log_id: LogId,
    /// Events up to here stand before a durable frame.
    pub(super) vouched: Position,
    /// The highest epoch that something durable was written under.
    pub(super) epoch: u64,
    /// What was moved aside: it must never vanish.
    pub(super) cut_files: BTreeMap<PathBuf, Vec<u8>>,
    pub(super) segment_bytes_max: u64,
    /// Events after which a table becomes a run.
    memory_events: usize,
    /// A copy of the index from another time.
    pub(super) index_image: Option<Image>,
    pub(super) report: Report,
    /// Failed calls up to the last time that they were looked at.
    failures_seen: u64,
    power_cuts: u64,
    trace: bool,
}

impl World {
    pub(super) fn new(seed: u64, trace: bool) -> World {
        let mut dice = Dice(seed);
        let disk = SimDisk::seeded(dice.next());
        let log_id = Uuid::from_u64_pair(dice.next(), dice.next());
        let mut world = World {
            disk,
            clock: Arc::new(SimClock::new()),
            caller: Caller::new(),
            model: Model::default(),
            unknown: Vec::new(),
            engine: None,
            following: None,
            restoring: None,
            restored: None,
            is_lossy: dice.percent(45),
            harm: Harm::default(),
            has_accepted: false,
            evidence: None,
            log_id,
            vouched: 0,
            epoch: 0,
            cut_files: BTreeMap::new(),
            segment_bytes_max: *dice.pick(&[700, 1_200, 2_048, 4_096]),
            memory_events: *dice.pick(&[3, 8, 8, 20, 1_000]),
            report: Report::default(),
            index_image: None,
            failures_seen: 0,
            power_cuts: 0,
            trace,
            dice,
        };
        if world.dice.percent(15) {
            world.restoring = Some(Restoring::new(&world.caller, &mut world.dice));
        }
        world
    }

    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:5}  {}", self.report.operations, what());
        }
    }

    /// Lives, each of which ends somehow, until there were enough of everything.
    pub(super) fn run(&mut self) {
        while self.report.operations < OPERATIONS_MIN || self.power_cuts < POWER_CUTS_MIN {
            self.open();
            self.live();
        }
        self.open();
        self.read_everything();
        self.end_in_order();
        if !self.harm.is_any() && self.model.is_whole() {
            let report = verify_on(&self.disk, super::engine::folder());
            let report = report.unwrap_or_else(|error| panic!("a whole log: {error}"));
            assert!(
                report.damage.is_empty() && report.lost_tail.is_none(),
                "a log that lost nothing is called damaged: {report:?}"
            );
            assert_eq!(
                report.head,
                self.model.durable(),
                "verify finds another head"
            );
        }
    }

    pub(super) fn into_report(mut self) -> Report {
        self.report.faults = self.disk.counters();
        self.report.probes = probe::take();
        self.report
    }

    pub(super) fn options(&self) -> Options {
        Options {
            segment_bytes_max: self.segment_bytes_max,
            reserve_bytes: 512,
            index: IndexOptions {
                memory_events: self.memory_events,
                filter_bytes: 8 * 1024,
                cache_bytes: 32 * 1024,
                page_bytes: 1024,
                secret: Some(*self.log_id.as_bytes()),
            },
            evidence: self.evidence.into_iter().collect(),
            clock: self.clock.clone(),
            holder: "the simulator".to_owned(),
            log_id: Some(self.log_id),
            ..Options::default()
        }
    }

    /// Operations on an open store, until something ends its process.
    fn live(&mut self) {
        while self.engine.is_some() {
            self.report.operations += 1;
            self.clock.pass(&mut self.dice);
            match self.dice.below(100) {
                0..42 => self.append(),
                42..51 => self.step(),
                51..56 => self.merge(),
                56..60 => self.mark(),
                60..76 => self.read(),
                76..79 => self.jump(),
                79..82 => self.follow(),
                82..83 => self.give_up_one(),
                83..87 => self.let_a_call_fail(),
                87..89 => self.change_room(),
                89..91 => self.take_checkpoint(),
                91..93 => self.harm_while_open(),
                93 => self.harm_index(),
                94..97 => self.die_within_a_few_calls(),
                97..98 => self.end_in_order(),
                98..99 => self.kill(),
                _ => self.cut_power(),
            }
            if self.disk.has_halted() && self.engine.is_some() {
                self.note(|| "the process dies in the midst of it".to_owned());
                match self.dice.percent(65) {
                    true => self.cut_power(),
                    false => self.kill(),
                }
            }
            self.end_if_poisoned();
        }
    }

    /// Whether reads may fail now: a call just failed, or something rots on the disk.
    pub(super) fn excuse(&mut self) -> Excuse {
        let failures = self.disk.failures();
        let has_failed = failures > std::mem::replace(&mut self.failures_seen, failures);
        // A run that covers accepted damage is not mended from the log before it is opened anew.
        match has_failed || self.harm.may_rot() || self.has_accepted || self.disk.has_halted() {
            true => Excuse::Unreadable,
            false => Excuse::None,
        }
    }

    /// Runs something on the open store, with the excuse that it turns out to have.
    pub(super) fn with_engine<T>(
        &mut self,
        call: impl Fn(&mut Engine, &mut Model, Excuse) -> T,
    ) -> Option<T> {
        let mut engine = self.engine.take()?;
        // What fails, fails during the call: the excuse is only known behind it.
        let excuse = match self.excuse() == Excuse::Unreadable || self.disk.is_disturbed() {
            true => Excuse::Unreadable,
            false => Excuse::None,
        };
        let value = call(&mut engine, &mut self.model, excuse);
        self.engine = Some(engine);
        Some(value)
    }

    fn append(&mut self) {
        if self.restoring.is_some() {
            self.restore_some();
        }
        let is_begun = self.restoring.as_ref().map(Restoring::is_begun);
        if is_begun == Some(false) {
            return;
        }
        let append = self.caller.append(&mut self.dice, &self.model);
        let is_restoring = self.restoring.as_ref().is_some_and(Restoring::is_begun);
        let answer = self.with_engine(|engine, model, excuse| {
            engine.append(append.clone(), model, is_restoring, excuse)
        });
        self.note(|| {
            format!(
                "append {}: {}",
                describe(&append),
                answer.unwrap_or("nobody")
            )
        });
        if self.dice.percent(60) {
            self.step();
        }
    }

    fn step(&mut self) {
        let before = self.model.durable();
        let has_stepped = self.with_engine(|engine, model, excuse| engine.step(model, excuse));
        let after = self.model.durable();
        self.note(|| format!("step: {before} to {after} durable"));
        if has_stepped == Some(true) && after > before {
            self.report.acknowledged += after - before;
            self.vouched = self.vouched.max(before);
            self.note_epoch();
        }
    }

    fn merge(&mut self) {
        let steps = 1 + self.dice.below(4);
        let done = self.with_engine(|engine, _, _| engine.merge(steps));
        self.note(|| format!("merge: {} steps", done.unwrap_or(0)));
        let is_prepared = self.with_engine(|engine, _, _| engine.prepare());
        self.note(|| format!("prepare room: {}", is_prepared == Some(true)));
    }

    fn mark(&mut self) {
        let durable = self.model.durable();
        let failures = self.disk.failures();
        self.with_engine(|engine, model, excuse| engine.mark(model, excuse));
        self.note(|| "mark".to_owned());
        let is_written = self.disk.failures() == failures
            && !self.disk.has_room_limit()
            && !self.disk.has_halted();
        let is_poisoned = self.engine.as_ref().is_none_or(Engine::is_poisoned);
        if is_written && !is_poisoned && self.model.durable() == durable {
            self.vouched = durable;
        }
    }

    fn give_up_one(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.give_up_one();
        }
    }

    /// Remembers under which epoch the last frame was written.
    pub(super) fn note_epoch(&mut self) {
        let syncer = self.engine.as_ref().and_then(Engine::syncer);
        if let Some(syncer) = syncer {
            self.epoch = self.epoch.max(syncer.tail().epoch());
        }
    }

    fn jump(&mut self) {
        let by = self.clock.jump(&mut self.dice);
        self.report.clock_jumps += 1;
        self.note(|| format!("the clock jumps by {} s", by / 1_000_000));
    }

    fn let_a_call_fail(&mut self) {
        let call = *self.dice.pick(&[
            Call::Sync,
            Call::Sync,
            Call::Write,
            Call::Read,
            Call::SyncFolder,
            Call::Open,
            Call::Rename,
        ]);
        let nth = 1 + self.dice.below(3);
        self.note(|| format!("the {nth}. {call:?} from now on fails"));
        self.disk.fail_nth(call, nth, std::io::ErrorKind::Other);
    }

    fn change_room(&mut self) {
        let room = match self.disk.has_room_limit() {
            true => None,
            false => Some(self.dice.below(1_500)),
        };
        self.note(|| format!("room for {room:?} bytes"));
        self.disk.set_room(room);
    }

    /// Somebody derives something from the log, and keeps the place.
    fn take_checkpoint(&mut self) {
        let durable = self.model.durable();
        if durable == 0 || self.restoring.is_some() {
            return;
        }
        let position = 1 + self.dice.below(durable);
        if let Some(event) = self.model.event(position) {
            self.evidence = Some(Checkpoint {
                log_id: self
                    .engine
                    .as_ref()
                    .map_or(self.log_id, |engine| engine.store.log_id()),
                position,
                event_id: event.metadata.event_id,
            });
            self.note(|| format!("a checkpoint at {position}"));
        }
        self.take_image();
    }

    fn die_within_a_few_calls(&mut self) {
        let calls = 1 + self.dice.below(12);
        self.note(|| format!("the process dies at the {calls}. call from now on"));
        self.disk.halt_at(self.disk.calls() + calls);
    }

    fn end_in_order(&mut self) {
        let Some(engine) = self.engine.take() else {
            return;
        };
        self.note(|| "close".to_owned());
        let excuse = match self.excuse() == Excuse::Unreadable || self.disk.is_disturbed() {
            true => Excuse::Unreadable,
            false => Excuse::None,
        };
        let is_whole =
            excuse == Excuse::None && !self.disk.has_room_limit() && !engine.is_poisoned();
        let unknown = engine.close(&mut self.model, excuse);
        self.unknown.extend(unknown);
        if is_whole && self.unknown.is_empty() {
            self.vouched = self.model.durable();
        }
        self.between_lives();
    }

    fn kill(&mut self) {
        self.let_go();
        self.note(|| "kill -9".to_owned());
        self.disk.kill();
        self.between_lives();
    }

    pub(super) fn cut_power(&mut self) {
        self.let_go();
        self.following = None;
        self.note(|| "power cut".to_owned());
        self.power_cuts += 1;
        let before = self.disk.counters().of(Fault::SectorHarmed);
        self.disk.cut_power(self.dice.next());
        self.harm
            .power_was_cut(self.disk.counters().of(Fault::SectorHarmed) > before);
        self.between_lives();
    }

    /// The process is gone, with all that it had not answered.
    fn let_go(&mut self) {
        if let Some(engine) = self.engine.take() {
            let unknown = engine.die(&mut self.model);
            self.unknown.extend(unknown);
        }
    }

    /// Nobody has the store open.
    fn between_lives(&mut self) {
        self.harm.note_lie(&self.disk);
        self.disk.heal();
        self.disk.set_room(None);
        if self.dice.percent(30) {
            self.disk.evict();
        }
        self.harm_at_rest();
        if self.dice.percent(20) {
            self.harm_index();
        }
    }

    /// A store that takes no appends any more is opened again, sooner or later.
    fn end_if_poisoned(&mut self) {
        let Some(engine) = &self.engine else { return };
        if !engine.is_poisoned() {
            return;
        }
        assert!(
            self.disk.failures() > 0,
            "a store is poisoned, but no call has failed"
        );
        if self.dice.percent(30) {
            self.note(|| "the poisoned store is given up".to_owned());
            match self.dice.below(3) {
                0 => self.end_in_order(),
                1 => self.kill(),
                _ => self.cut_power(),
            }
        }
    }

    /// Everything is read once more and compared.
    fn read_everything(&mut self) {
        if self.engine.is_some() {
            self.compare_whole_log();
        }
        if let Some(engine) = &self.engine {
            let head = now(engine.store.head());
            let head = head.unwrap_or_else(|error| panic!("the head: {error}"));
            assert_eq!(head.position, self.model.durable());
        }
    }
}

fn describe(append: &retold_core::Append) -> String {
    let ids = append.events().iter().map(|event| {
        format!(
            "{}/{:.4}",
            event.stream,
            event.metadata.event_id.simple().to_string()
        )
    });
    let ids: Vec<String> = ids.collect();
    let conditions = append.conditions().len();
    format!("{} ({conditions} expectations)", ids.join(" "))
}
