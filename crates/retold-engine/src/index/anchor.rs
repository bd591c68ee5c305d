//! A place between two frames of the log, from which the log can be read on. Runs begin and
//! end at such places, and the digest ties them to the history that they were made of.

use retold_core::Position;

use crate::log::coding::array;
use crate::log::frame::Digest;
use crate::log::scan::{Frame, Link};
use crate::log::segment::{FIRST_FRAME, SegmentHeader};

/// A place behind a frame, or behind the header of the first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The segment, by its first position.
    pub(crate) segment: Position,
    /// Where the frame before begins; 0 where there is none.
    pub(crate) frame: u64,
    /// Where the next frame begins.
    pub(crate) offset: u64,
    /// The position of the next event.
    pub(crate) next_position: Position,
    /// The highest epoch so far.
    pub(crate) epoch: u64,
    /// The digest of the frame before, or of the header of the first segment.
    pub(crate) previous: Digest,
}

impl Anchor {
    /// Bytes of an anchor in the header of a run.
    pub(crate) const BYTES: usize = 72;

    /// The beginning of a log.
    pub(crate) fn beginning(header: &SegmentHeader) -> Anchor {
        Anchor {
            segment: header.first_position,
            frame: 0,
            offset: FIRST_FRAME,
            next_position: header.first_position,
            epoch: 0,
            previous: header.digest(),
        }
    }

    /// The place behind a frame.
    pub(crate) fn behind(segment: Position, frame: &Frame) -> Anchor {
        let header = &frame.header;
        Anchor {
            segment,
            frame: frame.offset,
            offset: frame.offset + header.stride(),
            next_position: header.first_position + header.events(),
            epoch: header.epoch,
            previous: frame.digest,
        }
    }

    /// The same place in the chain of frames.
    pub(crate) fn link(&self) -> Link {
        Link {
            next_position: self.next_position,
            epoch: self.epoch,
            // Zeros stand for what is not known: the frame before is damaged.
            previous: (self.previous != Digest::default()).then_some(self.previous),
        }
    }

    pub(crate) fn encode(&self) -> [u8; Anchor::BYTES] {
        let mut bytes = [0; Anchor::BYTES];
        let numbers = [
            self.segment,
            self.frame,
            self.offset,
            self.next_position,
            self.epoch,
        ];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[40..].copy_from_slice(&self.previous);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; Anchor::BYTES]) -> Anchor {
        let number = |at: usize| u64::from_le_bytes(array(&bytes[at..at + 8]));
        Anchor {
            segment: number(0),
            frame: number(8),
            offset: number(16),
            next_position: number(24),
            epoch: number(32),
            previous: array(&bytes[40..]),
        }
    }
}
