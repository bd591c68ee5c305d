//! Makes the index when a log is opened: runs answer for what they cover, and only what lies
//! between and behind them is read. Where anything is odd, the whole log is read instead.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use retold_core::{Error, Position, StreamId};

use crate::disk::Disk;
use crate::index::{Anchor, Index, IndexEntry, Known, load};
use crate::log::scan::Scanner;
use crate::log::segment::FIRST_FRAME;
use crate::opening::{self, Opened, Survey};
use crate::options::IndexOptions;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};
use crate::state::{Facts, Intake, LogState};

/// Is told through which position the log was read.
pub(crate) type Progress = Arc<dyn Fn(Position) + Send + Sync>;

/// Fills an index with what is read of the log.
pub(crate) struct Indexing {
    pub(crate) index: Arc<Index>,
    progress: Option<Progress>,
    /// Positions that were accepted as lost: what stands there is not taken in, also where it
    /// can be read again.
    passes_over: BTreeSet<Position>,
    /// How much was known to be accepted as damaged when reading began.
    knew: (usize, usize),
    /// A run was asked and could not answer.
    has_failed: bool,
}

/// Reads what of the log no run covers; none where there is no log yet. Runs are written when
/// `writes` says so.
pub(crate) fn open(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    settings: &IndexOptions,
    writes: bool,
    progress: Option<Progress>,
) -> Result<Option<(Survey, Indexing)>, Error> {
    read(disk, folder, settings, writes, progress, None)
}

/// Reads the whole log, whatever runs there are, and writes new ones. What the log says of
/// itself is known already.
pub(crate) fn open_anew(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    settings: &IndexOptions,
    facts: &Facts,
) -> Result<Option<(Survey, Indexing)>, Error> {
    read(disk, folder, settings, true, None, Some(facts))
}

fn read(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    settings: &IndexOptions,
    writes: bool,
    progress: Option<Progress>,
    known_facts: Option<&Facts>,
) -> Result<Option<(Survey, Indexing)>, Error> {
    let Some(mut listed) = opening::list(&**disk, folder)? else {
        return Ok(None);
    };
    let log_id = listed.files[0].log_id();
    let mut known = load(&**disk, folder, log_id);
    if known.newest_segment() > listed.newest_segment() {
        // A writer may have begun a segment, and made a run that ends in it, since.
        listed = opening::list(&**disk, folder)?.unwrap_or(listed);
    }
    let files = &listed.files;
    let drawn = || {
        settings
            .secret
            .unwrap_or_else(|| uuid::Uuid::new_v4().into_bytes())
    };
    let secret = known.secret().unwrap_or_else(drawn);
    let begin = |begin: Anchor| {
        let writes_to = writes.then(|| (Arc::clone(disk), folder));
        Indexing {
            index: Arc::new(Index::new(
                log_id,
                secret,
                settings.clone(),
                begin,
                writes_to,
            )),
            progress: progress.clone(),
            passes_over: BTreeSet::new(),
            knew: (0, 0),
            has_failed: false,
        }
    };
    let beginning = opening::beginning(files);
    if let Some(at) = beginning.filter(|_| known_facts.is_none()) {
        let mut indexing = begin(at);
        let read = behind_runs(files, at, &mut known, &mut indexing)?;
        if let Some((state, last)) = read.filter(|_| !indexing.has_failed) {
            let survey = opening::conclude(listed, state, last, known)?;
            return Ok(Some((survey, indexing)));
        }
        probe::hit(Probe::IndexMadeAnew);
        tracing::warn!("the index does not fit the log, which is read as a whole");
        known = load(&**disk, folder, log_id);
    }
    let beginning = beginning.unwrap_or(Anchor {
        segment: 1,
        frame: 0,
        offset: FIRST_FRAME,
        next_position: 1,
        epoch: 0,
        previous: Default::default(),
    });
    let mut accepted =
        known_facts.map_or_else(|| Facts::new(log_id), |facts| facts.only_accepted(log_id));
    loop {
        let mut indexing = begin(beginning);
        indexing.passes_over = accepted.lost.keys().copied().collect();
        indexing.knew = accepted.accepted();
        let mut state = LogState::after(Arc::new(accepted.clone()));
        let last = opening::walk(files, None, None, &mut state, &mut indexing)?;
        if indexing.has_failed {
            let error = std::io::Error::other("a run that was just written cannot be read");
            return Err(Error::io("make the index", error));
        }
        let found = state.facts.only_accepted(log_id);
        let knew_all = found == accepted || !writes && indexing.passes_over_all(&state.facts);
        if knew_all {
            let survey = opening::conclude(listed, state, last, known)?;
            return Ok(Some((survey, indexing)));
        }
        // The log said only later what was accepted. No run could keep its name until then, or
        // would have known what its stream misses.
        accepted = found;
        let made = indexing
            .index
            .runs()
            .into_iter()
            .map(|run| run.name.clone());
        known.strays.extend(made);
    }
}

