//! What the log says, taken in piece by piece: its events, which an intake receives; its
//! facts; and what was found damaged.

use std::sync::Arc;

use retold_core::{
    Damage, Error, LogHead, LogId, Lost, Position, SequenceNumber, StreamId, Timestamp,
};

use crate::index::{Anchor, IndexEntry};
use crate::log::control::{Control, Place};
use crate::log::scan::{Frame, Gap, Piece};
use crate::log::segment;

pub(crate) use crate::facts::{Facts, Restore};

/// What to do about damage, for error messages.
pub(crate) const DAMAGE_ADVICE: &str = "appends are refused until the damage is mended from a \
     backup or accepted: `retold recover` explains; in a program of your own it is \
     retold_engine::recover(folder, Remedy::AcceptDamage)";

/// What to do about a single damaged record in a log that is open.
pub(crate) const RECORD_ADVICE: &str = "run `retold verify`, or retold_engine::verify, on the folder \
     to see all of the damage, and restore the file from a backup";

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

/// What the log says.
pub(crate) struct LogState {
    pub(crate) facts: Arc<Facts>,
    pub(crate) damage: Vec<DamagedPlace>,
    pub(crate) head: LogHead,
    pub(crate) frames: u64,
    /// The log was damaged before what is read next: sequence numbers may have holes.
    pub(crate) has_losses: bool,
}

/// Takes in the events of a log, in order.
pub(crate) trait Intake {
    /// Takes in events. Positions that were passed over are lost. Returns the streams of which
    /// an event is missing before these, with its sequence number; `has_losses` says that
    /// there may be such.
    fn events(&mut self, events: &[IndexEntry], has_losses: bool) -> Vec<(StreamId, u64)>;

    /// Notes that all positions up to this one that are not known are lost.
    fn pass_over(&mut self, through: Position);

    /// Notes a place behind a frame, and what the log said up to there; `is_whole` says that
    /// nothing is wrong with it that nobody has accepted.
    fn reach(&mut self, _end: &Anchor, _facts: &Arc<Facts>, _is_whole: bool) {}
}

impl LogState {
    pub(crate) fn new(log_id: LogId) -> LogState {
        LogState::after(Arc::new(Facts::new(log_id)))
    }

    /// Goes on behind a place up to which the log said this.
    pub(crate) fn after(facts: Arc<Facts>) -> LogState {
        LogState {
            has_losses: facts.has_damage(),
            facts,
            damage: Vec::new(),
            head: LogHead {
                position: 0,
                persisted_at: Timestamp::MIN,
            },
            frames: 0,
        }
    }

    /// Takes in a piece of a segment.
    pub(crate) fn accept(&mut self, segment: Position, piece: Piece, intake: &mut dyn Intake) {
        match piece {
            Piece::Frame(frame) => self.accept_frame(segment, frame, intake),
            Piece::Gap(gap) => self.accept_gap(segment, gap, intake),
        }
    }

    fn accept_frame(&mut self, segment: Position, frame: Frame, intake: &mut dyn Intake) {
        self.frames += 1;
        self.accept_events(&frame.events, intake);
        if !matches!(frame.control, Control::Silent) {
            let position = self.head.position;
            Arc::make_mut(&mut self.facts).accept(&frame.control, position);
            self.has_losses |= self.facts.has_damage();
        }
        let end = Anchor::behind(segment, &frame);
        let is_whole = self.unaccepted().next().is_none();
        intake.reach(&end, &self.facts, is_whole);
    }

    fn accept_events(&mut self, events: &[IndexEntry], intake: &mut dyn Intake) {
        let Some(last) = events.last() else {
            return;
        };
        let dates = events.iter().map(|event| event.persisted_at);
        self.head = LogHead {
            position: last.position,
            persisted_at: dates.fold(self.head.persisted_at, Timestamp::max),
        };
        let incomplete = intake.events(events, self.has_losses);
        if !incomplete.is_empty() {
            let facts = Arc::make_mut(&mut self.facts);
            for (stream, missing) in incomplete {
                let hole = facts.holes.entry(stream.detached()).or_insert(missing);
                *hole = missing.min(*hole);
            }
        }
    }

    fn accept_gap(&mut self, segment: Position, gap: Gap, intake: &mut dyn Intake) {
        // Salvaged and lost positions of a gap may alternate, each in order.
        self.has_losses = true;
        self.accept_events(&gap.salvaged, intake);
        let damage = DamagedPlace {
            file: format!("log/{}", segment::file_name(segment)),
            offset: gap.offset,
            reason: gap.reason.to_owned(),
            known: gap.hints,
            lost: gap.lost,
            place: Place {
                segment,
                offset: gap.offset,
                end: Some(gap.end),
            },
        };
        self.note_damage(damage, intake);
    }

    /// Notes damage; what it lost is passed over.
    pub(crate) fn note_damage(&mut self, damage: DamagedPlace, intake: &mut dyn Intake) {
        // Behind it the log may be that of another history.
        self.has_losses = true;
        if let Some(last) = damage.lost.iter().map(|(_, last)| *last).max() {
            self.head.position = self.head.position.max(last);
            intake.pass_over(last);
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
        self.facts.is_accepted(damage)
    }
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
