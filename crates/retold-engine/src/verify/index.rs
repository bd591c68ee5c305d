//! Compares the index with the log: every page with its checksum, and what the runs answer for
//! each event with what the log says of it. The index is derived, so nothing is lost where it
//! is wrong; but a wrong answer could let an event in twice.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use retold_core::{Position, StreamId};

use crate::disk::{Disk, RealDisk};
use crate::heads::Heads;
use crate::index::{Anchor, Fault, IndexEntry, Term, View, is_of_index, load};
use crate::indexing;
use crate::options::IndexOptions;
use crate::state::{Facts, Intake};

/// Faults that are told one by one; the rest is counted.
const FAULTS_TOLD_MAX: usize = 20;

/// What a comparison of the index with the log found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IndexVerified {
    /// Files that answer for a part of the log.
    pub runs: usize,
    /// The newest position that they answer for; what lies behind it is read when the log is
    /// opened.
    pub through: Position,
    /// Files that are not as they were written, and events that the index does not know as the
    /// log does.
    pub faults: u64,
    /// The first of them.
    pub told: Vec<String>,
}

impl IndexVerified {
    fn note(&mut self, fault: String) {
        self.faults += 1;
        if self.told.len() < FAULTS_TOLD_MAX {
            self.told.push(fault);
        }
    }
}

/// Takes in the log, and compares each event with what the index says of it.
pub(super) struct Compared {
    pub(super) heads: Heads,
    view: Option<View>,
    /// Positions of which the index is to know nothing: they were accepted as lost.
    lost: BTreeSet<Position>,
    found: IndexVerified,
}

impl Compared {
    /// Opens the index of a folder as a store would, without changing it, and looks at the
    /// pages of all runs.
    pub(super) fn open(folder: &Path, heads: Heads) -> Compared {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut found = IndexVerified::default();
        // What is wrong with the log itself is said by the walk through it.
        let opened = indexing::open(&disk, folder, &IndexOptions::default(), false, None);
        let Ok(Some((survey, indexing))) = opened else {
            return Compared {
                heads,
                view: None,
                lost: BTreeSet::new(),
                found,
            };
        };
        let index = indexing.index;
        for run in index.runs() {
            found.runs += 1;
            found.through = found.through.max(run.last());
            if run.check().is_err() {
                found.note(format!("index/{} is not as it was written", run.name));
            }
        }
        let log_id = survey.segments.first().map(|segment| segment.log_id);
        let known = log_id.map(|log_id| load(&*disk, folder, log_id));
        let strays = known.map_or(Vec::new(), |known| known.strays);
        for stray in strays.iter().filter(|name| is_of_index(name)) {
            if stray.ends_with(".run") {
                found.note(format!(
                    "index/{stray} cannot be read, or is not of this log"
                ));
            }
        }
        Compared {
            heads,
            // A damaged run answers nothing for certain.
            lost: survey.state.facts.lost.keys().copied().collect(),
            view: (found.faults == 0 && found.runs > 0).then(|| index.view_of_all()),
            found,
        }
    }

    /// What was found, and the heads of the streams.
    pub(super) fn finish(self) -> (Heads, IndexVerified) {
        (self.heads, self.found)
    }
}

/// What the index says wrongly of an event, if anything.
fn difference(view: &View, event: &IndexEntry) -> Result<Option<&'static str>, Fault> {
    let position = event.position;
    if view.location(position)? != Some(event.location) {
        return Ok(Some("its place in the segment"));
    }
    if !view.positions_of(&event.event_id)?.contains(&position) {
        return Ok(Some("its id"));
    }
    let sequence = event.sequence_number;
    let listed = view.stream_positions(&event.stream, sequence, sequence)?;
    if listed != [(sequence, Some(position))] {
        return Ok(Some("its place in its stream"));
    }
    let correlation = Term::Correlation(&event.correlation_id);
    let tags = event.tags.iter().map(|tag| Term::Tag(tag));
    for term in std::iter::once(correlation).chain(tags) {
        if view.postings(term, position - 1, 1)?.first() != Some(&position) {
            return Ok(Some("its correlation id or one of its tags"));
        }
    }
    let date = Some(event.timestamp);
    Ok((!view.block(position, date, date)?.0).then_some("its date"))
}

impl Intake for Compared {
    fn events(&mut self, events: &[IndexEntry], has_losses: bool) -> Vec<(StreamId, u64)> {
        if let Some(view) = &self.view {
            let through = self.found.through;
            let covered = events
                .iter()
                .filter(|event| event.position <= through && !self.lost.contains(&event.position));
            for event in covered {
                let wrong = match difference(view, event) {
                    Ok(None) => continue,
                    Ok(Some(wrong)) => wrong,
                    Err(_) => "anything: a file of the index cannot be read",
                };
                let (position, stream) = (event.position, &event.stream);
                self.found.note(format!(
                    "the index does not know {wrong} of the event at position {position} ({stream})"
                ));
            }
        }
        self.heads.events(events, has_losses)
    }

    fn pass_over(&mut self, through: Position) {
        self.heads.pass_over(through);
    }

    fn reach(&mut self, end: &Anchor, facts: &Arc<Facts>, is_whole: bool) {
        self.heads.reach(end, facts, is_whole);
    }
}
