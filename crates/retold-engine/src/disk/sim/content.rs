//! What a file holds: as running processes see it, as stable storage has it, and the changes
//! that lie between the two. What a power cut makes of these is decided here.

use std::ops::Range;

use super::dice::Dice;
use super::faults::{Counters, Fault};

/// What a disk writes as a whole: a cut tears a write between two of these, if nothing worse.
const SECTOR_BYTES: usize = 512;

#[derive(Default)]
pub(super) struct Content {
    /// What processes see.
    pub(super) written: Vec<u8>,
    /// What is on stable storage.
    pub(super) durable: Vec<u8>,
    /// What was changed since the last sync, oldest first.
    pending: Vec<Change>,
    /// A sync failed, or lied: processes see what stable storage will never get by itself.
    is_deceptive: bool,
    /// Stretches that cannot be read.
    pub(super) bad_sectors: Vec<Range<u64>>,
}

pub(super) enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write(offset, bytes) => put(content, *offset, bytes),
            Change::Length(length) => content.resize(*length, 0),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// How a power cut treats the unsynced changes of a file.
#[derive(Clone, Copy)]
enum Cut {
    /// All are lost.
    Drop,
    /// All had reached the disk.
    Keep,
    /// They reached the disk in order, up to the midst of one.
    Ordered,
    /// Each was kept, lost or torn by itself, later ones too when earlier ones are lost.
    Reordered,
}

impl Content {
    /// A file that holds `bytes` for certain.
    pub(super) fn of(bytes: Vec<u8>) -> Content {
        Content {
            durable: bytes.clone(),
            written: bytes,
            ..Content::default()
        }
    }

    /// Replaces everything, also on stable storage.
    pub(super) fn replace(&mut self, bytes: Vec<u8>) {
        self.pending.clear();
        self.is_deceptive = false;
        self.written.clone_from(&bytes);
        self.durable = bytes;
    }

    pub(super) fn change(&mut self, change: Change) {
        match &change {
            // A disk puts another sector in the place of a bad one that is written.
            Change::Write(offset, bytes) => {
                let (from, end) = (*offset as u64, (offset + bytes.len()) as u64);
                self.bad_sectors
                    .retain(|bad| bad.end <= from || end <= bad.start);
            }
            Change::Length(length) => self.bad_sectors.retain(|bad| bad.start < *length as u64),
        }
        change.apply(&mut self.written);
        self.pending.push(change);
    }

    /// Puts all changes on stable storage.
    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Says that it does, but one write never gets there. False where there is none to lose.
    pub(super) fn sync_with_a_lie(&mut self, dice: &mut Dice) -> bool {
        let is_write = |change: &&Change| matches!(change, Change::Write(..));
        let writes = self.pending.iter().filter(is_write).count();
        let mut left = match writes {
            0 => usize::MAX,
            _ => dice.index(writes),
        };
        for change in self.pending.drain(..) {
            if matches!(change, Change::Write(..)) {
                if left == 0 {
                    left = usize::MAX;
                    continue;
                }
                left = left.wrapping_sub(1);
            }
            change.apply(&mut self.durable);
        }
        self.is_deceptive |= writes > 0;
        writes > 0
    }

    /// A sync that fails. Most systems take the changes for written from then on, whatever
    /// reached the disk (Rebello et al., USENIX ATC 2020); some will try again.
    pub(super) fn fail_sync(&mut self, dice: &mut Dice) {
        match dice.below(4) {
            0 => {}
            1 => {
                for change in self.pending.drain(..) {
                    if dice.flip() {
                        change.apply(&mut self.durable);
                    }
                }
                self.is_deceptive = true;
            }
            _ => {
                self.pending.clear();
                self.is_deceptive = true;
            }
        }
    }

    /// Drops from memory what counts as written, so that it is read from the disk again.
    pub(super) fn evict(&mut self) -> bool {
        let evicts = self.is_deceptive && self.pending.is_empty();
        if evicts {
            self.written.clone_from(&self.durable);
            self.is_deceptive = false;
        }
        evicts
    }

