//! The growing end of the log: reserves room, writes frames, syncs them, and starts new
//! segments. A group is durable when `write` has returned well.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use retold_core::{LogId, Position};

use super::frame::{self, Digest, Header, Kind};
use super::prepare::Preparing;
use super::segment::{self, FIRST_FRAME, Head, PreviousSegment, Segment, SegmentHeader};
use crate::disk::Disk;
use crate::index::Anchor;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};

/// How the log grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Growth {
    /// A frame that would make a segment longer than this begins a new one.
    pub(crate) segment_bytes_max: u64,
    /// Room is reserved in steps of this, so that most groups find it reserved.
    pub(crate) reserve_bytes: u64,
}

/// The end of the log.
pub(crate) struct Tail {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    growth: Growth,
    segment: Arc<Segment>,
    offset: u64,
    reserved: u64,
    previous: Digest,
    epoch: u64,
    next_position: Position,
    /// Segments that were begun and that readers do not know yet.
    begun: Vec<Arc<Segment>>,
    /// HEAD does not name the newest segment yet: it does before the segment is written to.
    head_is_stale: bool,
    preparing: Arc<Preparing>,
}

/// A frame to be written: room for the header, then the records, then the table of lengths.
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) first_position: Position,
    pub(crate) count: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Why a frame was not written.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// There is no room; nothing was written, and the next try may find some.
    Full,
    /// What is on the disk is unknown: nothing may be written any more.
    Failed(io::Error),
}

/// Where the log ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) offset: u64,
    /// The digest of the last frame, or of the segment's header where there is none.
    pub(crate) previous: Digest,
    pub(crate) next_position: Position,
    /// The epoch of what will be written.
    pub(crate) epoch: u64,
}

