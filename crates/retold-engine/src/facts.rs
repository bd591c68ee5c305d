//! What a log says of itself besides its events: its ids, what was accepted as lost, a
//! restore. Every run keeps it as it was at its end, so that a log can be read on from there.

use std::collections::BTreeMap;

use retold_core::{Era, LogId, Lost, Position, SequenceNumber, StreamId};
use serde::{Deserialize, Serialize};

use crate::index::Anchor;
use crate::log::control::{AcceptedDamage, Control, Fork, KnownPlace, LostEvent, Place};
use crate::opening::MISSING_EVENTS_MAX;
use crate::probe::{self, Probe};
use crate::state::DamagedPlace;

/// A restore, from its first event on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Restore {
    pub(crate) origin: LogId,
    pub(crate) is_done: bool,
}

/// What the log says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    pub(crate) eras: Vec<Era>,
    /// Lost events that an operator has accepted.
    pub(crate) lost: BTreeMap<Position, Lost>,
    /// Damaged places that an operator has accepted, by segment and offset, with their ends.
    accepted_places: BTreeMap<(Position, u64), Option<u64>>,
    /// Places of lost tails that an operator has accepted.
    pub(crate) ignored: Vec<KnownPlace>,
    /// The restore that the log began with, if it began with one.
    pub(crate) restore: Option<Restore>,
    /// Streams of which an event is missing, with the first sequence number that is.
    pub(crate) holes: BTreeMap<StreamId, SequenceNumber>,
}

/// Facts as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    eras: Vec<(LogId, Position)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lost: Vec<LostEvent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    accepted: Vec<Place>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignored: Vec<KnownPlace>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restore: Option<Restore>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    holes: Vec<(String, String, SequenceNumber)>,
}

impl Facts {
    /// Of a log that says nothing yet.
    pub(crate) fn new(log_id: LogId) -> Facts {
        Facts {
            eras: vec![Era { log_id, from: 1 }],
            ..Facts::default()
        }
    }

    /// The newest id of the log.
    pub(crate) fn newest_log_id(&self) -> Option<LogId> {
        self.eras.last().map(|era| era.log_id)
    }

    /// Takes in a decision about the log, which stands behind the event at `head`. Taking one
    /// in again changes nothing: decisions are written twice.
    pub(crate) fn accept(&mut self, control: &Control, head: Position) {
        match control {
            Control::Silent => {}
            Control::Fork(fork) => self.accept_fork(fork),
            Control::Damage(accepted) => {
                self.accept_damage(accepted, head);
                // What is lost cannot be compared with what a restore tells again: one that is
                // not finished, or whose end is lost, is over.
                if let Some(restore) = &mut self.restore {
                    restore.is_done = true;
                }
            }
            // An append that was quicker makes it void.
            Control::RestoreBegun(_) if head > 0 => {}
            Control::RestoreBegun(begun) => {
                self.restore = Some(Restore {
                    origin: begun.origin,
                    is_done: false,
                });
            }
            Control::RestoreDone => {
                if let Some(restore) = &mut self.restore {
                    restore.is_done = true;
                }
            }
        }
    }

    fn accept_fork(&mut self, fork: &Fork) {
        if self.eras.iter().any(|era| era.log_id == fork.log_id) {
            return;
        }
        probe::hit(Probe::Forked);
        self.eras.push(Era {
            log_id: fork.log_id,
            from: fork.position + 1,
        });
        self.ignored.extend(&fork.ignored);
    }

    fn accept_damage(&mut self, accepted: &AcceptedDamage, head: Position) {
        probe::hit(Probe::DamageAccepted);
        for place in &accepted.places {
            let end = self.accepted_places.entry((place.segment, place.offset));
            let end = end.or_insert(place.end);
            *end = end.zip(place.end).map(|(one, other)| one.max(other));
        }
        for run in &accepted.lost {
            // A run is believed only as far as the log goes.
            for position in run.first..=run.last.min(head) {
                let lost = run.at(position);
                let kept = self.lost.entry(position).or_insert_with(|| lost.clone());
                // What is accepted again may say less than the first time.
                if kept.event_id.is_none() {
                    *kept = lost;
                }
            }
        }
    }

    /// What an operator has accepted as damaged, as if the log had said so from its beginning.
    pub(crate) fn only_accepted(&self, log_id: LogId) -> Facts {
        Facts {
            lost: self.lost.clone(),
            accepted_places: self.accepted_places.clone(),
            ..Facts::new(log_id)
        }
    }

