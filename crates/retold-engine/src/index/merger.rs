//! The merger: makes runs of full tables, and one run of several. A step function that a
//! thread drives in production and a simulator drives from its seed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::part::{Fault, Part};
use super::run::{BuildError, Building, Merged, Run};
use super::set::Index;
use super::statistics::add;
use crate::disk::Lock;
use crate::probe::{self, Probe};
use crate::visible::Visible;

/// Runs of about one size that become one: each event is written again once for each power of
/// this, and look-ups ask at most about so many runs of each size.
const RUNS_MERGED: usize = 4;

/// Runs after which no more join those that become one: many wait after a stretch was mended.
const RUNS_MERGED_MAX: usize = 8;

/// Positions of a run at most: half of what its entries can count.
const RUN_POSITIONS_MAX: u64 = 1 << 31;

/// Entries written in one step: a table that is full meanwhile waits no longer than for these.
const STEP_ENTRIES: usize = 8 * 1024;

/// A run of so many tables is synced: what is lost with the power is read from the log again,
/// which must not take long.
const SYNCED_TABLES: u64 = 8;

/// How long a disk that refuses to write is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Makes and merges runs.
pub(crate) struct Merger {
    visible: Arc<Visible>,
    index: Arc<Index>,
    /// By the tier of what is merged; smaller ones come first.
    jobs: BTreeMap<u32, Job>,
    /// Files that nothing needs any more.
    garbage: VecDeque<String>,
    /// Runs that were replaced. Who closes a file last waits until the system has freed its
    /// room, which takes long for a large one: that must be nobody who looks something up.
    retired: Vec<Arc<Run>>,
    has_failed: bool,
    /// Given back once nothing is written any more.
    _lock: Arc<Lock>,
}

/// Runs that become one.
struct Job {
    inputs: Vec<Arc<Run>>,
    building: Building,
    unnamed: String,
    is_synced: bool,
}

impl Merger {
    /// `garbage` names files in the folder of the index that are of no use.
    pub(crate) fn new(visible: Arc<Visible>, garbage: Vec<String>, lock: Arc<Lock>) -> Merger {
        Merger {
            index: visible.index(),
            visible,
            jobs: BTreeMap::new(),
            garbage: garbage.into(),
            retired: Vec::new(),
            has_failed: false,
            _lock: lock,
        }
    }

    /// Works until the index is closed. What is unfinished then is begun anew another time.
    pub(crate) fn run(mut self) {
        while !self.index.has_closed() {
            if !self.step() {
                // A table that fills up meanwhile wakes the thread.
                self.index.wait(RETRY);
            }
        }
        // Files in the making are of no use to anybody.
        for job in self.jobs.into_values() {
            self.index.remove(&job.unnamed);
        }
    }

    /// Does a bounded piece of work; false where there is nothing to do, or the disk refuses.
    pub(crate) fn step(&mut self) -> bool {
        self.has_failed = false;
        self.retired.retain(|run| Arc::strong_count(run) > 1);
        if let Some(table) = self.index.oldest_full_table() {
            match self.index.flush(&table, true) {
                Ok(run) => {
                    self.index.replace(&[Part::Table(table)], vec![run.into()]);
                }
                Err(error) => self.fail(error),
            }
            return !self.has_failed;
        }
        match self.keep_filters() {
            Ok(false) => {}
            Ok(true) => return true,
            Err(fault) => {
                self.fail(BuildError::Fault(fault));
                return !self.has_failed;
            }
        }
        if let Some(name) = self.garbage.pop_front() {
            self.index.remove(&name);
            return true;
        }
        if let Some((tier, inputs)) = self.plan() {
            match self.begin(inputs) {
                Ok(job) => {
                    self.jobs.insert(tier, job);
                }
                Err(error) => self.fail(error),
            }
            return !self.has_failed;
        }
        let Some((tier, mut job)) = self.jobs.pop_first() else {
            return false;
        };
        match job.building.advance(STEP_ENTRIES) {
            Ok(false) => {
                self.jobs.insert(tier, job);
            }
            Ok(true) => self.finish(job),
            Err(error) => {
                self.index.remove(&job.unnamed);
                self.fail(error);
            }
        }
        !self.has_failed
    }

