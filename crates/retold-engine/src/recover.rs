//! What an operator decides about a log that is not whole. Nothing is deleted; the decision
//! becomes a part of the log.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use retold_core::{Checkpoint, Error, LogId, Lost, Position};

use crate::disk::{Disk, RealDisk};
use crate::evidence;
use crate::finish::{self, Finished};
use crate::heads::Heads;
use crate::index;
use crate::log::control::{AcceptedDamage, Control, Fork, LostEvent, Place};
use crate::log::frame::Kind;
use crate::log::segment::Head;
use crate::log::tail::{Draft, Growth, Tail, WriteFailure};
use crate::opening::{self, Listed};
use crate::options::Options;
use crate::planted::{self, Bug};
use crate::state::DamagedPlace;

/// What an operator accepts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Remedy {
    /// The newest part of the log is gone for good. The log goes on under a new id, and what
    /// was derived from the lost part, as these places show, is ignored from now on.
    AcceptLoss {
        /// What the operator knows of how it came about.
        reason: String,
        /// [`Options::evidence`]: the newest places of all that is kept beside the log.
        evidence: Vec<Checkpoint>,
    },
    /// Damaged places will not be mended. Lost events are delivered as lost from now on, and
    /// their streams answer `corrupt`.
    AcceptDamage,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The id that the log has now.
    pub log_id: LogId,
    /// The newest position that is left.
    pub head: Position,
    /// The damage that was accepted.
    pub accepted: Vec<DamagedPlace>,
    /// The events that are lost by it, with what is still known of them. A retry of a lost
    /// event whose id is not known would be written again.
    pub lost: Vec<Lost>,
}

/// Applies a remedy to the log in a folder, which no process may have open.
///
/// # Errors
/// [`Error::Busy`] when the folder is in use; [`Error::NotFound`] where there is no log, or
/// nothing that the remedy is for.
pub fn recover(folder: impl AsRef<Path>, remedy: Remedy) -> Result<Recovered, Error> {
    recover_on(Arc::new(RealDisk), folder, remedy)
}

/// The same on another disk.
///
/// # Errors
/// See [`recover`].
pub fn recover_on(
    disk: Arc<dyn Disk>,
    folder: impl AsRef<Path>,
    remedy: Remedy,
) -> Result<Recovered, Error> {
    recover_as(disk, folder.as_ref(), remedy, &Options::default())
}