    /// Forgets what was accepted of what lies behind a place of the log.
    pub(crate) fn forget_behind(&mut self, end: &Anchor) {
        self.lost.split_off(&end.next_position);
        self.accepted_places.split_off(&(end.segment, end.offset));
    }

    /// Whether the log has damage that was accepted.
    pub(crate) fn has_damage(&self) -> bool {
        !self.lost.is_empty() || !self.accepted_places.is_empty()
    }

    /// Whether an operator has accepted a place and all that it lost.
    pub(crate) fn is_accepted(&self, damage: &DamagedPlace) -> bool {
        let Place {
            segment,
            offset,
            end,
        } = damage.place;
        let accepted = self.accepted_places.get(&(segment, offset));
        let is_within = accepted.is_some_and(|accepted| accepted.is_none() || end <= *accepted);
        let are_accepted = |(first, last): &(Position, Position)| {
            let known = self.lost.range(first..=last).count() as u64;
            known == last - first + 1
        };
        is_within && damage.lost.iter().all(are_accepted)
    }

    /// How much an operator has accepted: lost events, and places.
    pub(crate) fn accepted(&self) -> (usize, usize) {
        (self.lost.len(), self.accepted_places.len())
    }

    /// The same, of what lies before a place of the log.
    pub(crate) fn accepted_before(&self, end: &Anchor) -> (usize, usize) {
        let lost = self.lost.range(..end.next_position).count();
        let places = self.accepted_places.range(..(end.segment, end.offset));
        (lost, places.count())
    }

    /// Whether an operator has accepted that the segment at `next` does not follow the one at
    /// `before`: that its header is damaged, or that others are missing in between.
    pub(crate) fn has_accepted_between(&self, before: Position, next: Position) -> bool {
        let mut places = self.accepted_places.range((before, 1)..=(next, 0));
        places.next().is_some()
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let kept = Kept {
            eras: self.eras.iter().map(|era| (era.log_id, era.from)).collect(),
            lost: self.lost_runs(),
            accepted: self.accepted_places().collect(),
            ignored: self.ignored.clone(),
            restore: self.restore,
            holes: self
                .holes
                .iter()
                .map(|(stream, hole)| {
                    let (kind, id) = (stream.aggregate_type(), stream.aggregate_id());
                    (kind.to_string(), id.to_string(), *hole)
                })
                .collect(),
        };
        serde_json::to_vec(&kept).expect("facts can be written as JSON")
    }

    /// None where the bytes are no facts.
    pub(crate) fn from_json(bytes: &[u8]) -> Option<Facts> {
        let kept: Kept = serde_json::from_slice(bytes).ok()?;
        // A forged run must claim neither time nor memory.
        let mut lost = kept.lost.iter().map(|run| run.last.checked_sub(run.first));
        let lost = lost.try_fold(0_u64, |sum, more| sum.checked_add(more?));
        if lost.is_none_or(|lost| lost > MISSING_EVENTS_MAX) {
            return None;
        }
        let eras = kept.eras.iter();
        let mut facts = Facts {
            eras: eras
                .map(|(log_id, from)| Era {
                    log_id: *log_id,
                    from: *from,
                })
                .collect(),
            ignored: kept.ignored,
            restore: kept.restore,
            ..Facts::default()
        };
        let accepted = AcceptedDamage {
            places: kept.accepted,
            lost: kept.lost,
        };
        facts.accept_damage(&accepted, Position::MAX);
        for (kind, id, hole) in kept.holes {
            facts.holes.insert(StreamId::new(kind, id).ok()?, hole);
        }
        Some(facts)
    }

    /// The damaged places that an operator has accepted.
    pub(crate) fn accepted_places(&self) -> impl Iterator<Item = Place> {
        let places = self.accepted_places.iter();
        places.map(|((segment, offset), end)| Place {
            segment: *segment,
            offset: *offset,
            end: *end,
        })
    }

    /// The lost events, neighbours of which nothing else is known as one.
    pub(crate) fn lost_runs(&self) -> Vec<LostEvent> {
        let mut runs: Vec<LostEvent> = Vec::new();
        for lost in self.lost.values() {
            let next = LostEvent::from_lost(lost);
            match runs.last_mut() {
                Some(last)
                    if last.is_anonymous()
                        && next.is_anonymous()
                        && last.last + 1 == next.first =>
                {
                    last.last = next.last;
                }
                _ => runs.push(next),
            }
        }
        runs
    }
}
