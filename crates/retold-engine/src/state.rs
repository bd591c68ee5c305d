//! What the log says, taken in piece by piece: the index, the log's eras, what was found
//! damaged and what of that an operator has accepted.

use std::collections::{BTreeMap, HashSet};

use retold_core::{Damage, Era, Error, LogId, Lost, Position, SequenceNumber, StreamId};

use crate::index::Index;
use crate::log::control::{AcceptedDamage, Control, Fork, KnownPlace, LostEvent, Place};
use crate::log::scan::{Frame, Gap, Piece};
use crate::log::segment;
use crate::probe::{self, Probe};

/// What to do about damage, for error messages.
pub(crate) const DAMAGE_ADVICE: &str = "appends are refused until the damage is mended from a \
     backup or accepted with retold_engine::recover(folder, Remedy::AcceptDamage)";

/// What to do about a single damaged record in a log that is open.
pub(crate) const RECORD_ADVICE: &str = "run retold_engine::verify on the folder to see all of \
     the damage, and restore the file from a backup";

/// A stretch of the log that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedPlace {
    /// The file, within the store's folder.
    pub file: String,
    /// Where in the file it begins.
    pub offset: u64,
    /// What does not fit.
    pub reason: String,
    /// The positions that are lost by it, as runs from first to last.
    pub lost: Vec<(Position, Position)>,
    /// What is still known of lost events. Not certain: it comes from damaged bytes.
    pub known: Vec<Lost>,
    pub(crate) place: Place,
}

/// A restore, from its first event on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restore {
    pub(crate) origin: LogId,
    pub(crate) is_done: bool,
}

/// What the log says.
pub(crate) struct LogState {
    pub(crate) index: Index,
    pub(crate) eras: Vec<Era>,
    pub(crate) damage: Vec<DamagedPlace>,
    /// Lost events that an operator has accepted.
    pub(crate) lost: BTreeMap<Position, Lost>,
    accepted_places: HashSet<(Position, u64)>,
    /// Places of lost tails that an operator has accepted.
    pub(crate) ignored: Vec<KnownPlace>,
    /// The restore that the log began with, if it began with one.
    pub(crate) restore: Option<Restore>,
    pub(crate) frames: u64,
}

impl LogState {
    pub(crate) fn new(log_id: LogId) -> LogState {
        LogState {
            index: Index::default(),
            eras: vec![Era { log_id, from: 1 }],
            damage: Vec::new(),
            lost: BTreeMap::new(),
            accepted_places: HashSet::new(),
            ignored: Vec::new(),
            restore: None,
            frames: 0,
        }
    }

    /// Takes in a piece of a segment.
    pub(crate) fn accept(&mut self, segment: Position, piece: Piece) {
        match piece {
            Piece::Frame(frame) => self.accept_frame(frame),
            Piece::Gap(gap) => self.accept_gap(segment, gap),
        }
    }

