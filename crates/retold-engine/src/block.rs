//! Stretches of the log as they were read, each record checked.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

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
    bytes: Vec<u8>,
    entries: Vec<Kept>,
    buffers: Arc<Buffers>,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.buffers.give_back(std::mem::take(&mut self.bytes));
    }
}

/// Buffers of blocks that are not needed any more, for the next ones: the system takes longer to
/// hand memory out than to fill it.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

/// Buffers that are kept: what one who goes through the log has in use.
const BUFFERS_MAX: usize = 4;

/// Bytes of a buffer that is kept at most.
const BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;

impl Buffers {
    fn take(&self) -> Vec<u8> {
        self.kept().pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.kept();
        if kept.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
            kept.push(buffer);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let locations = self.ask(|view| view.stretch(after + 1, last))?;
        let segments = self.segments();
        let located = self.located(&segments, &positions, locations);
        let buffers = self.buffers();
        let mut block = Block {
            first: after + 1,
            bytes: buffers.take(),
            entries: Vec::with_capacity(positions.len()),
            buffers,
        };
        let mut batch = Batch::fetch_into(&segments, &located, 0, &mut block.bytes);
        for (nth, found) in located[..batch.end].iter().enumerate() {
            let kept = match found.location {
                Some(location) => batch.place(nth, location).and_then(|place| {
                    let record = &block.bytes[place.clone()];
                    let checked = record::check(record, self.log_id(), found.position);
                    checked.map_err(Missing::Faulty)?;
                    // A batch is far shorter than 4 GiB.
                    Ok(Kept::Record(place.start as u32..place.end as u32))
                }),
                None => Err(Missing::Unread(std::io::ErrorKind::NotFound.into())),
            };
            let missing = match kept {
                Ok(kept) => {
                    block.entries.push(kept);
                    continue;
                }
                Err(missing) => missing,
            };
            if let Some(lost) = self.lost().get(&found.position) {
                block.entries.push(Kept::Lost(Box::new(lost.clone())));
            } else if nth > 0 {
                break;
            } else {
                return Err(match found.location {
                    Some(location) => corrupt(&segments, found, location, &missing),
                    None => self.unreadable(found.position),
                });
            }
        }
        Ok(block)
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

    fn bytes(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Kept>()
    }
}