impl Tail {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        growth: Growth,
        segment: Arc<Segment>,
        end: End,
    ) -> io::Result<Tail> {
        let reserved = segment.file.len()?;
        let preparing = Preparing::new(growth.reserve_bytes);
        preparing.enter(Arc::clone(&segment.file), end.offset, reserved);
        Ok(Tail {
            preparing: Arc::new(preparing),
            disk,
            folder,
            growth,
            segment,
            offset: end.offset,
            reserved,
            previous: end.previous,
            epoch: end.epoch,
            next_position: end.next_position,
            begun: Vec::new(),
            head_is_stale: false,
        })
    }

    /// What prepares room ahead of the end.
    pub(crate) fn preparing(&self) -> Arc<Preparing> {
        Arc::clone(&self.preparing)
    }

    /// The position of the next event.
    pub(crate) fn next_position(&self) -> Position {
        self.next_position
    }

    /// Writes a frame behind the last one and syncs it; returns the place behind it.
    pub(crate) fn write(&mut self, draft: &mut Draft) -> Result<Anchor, WriteFailure> {
        if draft.first_position != self.next_position {
            // Written like this, the frame would break the chain for every later reader.
            let error = io::Error::other("a frame does not follow the log");
            return Err(WriteFailure::Failed(error));
        }
        self.make_room(draft.bytes.len() as u64)?;
        let header = Header {
            kind: draft.kind,
            frame_bytes: u32::try_from(draft.bytes.len()).expect("drafts are kept far smaller"),
            count: draft.count,
            first_position: draft.first_position,
            epoch: self.epoch,
            // Everything before this frame is synced: the frame before was, or a mark.
            durable_offset: self.offset,
            previous: self.previous,
        };
        header.seal(&mut draft.bytes, self.segment.log_id);
        let digest = frame::digest(&draft.bytes);
        let end = self.offset + header.stride();
        self.preparing.take(end, self.reserved);
        // The last block is written as a whole: the system would have to read the rest of it.
        let end = self.preparing.end_of_block(end).min(self.reserved);
        draft.bytes.resize((end - self.offset) as usize, 0);
        let file = &self.segment.file;
        file.write_at(&draft.bytes, self.offset)
            .and_then(|()| self.sync_frame())
            .map_err(WriteFailure::Failed)?;
        let frame = self.offset;
        self.offset += header.stride();
        self.previous = digest;
        self.next_position = header.first_position + header.events();
        Ok(Anchor {
            segment: self.segment.first_position,
            frame,
            offset: self.offset,
            next_position: self.next_position,
            epoch: self.epoch,
            previous: digest,
        })
    }

    fn sync_frame(&self) -> io::Result<()> {
        if planted::is(Bug::SyncForgotten) || planted::is(Bug::VisibleBeforeSync) {
            return Ok(());
        }
        match self.segment.file.sync() {
            Err(_) if planted::is(Bug::SyncRetried) => self.segment.file.sync(),
            outcome => outcome,
        }
    }

    /// The sync that should have come before anybody saw the frame: a bug, when it is planted.
    pub(crate) fn sync_late(&self) {
        let _ = self.segment.file.sync();
    }

    /// Where the next frame will lie: the segment, and the offset in it.
    #[cfg(feature = "simulator")]
    pub(crate) fn place(&self) -> (Position, u64) {
        (self.segment.first_position, self.offset)
    }

    /// The epoch of what is written.
    #[cfg(feature = "simulator")]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The segments that were begun since this was last asked, also for frames that did not
    /// find room after all.
    pub(crate) fn take_begun(&mut self) -> Vec<Arc<Segment>> {
        std::mem::take(&mut self.begun)
    }

    /// Begins a segment where the frame does not fit, and reserves room for the frame.
    fn make_room(&mut self, bytes: u64) -> Result<(), WriteFailure> {
        let end = self.offset + bytes.next_multiple_of(frame::ALIGNMENT);
        // A segment without events goes on growing: the next one would have its name.
        let has_events = self.next_position > self.segment.first_position;
        let is_full = end > self.growth.segment_bytes_max && has_events;
        if is_full {
            self.begin_segment()?;
        }
        if self.head_is_stale {
            let head = Head {
                first_position: self.segment.first_position,
                log_id: self.segment.log_id,
            };
            head.write(&*self.disk, &self.folder).map_err(full)?;
            self.head_is_stale = false;
        }
        let end = self.offset + bytes.next_multiple_of(frame::ALIGNMENT);
        if end > self.reserved {
            let step = end.next_multiple_of(self.growth.reserve_bytes);
            let ahead = step.min(self.growth.segment_bytes_max).max(end);
            self.reserved = match self.segment.file.reserve(ahead) {
                Ok(()) => ahead,
                Err(_) => self.segment.file.reserve(end).map(|()| end).map_err(full)?,
            };
        }
        Ok(())
    }

    /// Ends the segment and begins the next. In an order in which a crash between any two
    /// steps leaves a log that opens: what was reserved is given back, the new file is whole
    /// before it has its name, and HEAD names it before anything is written to it.
    fn begin_segment(&mut self) -> Result<(), WriteFailure> {
        // Zeros behind the end would make it longer again.
        self.preparing.leave();
        let old = &self.segment;
        old.file
            .set_len(self.offset)
            .and_then(|()| old.file.sync())
            .map_err(WriteFailure::Failed)?;
        self.reserved = self.offset;
        let header = SegmentHeader {
            log_id: self.segment.log_id,
            first_position: self.next_position,
            previous: PreviousSegment {
                first_position: old.first_position,
                last_position: self.next_position - 1,
                bytes: self.offset,
                digest: self.previous,
            },
        };
        let prepared = segment::prepare(&*self.disk, &self.folder, &header).map_err(full)?;
        if planted::is(Bug::HeadWrittenFirst) {
            let head = Head {
                first_position: header.first_position,
                log_id: header.log_id,
            };
            head.write(&*self.disk, &self.folder).map_err(full)?;
        }
        let segment = prepared.publish(&*self.disk, &self.folder).map_err(full)?;
        let segment = Arc::new(segment);
        // The segment has its name: from here on there is no way back to the old one, also
        // when the disk is full.
        self.begun.push(Arc::clone(&segment));
        self.segment = segment;
        self.offset = FIRST_FRAME;
        self.reserved = FIRST_FRAME;
        self.previous = header.digest();
        self.head_is_stale = true;
        let file = Arc::clone(&self.segment.file);
        self.preparing.enter(file, self.offset, self.reserved);
        probe::hit(Probe::SegmentBegun);
        if planted::is(Bug::FolderSyncForgotten) {
            return Ok(());
        }
        self.disk
            .sync_folder(&segment::log_folder(&self.folder))
            .map_err(WriteFailure::Failed)
    }
}

fn full(error: io::Error) -> WriteFailure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteFailure::Full,
        _ => WriteFailure::Failed(error),
    }
}

impl Draft {
    /// A frame that only vouches for what stands before it.
    pub(crate) fn mark(next_position: Position) -> Draft {
        Draft {
            kind: Kind::Mark,
            first_position: next_position,
            count: 0,
            bytes: vec![0; frame::HEADER_BYTES],
        }
    }

    /// A frame that holds a decision about the log.
    pub(crate) fn control(
        kind: Kind,
        log_id: LogId,
        next_position: Position,
        json: &[u8],
    ) -> Draft {
        let mut bytes = vec![0; frame::HEADER_BYTES];
        let length = super::record::encode_control(&mut bytes, log_id, next_position, json);
        bytes.extend_from_slice(&length.to_le_bytes());
        Draft {
            kind,
            first_position: next_position,
            count: 1,
            bytes,
        }
    }
}