    fn accept_frame(&mut self, frame: Frame) {
        self.frames += 1;
        for event in frame.events {
            self.index.insert(event);
        }
        match frame.control {
            Control::Silent => {}
            Control::Fork(fork) => self.accept_fork(fork),
            Control::Damage(accepted) => self.accept_damage(accepted),
            // An append that was quicker makes it void.
            Control::RestoreBegun(_) if self.index.head().position > 0 => {}
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

    pub(crate) fn accept_fork(&mut self, fork: Fork) {
        // Decisions are written twice.
        if self.eras.iter().any(|era| era.log_id == fork.log_id) {
            return;
        }
        probe::hit(Probe::Forked);
        self.eras.push(Era {
            log_id: fork.log_id,
            from: fork.position + 1,
        });
        self.ignored.extend(fork.ignored);
    }

    pub(crate) fn accept_damage(&mut self, accepted: AcceptedDamage) {
        probe::hit(Probe::DamageAccepted);
        let places = accepted.places.iter();
        self.accepted_places
            .extend(places.map(|place| (place.segment, place.offset)));
        for run in &accepted.lost {
            // A run is believed only as far as the log goes.
            for position in run.first..=run.last.min(self.index.head().position) {
                let lost = run.at(position);
                let kept = self.lost.entry(position).or_insert_with(|| lost.clone());
                // What is accepted again may say less than the first time.
                if kept.event_id.is_none() {
                    *kept = lost;
                }
            }
            if let (Some(stream), Some(sequence_number)) = (stream_of(run), run.sequence_number) {
                self.index.lose(&stream, sequence_number, run.first);
            }
        }
    }

    fn accept_gap(&mut self, segment: Position, gap: Gap) {
        // Salvaged and lost positions of a gap may alternate, each in order.
        let last_lost = gap.lost.iter().map(|(_, last)| *last).max();
        for event in gap.salvaged {
            self.index.insert(event);
        }
        self.index.pass_over(last_lost.unwrap_or(0));
        self.note_damage(DamagedPlace {
            file: format!("log/{}", segment::file_name(segment)),
            offset: gap.offset,
            reason: gap.reason.to_owned(),
            known: gap.hints,
            lost: gap.lost,
            place: Place {
                segment,
                offset: gap.offset,
            },
        });
    }

    /// Notes damage; what it lost is passed over.
    pub(crate) fn note_damage(&mut self, damage: DamagedPlace) {
        if let Some((_, last)) = damage.lost.last() {
            self.index.pass_over(*last);
        }
        self.damage.push(damage);
    }

    /// The damage that no operator has accepted.
    pub(crate) fn unaccepted(&self) -> impl Iterator<Item = &DamagedPlace> {
        self.damage
            .iter()
            .filter(|damage| !self.is_accepted(damage))
    }

    pub(crate) fn is_accepted(&self, damage: &DamagedPlace) -> bool {
        let place = (damage.place.segment, damage.place.offset);
        let are_accepted = |(first, last): &(Position, Position)| {
            let known = self.lost.range(first..=last).count() as u64;
            known == last - first + 1
        };
        self.accepted_places.contains(&place) && damage.lost.iter().all(are_accepted)
    }

    /// What is known of the events that `damage` lost: where a stream misses exactly the
    /// event that a damaged record still names, the name is believed.
    pub(crate) fn lost_events(&self, damage: &DamagedPlace) -> Vec<LostEvent> {
        let mut events = Vec::new();
        for (first, last) in &damage.lost {
            let known = damage.known.iter().find(|lost| lost.position == *first);
            match known {
                Some(lost) if first == last && self.is_plausible(lost) => {
                    events.push(LostEvent::from_lost(lost));
                }
                _ => events.push(LostEvent {
                    first: *first,
                    last: *last,
                    aggregate_type: None,
                    aggregate_id: None,
                    sequence_number: None,
                    event_id: None,
                }),
            }
        }
        events
    }

    fn is_plausible(&self, lost: &Lost) -> bool {
        let (Some(stream), Some(sequence_number)) = (&lost.stream, lost.sequence_number) else {
            return false;
        };
        match self.index.stream(stream) {
            Some(info) => {
                info.hole == Some(sequence_number)
                    || info.head.sequence_number + 1 == sequence_number
            }
            None => sequence_number == 1,
        }
    }
}

fn stream_of(lost: &LostEvent) -> Option<StreamId> {
    lost.at(lost.first).stream
}

impl DamagedPlace {
    /// The error that refuses appends because of this damage.
    pub(crate) fn to_error(&self) -> Error {
        let damage = Damage {
            position: self.lost.first().map(|(first, _)| *first),
            stream: None,
            place: Some(format!("{} at byte {}", self.file, self.offset)),
            reason: self.reason.clone(),
        };
        Error::corrupt(damage, DAMAGE_ADVICE)
    }
}

/// The error about a stream of which an event is missing.
pub(crate) fn damaged_stream(stream: &StreamId, sequence: SequenceNumber) -> Error {
    Error::corrupt(
        Damage {
            position: None,
            stream: Some(stream.clone()),
            place: None,
            reason: format!("event {sequence} of the stream is lost to damage"),
        },
        RECORD_ADVICE,
    )
}