    /// What is left when the power is cut. `is_powersafe` says that a sector keeps what it
    /// held outside of the bytes that were being written to it.
    pub(super) fn cut(&mut self, dice: &mut Dice, is_powersafe: bool, counters: &mut Counters) {
        if self.pending.is_empty() && !self.is_deceptive {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let cut = *dice.pick(&[Cut::Drop, Cut::Keep, Cut::Ordered, Cut::Reordered]);
        let torn = dice.index(pending.len() + 1);
        let mut has_dropped = false;
        for (nth, change) in pending.into_iter().enumerate() {
            let fate = match cut {
                Cut::Drop => Fate::Dropped,
                Cut::Keep => Fate::Kept,
                Cut::Ordered if nth < torn => Fate::Kept,
                Cut::Ordered if nth == torn => Fate::Torn,
                Cut::Ordered => Fate::Dropped,
                Cut::Reordered => *dice.pick(&[Fate::Kept, Fate::Kept, Fate::Dropped, Fate::Torn]),
            };
            let fate = match (&change, fate) {
                (Change::Length(_), Fate::Torn) => Fate::Dropped,
                (_, fate) => fate,
            };
            if has_dropped && !matches!(fate, Fate::Dropped) {
                counters.count(Fault::Reordered);
            }
            has_dropped |= matches!(fate, Fate::Dropped);
            self.settle(change, fate, dice, is_powersafe, counters);
        }
        self.written.clone_from(&self.durable);
        self.is_deceptive = false;
    }

    fn settle(
        &mut self,
        change: Change,
        fate: Fate,
        dice: &mut Dice,
        is_powersafe: bool,
        counters: &mut Counters,
    ) {
        match (fate, &change) {
            (Fate::Kept, _) => {
                counters.count(Fault::Kept);
                change.apply(&mut self.durable);
            }
            (Fate::Torn, Change::Write(offset, bytes)) => {
                tear(&mut self.durable, *offset, bytes, dice, counters);
            }
            (Fate::Dropped | Fate::Torn, _) => counters.count(Fault::Dropped),
        }
        let Change::Write(offset, bytes) = &change else {
            return;
        };
        if !is_powersafe && dice.flip() {
            counters.count(Fault::SectorHarmed);
            harm_edges(&mut self.durable, *offset, bytes.len(), dice);
        }
    }
}

/// What became of one change.
#[derive(Clone, Copy)]
enum Fate {
    Kept,
    Dropped,
    Torn,
}

/// Puts a part of a write: some of its sectors, or its bytes up to some place.
fn tear(
    content: &mut Vec<u8>,
    offset: usize,
    bytes: &[u8],
    dice: &mut Dice,
    counters: &mut Counters,
) {
    let sectors = (offset + bytes.len()).div_ceil(SECTOR_BYTES) - offset / SECTOR_BYTES;
    if sectors < 2 || dice.flip() {
        counters.count(Fault::TornAtByte);
        let kept = dice.index(bytes.len() + 1);
        // The end of a write may get there before its beginning.
        match dice.percent(25) {
            true => put(
                content,
                offset + bytes.len() - kept,
                &bytes[bytes.len() - kept..],
            ),
            false => put(content, offset, &bytes[..kept]),
        }
        return;
    }
    counters.count(Fault::TornAtSector);
    let mut from = 0;
    while from < bytes.len() {
        let sector_end = (offset + from) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES;
        let end = bytes.len().min(sector_end - offset);
        if dice.flip() {
            put(content, offset + from, &bytes[from..end]);
        }
        from = end;
    }
}

/// Spoils the first and the last sector that a write touched, outside of the write too.
fn harm_edges(content: &mut [u8], offset: usize, length: usize, dice: &mut Dice) {
    let last = (offset + length.max(1) - 1) / SECTOR_BYTES;
    for sector in [offset / SECTOR_BYTES, last] {
        let from = (sector * SECTOR_BYTES).min(content.len());
        let end = (from + SECTOR_BYTES).min(content.len());
        let noise = dice.next() as u8;
        content[from..end]
            .iter_mut()
            .for_each(|byte| *byte ^= noise);
    }
}