/// The same by another clock, and under the given id where the log is to have a new one.
pub(crate) fn recover_as(
    disk: Arc<dyn Disk>,
    folder: &Path,
    remedy: Remedy,
    options: &Options,
) -> Result<Recovered, Error> {
    let clock = &options.clock;
    let _lock = opening::lock(&*disk, folder, &options.holder)?;
    let no_log = || Error::NotFound {
        what: "a log in the folder".into(),
    };
    let listed = opening::list(&*disk, folder)?.ok_or_else(no_log)?;
    // A decision rests on what is there: a run that was removed a moment ago must not come back
    // after a power cut, as evidence that nobody looked at.
    index::sync(&*disk, folder).map_err(|error| Error::io("sync the index", error))?;
    let derived = derived_places(&*disk, folder, &listed, &remedy);
    drop(listed);
    let mut heads = Heads::watching(derived);
    let survey = opening::survey(&*disk, folder, &mut heads)?.ok_or_else(no_log)?;
    let has_lost_tail = survey.lost_tail.is_some();
    let damaged: Vec<DamagedPlace> = survey.state.unaccepted().cloned().collect();
    let nothing_to_do = |what: &str| Error::NotFound {
        what: format!("{what} in the log"),
    };
    if matches!(remedy, Remedy::AcceptDamage) && damaged.is_empty() {
        return Err(nothing_to_do("damage"));
    }
    let moved_at = clock.now().as_micros();
    let finished = finish::finish(&*disk, folder, survey, &mut heads, moved_at, true)?;
    let Finished {
        end,
        segment,
        mut state,
        unfinished,
        runs,
        ..
    } = finished;
    if let Some(error) = unfinished {
        return Err(Error::io("make the end of the log durable", error));
    }
    let growth = Growth {
        // A new segment might take the name of one that is missing, and HEAD would name it
        // before the decision is durable: the only sign of a loss would be gone.
        segment_bytes_max: u64::MAX,
        reserve_bytes: options.reserve_bytes,
    };
    let head = state.head.position;
    let write_error = |error| Error::io("write the decision", error);
    let tail = Tail::new(
        Arc::clone(&disk),
        folder.to_owned(),
        growth,
        Arc::clone(&segment),
        end,
    );
    let mut tail = tail.map_err(write_error)?;
    let kind = match &remedy {
        Remedy::AcceptLoss { .. } => Kind::Fork,
        Remedy::AcceptDamage => Kind::Damage,
    };
    let (decisions, lost) = match remedy {
        Remedy::AcceptLoss { reason, evidence } => {
            let id_at = |position| heads.seen(position);
            let is_ahead = |evidence: &[Checkpoint]| {
                evidence::check_evidence(&state.facts, head, evidence, id_at).is_some()
            };
            let ahead: Vec<Checkpoint> = runs
                .into_iter()
                .filter(|run| is_ahead(std::slice::from_ref(run)))
                .collect();
            if !has_lost_tail && ahead.is_empty() && !is_ahead(&evidence) {
                return Err(nothing_to_do("sign of a lost tail"));
            }
            // What fits stays evidence: it tells when this part is lost some day.
            let of_others = evidence.into_iter();
            let of_others = of_others.filter(|place| is_ahead(std::slice::from_ref(place)));
            let ignored = of_others.chain(ahead);
            let fork = Fork {
                log_id: options.log_id.unwrap_or_else(uuid::Uuid::new_v4),
                position: head,
                reason,
                ignored: ignored.map(Into::into).collect(),
            };
            let json = serde_json::to_vec(&fork);
            let facts = Arc::make_mut(&mut state.facts);
            facts.accept(&Control::Fork(fork), head);
            (vec![json], Vec::new())
        }
        Remedy::AcceptDamage => {
            let accepted = AcceptedDamage {
                places: damaged.iter().map(|damage| damage.place).collect(),
                lost: damaged
                    .iter()
                    .flat_map(|damage| heads.lost_events(&state, damage))
                    .collect(),
            };
            let facts = Arc::make_mut(&mut state.facts);
            facts.accept(&Control::Damage(accepted), head);
            // With all that was accepted before: what the frames say that hold it may be lost
            // some day, too.
            let parts = in_parts(facts.lost_runs(), facts.accepted_places().collect());
            let decisions = parts.iter().map(serde_json::to_vec).collect();
            if !has_lost_tail {
                // Made again, the index knows which streams miss an event. While a tail is
                // lost, it is evidence.
                index::remove_all(&*disk, folder).map_err(|error| {
                    Error::io("remove the index, which is to be made again", error)
                })?;
            }
            (decisions, facts.lost.values().cloned().collect())
        }
    };
    let mut drafts = vec![Draft::mark(end.next_position)];
    for json in decisions {
        let json = json.expect("a decision can be written as JSON");
        // Twice: a decision must not be lost with one damaged frame.
        for _ in 0..2 {
            drafts.push(Draft::control(
                kind,
                segment.log_id,
                end.next_position,
                &json,
            ));
        }
    }
    drafts.push(Draft::mark(end.next_position));
    let newest = || Head {
        first_position: segment.first_position,
        log_id: segment.log_id,
    };
    if planted::is(Bug::HeadReplacedFirst) && kind == Kind::Fork {
        newest().write(&*disk, folder).map_err(write_error)?;
    }
    for mut draft in drafts {
        tail.write(&mut draft).map_err(|failure| match failure {
            WriteFailure::Full => Error::Full {
                event_ids: Vec::new(),
            },
            WriteFailure::Failed(error) => write_error(error),
        })?;
    }
    if kind == Kind::Fork {
        // Only now: HEAD may be the only sign of the loss, and must outlive a crash before
        // the decision is durable.
        newest().write(&*disk, folder).map_err(write_error)?;
    }
    Ok(Recovered {
        log_id: state.facts.newest_log_id().unwrap_or(segment.log_id),
        head,
        accepted: if kind == Kind::Damage {
            damaged
        } else {
            Vec::new()
        },
        lost,
    })
}

/// What is accepted, in parts that each fit a frame.
fn in_parts(lost: Vec<LostEvent>, places: Vec<Place>) -> Vec<AcceptedDamage> {
    /// Entries of one part: some hundred bytes each, far from the length of a frame.
    const ENTRIES_MAX: usize = 10_000;
    let places = places.chunks(ENTRIES_MAX).map(|places| AcceptedDamage {
        places: places.to_vec(),
        lost: Vec::new(),
    });
    let lost = lost.chunks(ENTRIES_MAX).map(|lost| AcceptedDamage {
        places: Vec::new(),
        lost: lost.to_vec(),
    });
    // Losses first: a place counts as accepted only together with all that it lost.
    lost.chain(places).collect()
}

/// The positions of everything that is derived from the log.
fn derived_places(
    disk: &dyn Disk,
    folder: &Path,
    listed: &Listed,
    remedy: &Remedy,
) -> BTreeSet<Position> {
    let known = index::load(disk, folder, listed.files[0].log_id());
    let runs = known.candidates.iter().map(|run| run.header.last());
    let evidence = match remedy {
        Remedy::AcceptLoss { evidence, .. } => evidence.as_slice(),
        Remedy::AcceptDamage => &[],
    };
    let places = evidence.iter().map(|checkpoint| checkpoint.position);
    runs.chain(places).collect()
}
