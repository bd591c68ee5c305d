//! Reads a whole log and says what is wrong with it. Changes nothing, takes no lock.

use std::collections::BTreeSet;
use std::path::Path;

use retold_core::{Damage, Error, LogId, Position, SequenceNumber, StreamId};

use crate::disk::{Disk, RealDisk};
use crate::heads::Heads;
use crate::index::Losses;
use crate::log::scan::Piece;
use crate::opening::{self, Survey};
use crate::state::DamagedPlace;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The newest id of the log.
    pub log_id: LogId,
    /// The newest position that is certain, also where nothing was written by a crash since.
    pub head: Position,
    /// Files of the log.
    pub segments: usize,
    /// Frames that are as they were written.
    pub frames: u64,
    /// Stretches that are not, and that no operator has accepted.
    pub damage: Vec<DamagedPlace>,
    /// Stretches that an operator has accepted.
    pub accepted: Vec<DamagedPlace>,
    /// The end of the log is missing.
    pub lost_tail: Option<Damage>,
    /// Streams of which an event is missing, with the first missing sequence number.
    pub incomplete_streams: Vec<(StreamId, SequenceNumber)>,
    /// Bytes at the end of the log that a crash left unfinished; opening moves them aside.
    pub unfinished_bytes: u64,
}

impl Verified {
    /// Whether every event that was ever acknowledged is there, as it was written.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty()
            && self.accepted.is_empty()
            && self.lost_tail.is_none()
            && self.incomplete_streams.is_empty()
    }
}

/// Verifies the log in a folder: every frame, record, chain link and sequence number.
///
/// # Errors
/// [`Error::NotFound`] where there is no log, [`Error::Io`] where it cannot be read. What is
/// wrong with the log is not an error, but the answer.
pub fn verify(folder: impl AsRef<Path>) -> Result<Verified, Error> {
    verify_on(&RealDisk, folder)
}

/// The same on another disk.
///
/// # Errors
/// See [`verify`].
pub fn verify_on(disk: &dyn Disk, folder: impl AsRef<Path>) -> Result<Verified, Error> {
    let (survey, heads) = opening::beside_writer(|| {
        let mut heads = Heads::watching(BTreeSet::new());
        let survey = opening::survey(disk, folder.as_ref(), &mut heads)?;
        Ok(survey.map(|survey| (survey, heads)))
    })?;
    describe(survey, heads)
}

fn describe(survey: Survey, mut heads: Heads) -> Result<Verified, Error> {
    let Survey {
        segments,
        mut state,
        mut last,
        lost_tail,
        ..
    } = survey;
    let newest = segments.last().map_or(0, |segment| segment.first_position);
    let unfinished_from = last.offset();
    let read = |error| Error::io("read the log", error);
    let mut unfinished_bytes = last.bytes_from(unfinished_from).map_err(read)?;
    // Whole frames that nothing vouches for yet belong to the log all the same.
    let mut is_whole = true;
    for piece in last.into_held() {
        is_whole &= matches!(piece, Piece::Frame(_));
        match is_whole {
            true => state.accept(newest, piece, &mut heads),
            false => unfinished_bytes += piece.end() - piece.offset(),
        }
    }
    let (accepted, damage) = state
        .damage
        .iter()
        .cloned()
        .partition(|damage| state.is_accepted(damage));
    let incomplete = Losses::new(&state.facts).holes;
    Ok(Verified {
        log_id: state.facts.newest_log_id().unwrap_or(LogId::nil()),
        head: state.head.position,
        segments: segments.len(),
        frames: state.frames,
        damage,
        accepted,
        lost_tail,
        incomplete_streams: incomplete.into_iter().collect(),
        unfinished_bytes,
    })
}
