//! Stretches of the log as they were read, each record checked.

use std::ops::Range;

use bytes::Bytes;
use retold_core::{Damage, EntryRef, Error, LogBlock, LogQuery, Lost, Position};

use crate::fetch::{Batch, Missing};
use crate::log::record;
use crate::state::RECORD_ADVICE;
use crate::visible::{Visible, corrupt};

/// Positions that a block covers at most: about as many as one fetch reads.
const POSITIONS: u64 = 2_048;

/// A stretch of the log.
#[derive(Debug)]
pub(crate) struct Block {
    /// The position of the first entry.
    first: Position,
    bytes: Bytes,
    entries: Vec<Kept>,
}

/// What a block keeps of an entry.
#[derive(Debug)]
enum Kept {
    /// Where its record lies.
    Record(Range<u32>),
    Lost(Box<Lost>),
}

impl Visible {
    /// The next stretch behind a position. What is damaged ends it, and fails the one behind.
    pub(crate) fn read_block(&self, after: Position, through: Position) -> Result<Block, Error> {
        let head = self.head().position;
        LogQuery::after(after).check(head)?;
        let last = through.min(head);
        let last = last.min(after.saturating_add(POSITIONS));
        let positions: Vec<Position> = (after + 1..=last).collect();
        let mut entries = Vec::with_capacity(positions.len());
        let locations = self.ask(|view| view.locations(&positions))?;
        let segments = self.segments();
        let located = self.located(&segments, &positions, locations);
        let mut batch = Batch::fetch(&segments, &located, 0);
        for (nth, found) in located[..batch.end].iter().enumerate() {
            let kept = match found.location {
                Some(location) => batch.place(nth, location).and_then(|place| {
                    let record = &batch.bytes()[place.clone()];
                    let checked = record::check(record, self.log_id(), found.position);
                    checked.map_err(Missing::Faulty)?;
                    // A batch is far shorter than 4 GiB.
                    Ok(Kept::Record(place.start as u32..place.end as u32))
                }),
                None => Err(Missing::Unread(std::io::ErrorKind::NotFound.into())),
            };
            let missing = match kept {
                Ok(kept) => {
                    entries.push(kept);
                    continue;
                }
                Err(missing) => missing,
            };
            if let Some(lost) = self.lost().get(&found.position) {
                entries.push(Kept::Lost(Box::new(lost.clone())));
            } else if nth > 0 {
                break;
            } else {
                return Err(match found.location {
                    Some(location) => corrupt(&segments, found, location, &missing),
                    None => self.unreadable(found.position),
                });
            }
        }
        Ok(Block {
            first: after + 1,
            bytes: batch.bytes().clone(),
            entries,
        })
    }
}

impl LogBlock for Block {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, nth: usize) -> Result<EntryRef<'_>, Error> {
        let position = self.first + nth as Position;
        let place = match &self.entries[nth] {
            Kept::Lost(lost) => return Ok(EntryRef::Lost(lost)),
            Kept::Record(place) => place,
        };
        let record = &self.bytes[place.start as usize..place.end as usize];
        let event = record::read_checked(record, position).map(EntryRef::Event);
        event.ok_or_else(|| {
            let damage = Damage {
                position: Some(position),
                reason: record::RecordFault::Unknown.reason().to_owned(),
                ..Damage::default()
            };
            Error::corrupt(damage, RECORD_ADVICE)
        })
    }

    fn complete_through(&self) -> Position {
        self.first - 1 + self.entries.len() as Position
    }
}
