//! Drives the whole engine (callers, writer, readers, recovery, followers, the decisions of an
//! operator) on the simulated disk, from one seed and without threads, beside a model of what
//! must be true. `docs/simulator.md` says what is covered and what is not.
//!
//! A fault that must lose nothing (a power cut, a failing call, a full disk) may change no
//! answer. One that may lose (a flipped bit, a lost file, an older copy, a disk that lies) must
//! be reported, or have changed nothing.

mod calls;
mod clock;
mod engine;
mod followers;
mod harm;
mod model;
mod opening;
mod operator;
mod reads;
mod restoring;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::World;
pub use crate::disk::sim::{Counters, Fault};
#[cfg(feature = "planted-bugs")]
use crate::planted;
pub use crate::planted::Bug;
use crate::probe;
pub use crate::probe::Probe;

/// Operations of a seed, at least.
pub const OPERATIONS_MIN: u64 = 200;

/// Power cuts of a seed, at least.
pub const POWER_CUTS_MIN: u64 = 3;

/// What a run did.
#[derive(Debug, Clone)]
pub struct Report {
    /// Steps that the simulator took.
    pub operations: u64,
    /// Times that the log was opened well.
    pub openings: u64,
    /// Appends that were acknowledged as new.
    pub acknowledged: u64,
    /// Pages and events that were read and compared.
    pub reads: u64,
    /// Times that the clock jumped.
    pub clock_jumps: u64,
    /// Times that the operator accepted something.
    pub decisions: u64,
    /// Times that damage was mended from a backup.
    pub backups: u64,
    /// What the disk did.
    faults: Counters,
    /// Which branches the engine took.
    probes: [u64; Probe::ALL.len()],
}

impl Default for Report {
    fn default() -> Self {
        Report {
            operations: 0,
            openings: 0,
            acknowledged: 0,
            reads: 0,
            clock_jumps: 0,
            decisions: 0,
            backups: 0,
            faults: Counters::default(),
            probes: [0; Probe::ALL.len()],
        }
    }
}

impl Report {
    /// How often a fault happened.
    pub fn fault(&self, fault: Fault) -> u64 {
        self.faults.of(fault)
    }

    /// How often a branch of the engine was taken.
    pub fn probe(&self, probe: Probe) -> u64 {
        self.probes[probe as usize]
    }

    /// Adds another run to this one.
    pub fn add(&mut self, other: &Report) {
        self.operations += other.operations;
        self.openings += other.openings;
        self.acknowledged += other.acknowledged;
        self.reads += other.reads;
        self.clock_jumps += other.clock_jumps;
        self.decisions += other.decisions;
        self.backups += other.backups;
        self.faults.add(&other.faults);
        for (sum, more) in self.probes.iter_mut().zip(other.probes) {
            *sum += more;
        }
    }

    /// The table of all that is counted, as names and numbers.
    pub fn rows(&self) -> Vec<(&'static str, u64)> {
        let own = [
            ("operations", self.operations),
            ("openings", self.openings),
            ("appends acknowledged", self.acknowledged),
            ("reads compared", self.reads),
            ("clock jumps", self.clock_jumps),
            ("decisions of the operator", self.decisions),
            ("backups put back", self.backups),
        ];
        let faults = Fault::ALL.iter();
        let faults = faults.map(|fault| (fault.label(), self.fault(*fault)));
        let probes = Probe::ALL.iter();
        let probes = probes.map(|probe| (probe.label(), self.probe(*probe)));
        own.into_iter().chain(faults).chain(probes).collect()
    }
}

/// How a seed is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Prints each operation.
    pub trace: bool,
    /// A bug that the run is to find; without the feature `planted-bugs` there is none.
    pub planted: Option<Bug>,
}

/// Runs a seed. The same seed does the same, on every machine.
///
/// # Errors
/// What does not hold, as a panic said it.
pub fn run(seed: u64, settings: Settings) -> Result<Report, String> {
    #[cfg(feature = "planted-bugs")]
    planted::plant(settings.planted);
    probe::take();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, settings.trace);
        world.run();
        world.into_report()
    }));
    #[cfg(feature = "planted-bugs")]
    planted::plant(None);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "something that is not a text".to_owned())
    })
}