/// Goes from run to run, reads what lies between two of them, and then what lies behind the
/// last. None where they do not fit the log.
fn behind_runs(
    files: &[Opened],
    beginning: Anchor,
    known: &mut Known,
    indexing: &mut Indexing,
) -> Result<Option<(LogState, Scanner)>, Error> {
    let index = Arc::clone(&indexing.index);
    let secret = index.keys().secret();
    let mut state = LogState::new(index.log_id);
    let mut at = beginning;
    let mut covered: Option<(Anchor, Arc<Facts>)> = None;
    loop {
        let mut has_jumped = false;
        while let Some(candidate) = known.take_at(&at, &secret) {
            at = candidate.header.end;
            let run = index.open_run(candidate.header, candidate.name, candidate.file);
            index.jump(run, &state.facts);
            has_jumped = true;
        }
        if has_jumped {
            // Each digest stands for the history before it: the last one vouches for all runs.
            let facts = index.runs().last().and_then(|run| run.facts().ok());
            let stands = |facts: &Facts| {
                planted::is(Bug::StaleRunAccepted)
                    || planted::is(Bug::ChainIgnored)
                    || opening::stands(files, &at) && opening::follow_up_to(files, &at, facts)
            };
            let Some(facts) = facts.filter(stands) else {
                return Ok(None);
            };
            // A run from before a loss was accepted may lie between newer ones.
            if !indexing.passes_over_all(&facts) {
                return Ok(None);
            }
            probe::hit(Probe::RunsUsed);
            let facts = Arc::new(facts);
            indexing.knew = facts.accepted();
            covered = Some((at, Arc::clone(&facts)));
            state = LogState::after(facts);
            state.head = index.head();
        }
        let Some(next) = known.next_behind(&at, &secret) else {
            break;
        };
        probe::hit(Probe::RunGapRead);
        if planted::is(Bug::RunGapIgnored) {
            indexing.pass_over(next.next_position - 1);
            at = next;
            continue;
        }
        let fits = opening::read_between(files, &at, &next, &mut state, indexing)?;
        // Damage must not be forgotten behind the next run.
        if !fits || state.unaccepted().next().is_some() {
            return Ok(None);
        }
        at = next;
    }
    let last = opening::walk(files, Some(&at), None, &mut state, indexing)?;
    if let Some((end, facts)) = covered
        && facts.accepted_before(&end) != state.facts.accepted_before(&end)
    {
        // The runs do not know what streams miss of what was accepted as lost since. And where
        // the history before them was accepted as damaged, it may not be theirs.
        return Ok(None);
    }
    // What was accepted meanwhile is better known from the beginning: then runs keep names.
    let is_accepted = state.unaccepted().next().is_none();
    if is_accepted && index.runs().iter().any(|run| !run.has_name()) {
        return Ok(None);
    }
    let fits = indexing.passes_over_all(&state.facts);
    Ok(fits.then_some((state, last)))
}

impl Indexing {
    /// Whether a run could not answer, so that events are missing that were read.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Whether nothing is known of what was accepted as lost.
    fn passes_over_all(&self, facts: &Facts) -> bool {
        let view = self.index.view_of_all();
        let mut lost = facts.lost.keys();
        lost.all(|position| {
            let location = view.location(*position);
            location.is_ok_and(|location| location.is_none())
        })
    }

    /// Shows what was taken in, once all is.
    pub(crate) fn finish(&mut self, facts: &Arc<Facts>) {
        self.index.show(None, facts);
        self.index.set_losses(facts);
    }

    /// Takes in events where some were lost before: each is compared with the head of its
    /// stream.
    fn compare(&mut self, events: &[IndexEntry]) -> Vec<(StreamId, u64)> {
        let mut incomplete = Vec::new();
        for event in events {
            let Ok(head) = self.index.view_of_all().kept_head(&event.stream) else {
                self.has_failed = true;
                return incomplete;
            };
            let next = head.map_or(0, |head| head.sequence_number) + 1;
            if event.sequence_number != next {
                let missing = event.sequence_number.min(next);
                incomplete.push((event.stream.clone(), missing));
            }
            self.index.insert(std::slice::from_ref(event));
            if head.is_none() {
                self.index.name(event);
            }
        }
        incomplete
    }
}

impl Intake for Indexing {
    fn events(&mut self, events: &[IndexEntry], has_losses: bool) -> Vec<(StreamId, u64)> {
        if self.passes_over.is_empty() {
            return match has_losses {
                true => self.compare(events),
                false => self.index.insert(events),
            };
        }
        let is_kept = |event: &&IndexEntry| !self.passes_over.contains(&event.position);
        let kept: Vec<IndexEntry> = events.iter().filter(is_kept).cloned().collect();
        let incomplete = self.compare(&kept);
        if let Some(last) = events.last() {
            self.pass_over(last.position);
        }
        incomplete
    }

    fn pass_over(&mut self, through: Position) {
        self.index.pass_over(through);
    }

    fn reach(&mut self, end: &Anchor, facts: &Arc<Facts>, is_whole: bool) {
        self.index.show(Some(end), facts);
        if let Some(progress) = &self.progress {
            progress(end.next_position - 1);
        }
        if self.index.is_writable() {
            // What nobody has accepted may still be mended: no run that keeps its name may
            // remember it. And what was accepted only now has streams that miss events which
            // were not compared.
            self.index
                .flush_all(is_whole && facts.accepted() == self.knew);
        }
    }
}
