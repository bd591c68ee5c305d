//! Walks a segment from frame to frame, and finds the way on behind a bad place. What it
//! finds is held back until a later frame vouches that it was durable: only then is a frame
//! part of the log for certain, and a bad place damage rather than an unfinished write.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use retold_core::{LogId, Lost, Position};

use super::control::Control;
use super::frame::{self, Digest, FrameFault, Header, Kind};
use super::record::{self, RecordFault};
use super::window::{STEP_BYTES, WINDOW_BYTES, Window};
use crate::disk::File;
use crate::index::{IndexEntry, Location};
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};

/// Something that stands in a segment.
pub(crate) enum Piece {
    /// A frame that is as it was written.
    Frame(Frame),
    /// A stretch that is not.
    Gap(Gap),
}

/// A good frame.
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) header: Header,
    pub(crate) digest: Digest,
    pub(crate) events: Vec<IndexEntry>,
    pub(crate) control: Control,
}

/// A stretch in which something does not fit.
pub(crate) struct Gap {
    pub(crate) offset: u64,
    pub(crate) end: u64,
    pub(crate) reason: &'static str,
    /// Events inside the stretch that are as they were written.
    pub(crate) salvaged: Vec<IndexEntry>,
    /// Runs of positions that were lost.
    pub(crate) lost: Vec<(Position, Position)>,
    /// What damaged records still say, unchecked.
    pub(crate) hints: Vec<Lost>,
}

impl Piece {
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Piece::Frame(frame) => frame.offset,
            Piece::Gap(gap) => gap.offset,
        }
    }

    pub(crate) fn end(&self) -> u64 {
        match self {
            Piece::Frame(frame) => frame.offset + frame.header.stride(),
            Piece::Gap(gap) => gap.end,
        }
    }

    /// Whether the piece is a good frame that holds events, or a mark.
    pub(crate) fn is_frame_of_events(&self) -> bool {
        match self {
            Piece::Frame(frame) => matches!(frame.header.kind, Kind::Events | Kind::Mark),
            Piece::Gap(_) => false,
        }
    }

    /// The place in the chain behind the piece, which begins at `link`.
    pub(crate) fn link_behind(&self, link: Link) -> Link {
        match self {
            Piece::Frame(frame) => Link {
                next_position: frame.header.first_position + frame.header.events(),
                epoch: frame.header.epoch,
                previous: Some(frame.digest),
            },
            Piece::Gap(gap) => {
                let salvaged = gap.salvaged.iter().map(|entry| entry.position);
                let lost = gap.lost.iter().map(|(_, last)| *last);
                let last = salvaged.chain(lost).max();
                Link {
                    next_position: last.map_or(link.next_position, |last| last + 1),
                    epoch: link.epoch,
                    previous: None,
                }
            }
        }
    }

    /// Everything in the segment before this offset was durable when the piece was written.
    fn vouches_through(&self) -> u64 {
        match self {
            _ if planted::is(Bug::MarksIgnored) => 0,
            Piece::Frame(frame) => frame.header.durable_offset,
            Piece::Gap(_) => 0,
        }
    }
}

/// The files and bytes that a scan stopped at because a newer version wrote them.
#[derive(Debug)]
pub(crate) struct UnknownFormat {
    pub(crate) offset: u64,
}

/// Why a scan could not go on.
#[derive(Debug)]
pub(crate) enum ScanError {
    Io(io::Error),
    Unknown(UnknownFormat),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        ScanError::Io(error)
    }
}

/// A place in the chain of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// The position of the next event.
    pub(crate) next_position: Position,
    /// The highest epoch so far.
    pub(crate) epoch: u64,
    /// The digest of the frame before; none where that frame is not as it was written.
    pub(crate) previous: Option<Digest>,
}

/// A walk through one segment.
pub(crate) struct Scanner {
    window: Window,
    log_id: LogId,
    offset: u64,
    link: Link,
    /// The place in the chain before the first piece that is held.
    base: Link,
    held: VecDeque<Piece>,
}

impl Scanner {
    /// Begins at an offset of a segment's file, at a place of the chain.
    pub(crate) fn new(file: Arc<dyn File>, log_id: LogId, offset: u64, link: Link) -> Scanner {
        Scanner {
            window: Window::new(file),
            log_id,
            offset,
            link,
            base: link,
            held: VecDeque::new(),
        }
    }

    /// Goes on to the end of what is written and hands each piece that a later frame vouches
    /// for to `accept`. Calling it again later goes on from there.
    pub(crate) fn run(&mut self, accept: &mut dyn FnMut(Piece)) -> Result<(), ScanError> {
        self.window.forget();
        while let Some(piece) = self.next_piece()? {
            let vouched = piece.vouches_through();
            while let Some(front) = self.held.front()
                && front.offset() < vouched
                && let Some(front) = self.held.pop_front()
            {
                self.base = front.link_behind(self.base);
                accept(front);
            }
            self.held.push_back(piece);
        }
        Ok(())
    }

