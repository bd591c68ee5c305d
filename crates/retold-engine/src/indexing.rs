//! Makes the index when a log is opened: runs answer for what they cover, and only what lies
//! between and behind them is read. Where anything is odd, the whole log is read instead.

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
    read(disk, folder, settings, writes, progress, true)
}

/// Reads the whole log, whatever runs there are, and writes new ones.
pub(crate) fn open_anew(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    settings: &IndexOptions,
) -> Result<Option<(Survey, Indexing)>, Error> {
    read(disk, folder, settings, true, None, false)
}

fn read(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    settings: &IndexOptions,
    writes: bool,
    progress: Option<Progress>,
    uses_runs: bool,
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
            has_failed: false,
        }
    };
    let beginning = opening::beginning(files);
    if let Some(at) = beginning.filter(|_| uses_runs) {
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
    let mut indexing = begin(beginning.unwrap_or(Anchor {
        segment: 1,
        frame: 0,
        offset: FIRST_FRAME,
        next_position: 1,
        epoch: 0,
        previous: Default::default(),
    }));
    let mut state = LogState::new(log_id);
    let last = opening::walk(files, None, None, &mut state, &mut indexing)?;
    if indexing.has_failed {
        let error = std::io::Error::other("a run that was just written cannot be read");
        return Err(Error::io("make the index", error));
    }
    let survey = opening::conclude(listed, state, last, known)?;
    Ok(Some((survey, indexing)))
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
    let mut covered: Option<(Position, Arc<Facts>)> = None;
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
            probe::hit(Probe::RunsUsed);
            let facts = Arc::new(facts);
            covered = Some((index.head().position, Arc::clone(&facts)));
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
        && facts.lost.range(..=end).count() != state.facts.lost.range(..=end).count()
    {
        // Of events that were accepted as lost since, the runs do not know that their streams
        // miss them.
        return Ok(None);
    }
    Ok(Some((state, last)))
}

impl Indexing {
    /// Whether a run could not answer, so that events are missing that were read.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
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
        match has_losses {
            true => self.compare(events),
            false => self.index.insert(events),
        }
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
            // remember it.
            self.index.flush_all(is_whole);
        }
    }
}
