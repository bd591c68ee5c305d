//! What was derived from the log may show that the log has lost its newest part.

use retold_core::{Checkpoint, Damage, Error, EventId, LogId, Position};

use crate::facts::Facts;
use crate::index::Known;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};

/// What to do about a lost tail, for error messages.
const LOSS_ADVICE: &str = "appends are refused until the missing part is restored from a backup, \
     or its loss accepted: `retold recover` explains; in a program of your own it is \
     retold_engine::recover(folder, Remedy::AcceptLoss)";

/// Whether something derived from this log, or from another one, is ahead of it.
pub(crate) fn check_evidence(
    facts: &Facts,
    head: Position,
    evidence: &[Checkpoint],
    event_id_at: impl Fn(Position) -> Option<EventId>,
) -> Option<Damage> {
    for checkpoint in evidence {
        let era_end = era_end(facts, head, checkpoint.log_id);
        // Of a log that is not this one, nothing counts any more.
        let is_ignored = facts.ignored.iter().any(|known| {
            known.log_id == checkpoint.log_id
                && (known.position >= checkpoint.position || era_end.is_none())
        });
        if is_ignored || checkpoint.position == 0 || planted::is(Bug::EvidenceIgnored) {
            continue;
        }
        let reason = match era_end {
            None => Some(format!(
                "state was derived from another log ({})",
                checkpoint.log_id
            )),
            Some(end) if checkpoint.position > end => {
                probe::hit(Probe::EvidenceAhead);
                Some(format!(
                    "state was derived from position {}, but the log ends at {end}: its newest part is \
                     missing, or an older copy was put in its place",
                    checkpoint.position
                ))
            }
            Some(_) => {
                let found = event_id_at(checkpoint.position);
                let differs = found.is_some_and(|found| found != checkpoint.event_id);
                differs.then(|| {
                    probe::hit(Probe::EvidenceOfOtherHistory);
                    "state was derived from another history of this log".to_owned()
                })
            }
        };
        if let Some(reason) = reason {
            return Some(Damage {
                position: Some(checkpoint.position),
                reason,
                ..Damage::default()
            });
        }
    }
    None
}

/// The ends of the runs that the log does not lead to by itself, as evidence. Left out are
/// those of an earlier era that end behind it: that the rest of that era is lost was accepted.
pub(crate) fn of_runs(facts: &Facts, known: &Known) -> Vec<Checkpoint> {
    let headers = known.candidates.iter().map(|candidate| &candidate.header);
    let checkpoints = headers.map(|header| Checkpoint {
        log_id: header.era,
        position: header.last(),
        event_id: header.last_event_id,
    });
    let is_open = |checkpoint: &Checkpoint| {
        let end = era_end(facts, Position::MAX, checkpoint.log_id);
        end.is_none_or(|end| checkpoint.position <= end)
    };
    checkpoints.filter(is_open).collect()
}

/// Whether one of these is ahead of the log, however its events are.
pub(crate) fn check_ahead(
    facts: &Facts,
    head: Position,
    evidence: &[Checkpoint],
) -> Option<Damage> {
    check_evidence(facts, head, evidence, |_| None)
}

/// The last position that belongs to a log id; none where the log never had it.
fn era_end(facts: &Facts, head: Position, log_id: LogId) -> Option<Position> {
    let at = facts.eras.iter().position(|era| era.log_id == log_id)?;
    match facts.eras.get(at + 1) {
        Some(next) => Some(next.from - 1),
        None => Some(head),
    }
}

/// The error that refuses appends because of a lost tail.
pub(crate) fn lost_tail_error(damage: Damage) -> Error {
    Error::corrupt(damage, LOSS_ADVICE)
}