    /// Has the runs that are asked often keep their filters in memory, the smallest first: each
    /// is asked about every id, so those save the most for their bytes. True where one was read.
    fn keep_filters(&self) -> Result<bool, Fault> {
        let parts = self.index.parts();
        let runs = parts.iter().filter_map(|part| match part {
            Part::Run(run, filters) => Some((run, filters.is_some())),
            Part::Table(_) => None,
        });
        let mut runs: Vec<_> = runs.collect();
        runs.sort_unstable_by_key(|(run, _)| run.filter_bytes());
        let mut left = self.index.settings().filter_bytes;
        for (run, is_kept) in runs {
            let room = left.checked_sub(run.filter_bytes());
            let room = room.filter(|_| is_kept || run.is_asked_often());
            if room.is_some() != is_kept {
                let filters = match is_kept {
                    true => None,
                    false => Some(Arc::new(run.filters()?)),
                };
                let kept = vec![Part::Run(Arc::clone(run), filters)];
                if self.index.replace(&[Arc::clone(run).into()], kept) && !is_kept {
                    probe::hit(Probe::FiltersKept);
                }
                return Ok(true);
            }
            left = room.unwrap_or(left);
        }
        Ok(false)
    }

    fn begin(&self, inputs: Vec<Arc<Run>>) -> Result<Job, BuildError> {
        let positions: u64 = inputs.iter().map(|run| run.len()).sum();
        let table = self.index.settings().memory_events as u64;
        let is_synced = positions >= SYNCED_TABLES * table;
        let (file, unnamed) = self.index.make_file()?;
        let source = Merged(inputs.clone().into());
        Ok(Job {
            inputs,
            building: Building::new(Arc::new(source), file, is_synced),
            unnamed,
            is_synced,
        })
    }

    /// Puts the new run in the place of the old ones, which are removed once it is durable.
    fn finish(&mut self, job: Job) {
        let finished = job.building.finish().map_err(BuildError::Io);
        let published = finished
            .and_then(|(header, file)| self.index.publish(header, file, &job.unnamed))
            .and_then(|run| match job.is_synced {
                true => self.index.sync_names().map(|()| run),
                false => Ok(run),
            });
        let run = match published {
            Ok(run) => run,
            Err(error) => {
                self.index.remove(&job.unnamed);
                return self.fail(error);
            }
        };
        let inputs: Vec<Part> = job.inputs.iter().cloned().map(Part::from).collect();
        if self.index.replace(&inputs, vec![Arc::clone(&run).into()]) {
            add(&self.index.cache().counters.merges);
            probe::hit(Probe::RunsMerged);
            let names = job.inputs.iter().map(|run| run.name.clone());
            self.garbage.extend(names);
            self.retired.extend(job.inputs);
        } else {
            // One of them was mended meanwhile.
            self.garbage.push_back(run.name.clone());
        }
    }

    fn fail(&mut self, error: BuildError) {
        match error {
            BuildError::Fault(Fault::Bad(run)) => {
                // The store refuses appends where this fails, and says why.
                self.has_failed = self.visible.mend(run).is_err();
            }
            BuildError::Fault(Fault::Cold) => self.has_failed = true,
            BuildError::Io(error) => {
                tracing::warn!(%error, "could not write a run of the index; trying again");
                self.has_failed = true;
            }
        }
    }

    /// The next runs to become one: enough of one size, smaller ones between them included.
    fn plan(&self) -> Option<(u32, Vec<Arc<Run>>)> {
        let parts = self.index.parts();
        let table = self.index.settings().memory_events as u64;
        let tier = |run: &Run| (run.len() / table).max(1).ilog(RUNS_MERGED as u64);
        let is_free = |run: &Arc<Run>| {
            let mut inputs = self.jobs.values().flat_map(|job| &job.inputs);
            run.len() <= RUN_POSITIONS_MAX / RUNS_MERGED_MAX as u64
                && !inputs.any(|input| Arc::ptr_eq(input, run))
        };
        let tiers = parts.iter().filter_map(|part| match part {
            Part::Run(run, _) => Some(tier(run)),
            Part::Table(_) => None,
        });
        let highest = tiers.max()?;
        for wanted in (0..=highest).filter(|tier| !self.jobs.contains_key(tier)) {
            let (mut group, mut of_tier) = (Vec::new(), 0);
            for part in parts.iter() {
                match part {
                    Part::Run(run, _) if tier(run) <= wanted && is_free(run) => {
                        of_tier += usize::from(tier(run) == wanted);
                        group.push(Arc::clone(run));
                        if of_tier >= RUNS_MERGED && group.len() >= RUNS_MERGED_MAX {
                            break;
                        }
                    }
                    _ if of_tier >= RUNS_MERGED => break,
                    _ => (group, of_tier) = (Vec::new(), 0),
                }
            }
            if of_tier >= RUNS_MERGED {
                return Some((wanted, group));
            }
        }
        None
    }
}