    /// Goes on to an offset before which everything is known to have been durable, and hands
    /// over all pieces. Stops earlier where there is nothing more.
    pub(crate) fn run_through(
        &mut self,
        end: u64,
        accept: &mut dyn FnMut(Piece),
    ) -> Result<(), ScanError> {
        while self.offset < end {
            match self.next_piece()? {
                Some(piece) => accept(piece),
                None => break,
            }
        }
        Ok(())
    }

    /// Hands out what no later frame vouches for, as if one did: a bug, when it is planted.
    pub(crate) fn believe_held(&mut self, accept: &mut dyn FnMut(Piece)) {
        self.held.drain(..).for_each(accept);
    }

    /// Where the next frame would begin.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The place in the chain there.
    pub(crate) fn link(&self) -> Link {
        self.link
    }

    /// The place in the chain before the first piece that no later frame vouches for.
    pub(crate) fn base(&self) -> Link {
        self.base
    }

    /// Where that piece begins.
    pub(crate) fn held_from(&self) -> u64 {
        self.held.front().map_or(self.offset, Piece::offset)
    }

    /// What no later frame vouches for, in order.
    pub(crate) fn into_held(self) -> VecDeque<Piece> {
        self.held
    }

    /// How many bytes stand from `offset` to the end of the file, zeros at the end not counted.
    pub(crate) fn bytes_from(&mut self, offset: u64) -> io::Result<u64> {
        let (mut at, mut end) = (offset, offset);
        loop {
            let bytes = self.window.bytes(at, WINDOW_BYTES)?;
            if bytes.is_empty() {
                return Ok(end - offset);
            }
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                end = at + last as u64 + 1;
            }
            at += bytes.len() as u64;
        }
    }

    /// The gap from where the scan stands to where the segment once ended, as the segment
    /// after it says; none where nothing is missing.
    pub(crate) fn gap_through(
        &mut self,
        end: u64,
        last_position: Position,
    ) -> Result<Option<Gap>, ScanError> {
        if self.offset >= end && self.link.next_position > last_position {
            return Ok(None);
        }
        // The segment may end with a frame of which only a record is bad.
        if let Some(gap) = self.frame_of_bad_records()?
            && gap.end == end
        {
            probe::hit(Probe::RecordDamaged);
            return Ok(Some(gap));
        }
        probe::hit(Probe::SegmentEndMissing);
        let (salvaged, next_lost) = self.salvage(end, last_position + 1)?;
        Ok(Some(Gap {
            offset: self.offset,
            end,
            reason: "the end of a segment is missing or damaged",
            salvaged,
            lost: run(next_lost, last_position + 1),
            hints: Vec::new(),
        }))
    }

    /// Where the parts of the file begin that the system refused to read.
    pub(crate) fn unreadable(&self) -> impl Iterator<Item = u64> {
        self.window.unreadable().iter().copied()
    }

    /// Whether something behind the last frame that was read cannot be read.
    pub(crate) fn hides_more(&self) -> bool {
        let mut unreadable = self.unreadable();
        unreadable.any(|begin| begin + STEP_BYTES > self.offset)
    }

    /// Whether nothing has been written behind the last frame that was read.
    pub(crate) fn is_at_end(&self) -> io::Result<bool> {
        self.window.is_zero_at(self.offset, frame::HEADER_BYTES)
    }

    fn next_piece(&mut self) -> Result<Option<Piece>, ScanError> {
        if let Found::Piece(piece) = self.good_frame()? {
            return Ok(Some(self.step_behind(piece)));
        }
        // Without a later frame, the rest of the segment is an unfinished write, or one that
        // is under way: it is left where it is.
        let Some((end, header)) = self.search(self.offset + frame::ALIGNMENT)? else {
            return Ok(None);
        };
        // A writer beside us may have finished the frame since we looked at it: a later one
        // is only ever written behind a whole one.
        self.window.forget();
        let reason = match self.good_frame()? {
            Found::Piece(piece) => return Ok(Some(self.step_behind(piece))),
            Found::Bad(reason) => reason,
        };
        let gap = match self.frame_of_bad_records()? {
            Some(gap) => {
                probe::hit(Probe::RecordDamaged);
                gap
            }
            None => {
                probe::hit(Probe::HeaderDamaged);
                self.gap_up_to(end, &header, reason)?
            }
        };
        Ok(Some(self.step_behind(Piece::Gap(gap))))
    }

    /// Stands behind a piece.
    fn step_behind(&mut self, piece: Piece) -> Piece {
        self.link = piece.link_behind(self.link);
        self.offset = piece.end();
        piece
    }

    /// The frame where the scan stands, if it is as it was written and follows the last one.
    fn good_frame(&mut self) -> Result<Found, ScanError> {
        let raw = match self.frame_at(self.offset)? {
            Ok(raw) if self.follows(&raw.header) => raw,
            Ok(_) => return Ok(Found::Bad("a frame does not follow the one before it")),
            Err(FrameFault::Unknown) => return Err(self.newer_version()),
            Err(_) => return Ok(Found::Bad("a frame is missing or damaged")),
        };
        match self.read_records(&raw) {
            Ok(piece @ Piece::Frame(_)) => Ok(Found::Piece(piece)),
            Ok(Piece::Gap(gap)) => Ok(Found::Bad(gap.reason)),
            Err(NotARecord) => Err(self.newer_version()),
        }
    }

    /// The frame where the scan stands, where only some of its records are bad: its header
    /// says where the good ones lie.
    fn frame_of_bad_records(&mut self) -> Result<Option<Gap>, ScanError> {
        match self.frame_at(self.offset)? {
            Ok(raw) if self.follows(&raw.header) => match self.read_records(&raw) {
                Ok(Piece::Gap(gap)) => Ok(Some(gap)),
                Ok(Piece::Frame(_)) => Ok(None),
                Err(NotARecord) => Err(self.newer_version()),
            },
            _ => Ok(None),
        }
    }

    fn newer_version(&self) -> ScanError {
        ScanError::Unknown(UnknownFormat {
            offset: self.offset,
        })
    }

    fn follows(&self, header: &Header) -> bool {
        header.first_position == self.link.next_position
            && header.epoch >= self.link.epoch
            && header.durable_offset <= self.offset
            && (planted::is(Bug::ChainIgnored)
                || self
                    .link
                    .previous
                    .is_none_or(|previous| previous == header.previous))
    }

    /// Reads the frame at `offset` as far as its header can be trusted.
    fn frame_at(&mut self, offset: u64) -> io::Result<Result<RawFrame, FrameFault>> {
        let available = self.window.length()?.saturating_sub(offset);
        let start = self.window.bytes(offset, frame::HEADER_BYTES)?;
        let claimed = match Header::claimed_bytes(&start, available) {
            Ok(claimed) => claimed,
            Err(fault) => return Ok(Err(fault)),
        };
        let bytes = self.window.bytes(offset, claimed)?;
        if bytes.len() < claimed {
            return Ok(Err(FrameFault::Bad));
        }
        Ok(Header::decode(&bytes, self.log_id).map(|header| RawFrame { header, bytes }))
    }

    /// Checks all records of a frame whose header is good.
    fn read_records(&self, raw: &RawFrame) -> Result<Piece, NotARecord> {
        let header = raw.header;
        let Some(places) = header.records(&raw.bytes) else {
            return Err(NotARecord);
        };
        if header.kind != Kind::Events {
            return self.read_control(raw, &places);
        }
        let (mut events, mut lost, mut hints) = (Vec::new(), Vec::new(), Vec::new());
        for (position, (from, length)) in (header.first_position..).zip(places) {
            let record = &raw.bytes[from..from + length];
            match self.read_record(record, position, self.offset + from as u64) {
                Ok(entry) => events.push(entry),
                Err(RecordFault::Unknown) => return Err(NotARecord),
                Err(_) => {
                    lost.push((position, position));
                    hints.push(hint(record, position));
                }
            }
        }
        if lost.is_empty() {
            return Ok(Piece::Frame(Frame {
                offset: self.offset,
                header,
                digest: frame::digest(&raw.bytes),
                events,
                control: Control::Silent,
            }));
        }
        Ok(Piece::Gap(Gap {
            offset: self.offset,
            end: self.offset + header.stride(),
            reason: "a record does not fit its checksum",
            salvaged: events,
            lost,
            hints,
        }))
    }

    fn read_control(&self, raw: &RawFrame, places: &[(usize, usize)]) -> Result<Piece, NotARecord> {
        let header = raw.header;
        let json = match places {
            [] => Ok(&[][..]),
            [(from, length), ..] => {
                let record = &raw.bytes[*from..from + length];
                record::decode_control(record, self.log_id, header.first_position)
            }
        };
        match json {
            Ok(json) => Ok(Piece::Frame(Frame {
                offset: self.offset,
                header,
                digest: frame::digest(&raw.bytes),
                events: Vec::new(),
                control: Control::parse(header.kind, json).ok_or(NotARecord)?,
            })),
            Err(RecordFault::Unknown) => Err(NotARecord),
            Err(fault) => Ok(Piece::Gap(Gap {
                offset: self.offset,
                end: self.offset + header.stride(),
                reason: fault.reason(),
                salvaged: Vec::new(),
                lost: Vec::new(),
                hints: Vec::new(),
            })),
        }
    }

    fn read_record(
        &self,
        bytes: &[u8],
        position: Position,
        offset: u64,
    ) -> Result<IndexEntry, RecordFault> {
        let view = record::decode(bytes, self.log_id, position)?;
        // A checksum that fits vouches for the rest.
        let unknown = RecordFault::Unknown;
        Ok(IndexEntry {
            position,
            location: Location {
                offset: u32::try_from(offset).map_err(|_| unknown)?,
                bytes: u32::try_from(bytes.len()).map_err(|_| unknown)?,
            },
            event_id: view.event_id,
            stream: view.stream().ok_or(unknown)?,
            sequence_number: view.sequence_number,
            correlation_id: view.correlation_id().ok_or(unknown)?,
            tags: view.tags().map(retold_core::Text::from).collect(),
            timestamp: view.timestamp,
            persisted_at: view.persisted_at,
        })
    }

    /// The stretch from where the scan stands to a later frame.
    fn gap_up_to(&mut self, end: u64, next: &Header, reason: &'static str) -> io::Result<Gap> {
        let (salvaged, next_lost) = self.salvage(end, next.first_position)?;
        Ok(Gap {
            offset: self.offset,
            end,
            reason,
            lost: run(next_lost, next.first_position),
            salvaged,
            hints: Vec::new(),
        })
    }

    /// The next place from `offset` on where a header fits that could follow later.
    fn search(&mut self, offset: u64) -> io::Result<Option<(u64, Header)>> {
        let mut at = offset;
        loop {
            let bytes = self.window.bytes(at, WINDOW_BYTES)?;
            if bytes.len() < frame::HEADER_BYTES {
                return Ok(None);
            }
            let last = bytes.len() - frame::HEADER_BYTES;
            for skipped in (0..=last).step_by(frame::ALIGNMENT as usize) {
                if bytes[skipped..skipped + frame::MAGIC.len()] != frame::MAGIC {
                    continue;
                }
                let candidate = at + skipped as u64;
                if let Ok(RawFrame { header, .. }) = self.frame_at(candidate)?
                    && header.epoch >= self.link.epoch
                    && header.first_position >= self.link.next_position
                    && header.durable_offset <= candidate
                    && self.can_hide(header.first_position, candidate)
                {
                    return Ok(Some((candidate, header)));
                }
            }
            at += last as u64 / frame::ALIGNMENT * frame::ALIGNMENT + frame::ALIGNMENT;
        }
    }

    /// Whether the stretch up to `end` is long enough to have held all events before
    /// `first_position`: no forged number makes the index grow without bounds.
    fn can_hide(&self, first_position: Position, end: u64) -> bool {
        let records_max = (end - self.offset) / record::ENVELOPE_BYTES as u64;
        first_position - self.link.next_position <= records_max
    }

    /// Reads records behind a damaged header one by one: each says its length, and its place
    /// is known from the frame before. Returns them and the first position that was not read.
    fn salvage(
        &mut self,
        end: u64,
        next_position: Position,
    ) -> io::Result<(Vec<IndexEntry>, Position)> {
        let mut salvaged = Vec::new();
        let mut at = self.offset + frame::HEADER_BYTES as u64;
        let mut position = self.link.next_position;
        while position < next_position && at < end {
            let start = self.window.bytes(at, record::ENVELOPE_BYTES)?;
            let length = record::length(&start).filter(|length| at + *length as u64 <= end);
            let Some(length) = length else { break };
            let bytes = self.window.bytes(at, length)?;
            let Ok(entry) = self.read_record(&bytes, position, at) else {
                break;
            };
            probe::hit(Probe::RecordsSalvaged);
            salvaged.push(entry);
            at += length as u64;
            position += 1;
        }
        Ok((salvaged, position))
    }
}

/// The checksums fit, but the content cannot be read: a newer version of the format wrote it.
struct NotARecord;

/// What stands where the scan stands.
enum Found {
    Piece(Piece),
    Bad(&'static str),
}

struct RawFrame {
    header: Header,
    bytes: Bytes,
}

/// What a damaged record still says; a guess that its user has to weigh.
fn hint(record: &[u8], position: Position) -> Lost {
    let view = record::decode_unchecked(record);
    Lost {
        position,
        stream: view.as_ref().and_then(|view| view.stream()),
        sequence_number: view.as_ref().map(|view| view.sequence_number),
        event_id: view.as_ref().map(|view| view.event_id),
    }
}

/// The positions from `first` to before `end`, if there are any.
pub(crate) fn run(first: Position, end: Position) -> Vec<(Position, Position)> {
    if first < end {
        vec![(first, end - 1)]
    } else {
        Vec::new()
    }
}
