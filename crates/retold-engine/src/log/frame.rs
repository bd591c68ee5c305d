//! Frames: groups of records that were synced together. A frame's header has a checksum of
//! its own and says which frame came before, so that the log is a chain. FORMAT.md draws it.

use retold_core::{LogId, Position};
use sha2::{Digest as _, Sha256};

use super::coding::array;

/// What every frame begins with. The first byte never occurs in UTF-8, so no payload can pose
/// as a frame; an all-zero header is never one.
pub(crate) const MAGIC: [u8; 8] = *b"\xF5RTFRAM1";

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 88;

/// Frames begin at multiples of this, which makes the search for them behind damage cheap.
pub(crate) const ALIGNMENT: u64 = 8;

/// Bytes of a whole frame: a call of 8 MiB with all that records add to it.
pub(crate) const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

/// SHA-256 of a frame or of a segment's header.
pub(crate) type Digest = [u8; 32];

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Events.
    Events,
    /// Nothing: it vouches for what stands before it.
    Mark,
    /// The acceptance of a lost tail, and a new id for the log.
    Fork,
    /// The acceptance of damage, with what it cost.
    Damage,
    /// The beginning of a restore, with the log that it comes from.
    RestoreBegun,
    /// The end of a restore.
    RestoreDone,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Events,
        Kind::Mark,
        Kind::Fork,
        Kind::Damage,
        Kind::RestoreBegun,
        Kind::RestoreDone,
    ];

    fn code(self) -> u8 {
        let at = Kind::ALL.iter().position(|kind| *kind == self);
        at.expect("every kind is listed") as u8 + 1
    }

    fn from_code(code: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Header, records and the table of their lengths; not the zeros up to the next frame.
    pub(crate) frame_bytes: u32,
    /// How many records: events, or one for the other kinds that hold something.
    pub(crate) count: u32,
    /// The position of the first event, or of the next one where there is none.
    pub(crate) first_position: Position,
    /// Which opening of the log wrote it.
    pub(crate) epoch: u64,
    /// Up to here this segment was durable when the frame was written.
    pub(crate) durable_offset: u64,
    /// The digest of the frame before; of the segment's header for the first one.
    pub(crate) previous: Digest,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// There is no frame: only zeros, or the end.
    Absent,
    /// Something stands there, but it is not a whole frame of this log.
    Bad,
    /// The checksum fits, but the frame is of a newer version of the format.
    Unknown,
}

impl Header {
    /// Where the next frame begins, seen from the beginning of this one.
    pub(crate) fn stride(&self) -> u64 {
        u64::from(self.frame_bytes).next_multiple_of(ALIGNMENT)
    }

    /// Events in the frame.
    pub(crate) fn events(&self) -> u64 {
        match self.kind {
            Kind::Events => self.count.into(),
            _ => 0,
        }
    }

    /// Where the table of lengths begins, seen from the beginning of the frame.
    fn table_from(&self) -> usize {
        self.frame_bytes as usize - self.count as usize * 4
    }

    /// Writes the header, with its checksum over header and table, into the room at the
    /// beginning of `frame`, which ends with the table.
    pub(crate) fn seal(&self, frame: &mut [u8], log_id: LogId) {
        frame[..8].copy_from_slice(&MAGIC);
        frame[12] = self.kind.code();
        frame[13..16].fill(0);
        frame[16..20].copy_from_slice(&self.frame_bytes.to_le_bytes());
        frame[20..24].copy_from_slice(&self.count.to_le_bytes());
        frame[24..32].copy_from_slice(&self.first_position.to_le_bytes());
        frame[32..40].copy_from_slice(&self.epoch.to_le_bytes());
        frame[40..48].copy_from_slice(&self.durable_offset.to_le_bytes());
        frame[48..56].fill(0);
        frame[56..88].copy_from_slice(&self.previous);
        let checksum = self.checksum(frame, log_id);
        frame[8..12].copy_from_slice(&checksum.to_le_bytes());
    }

    fn checksum(&self, frame: &[u8], log_id: LogId) -> u32 {
        let bound = crc32c::crc32c(log_id.as_bytes());
        let header = crc32c::crc32c_append(bound, &frame[12..HEADER_BYTES]);
        crc32c::crc32c_append(header, &frame[self.table_from()..self.frame_bytes as usize])
    }

    /// How many bytes the frame at the beginning of `bytes` claims to have; `available` is how
    /// many there are in the file.
    pub(crate) fn claimed_bytes(bytes: &[u8], available: u64) -> Result<usize, FrameFault> {
        let header = bytes.get(..HEADER_BYTES.min(bytes.len())).unwrap_or(bytes);
        if header.iter().all(|byte| *byte == 0) {
            return Err(FrameFault::Absent);
        }
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(FrameFault::Bad);
        }
        let claimed = u32::from_le_bytes(array(&bytes[16..20])) as usize;
        if !(HEADER_BYTES..=FRAME_BYTES_MAX).contains(&claimed) || claimed as u64 > available {
            return Err(FrameFault::Bad);
        }
        Ok(claimed)
    }

    /// Reads and checks the header of `frame`, which has the length that it claims.
    pub(crate) fn decode(frame: &[u8], log_id: LogId) -> Result<Header, FrameFault> {
        let frame_bytes = u32::from_le_bytes(array(&frame[16..20]));
        let count = u32::from_le_bytes(array(&frame[20..24]));
        let table_bytes = (count as usize).checked_mul(4);
        let room = frame.len() - HEADER_BYTES;
        if frame_bytes as usize != frame.len() || table_bytes.is_none_or(|bytes| bytes > room) {
            return Err(FrameFault::Bad);
        }
        let mut header = Header {
            kind: Kind::Mark,
            frame_bytes,
            count,
            first_position: u64::from_le_bytes(array(&frame[24..32])),
            epoch: u64::from_le_bytes(array(&frame[32..40])),
            durable_offset: u64::from_le_bytes(array(&frame[40..48])),
            previous: array(&frame[56..88]),
        };
        if u32::from_le_bytes(array(&frame[8..12])) != header.checksum(frame, log_id) {
            return Err(FrameFault::Bad);
        }
        let reserved = frame[13..16].iter().chain(&frame[48..56]);
        header.kind = Kind::from_code(frame[12]).ok_or(FrameFault::Unknown)?;
        if reserved.into_iter().any(|byte| *byte != 0) {
            return Err(FrameFault::Unknown);
        }
        Ok(header)
    }

    /// Where each record lies in the frame, as offset and length; none where the table's sum
    /// does not fit the frame.
    pub(crate) fn records(&self, frame: &[u8]) -> Option<Vec<(usize, usize)>> {
        let table = &frame[self.table_from()..];
        let mut records = Vec::with_capacity(self.count as usize);
        let mut from = HEADER_BYTES;
        for length in table.chunks_exact(4) {
            let length = u32::from_le_bytes(array(length)) as usize;
            records.push((from, length));
            from = from.checked_add(length)?;
        }
        (from == self.table_from()).then_some(records)
    }
}

/// The digest by which the next frame names this one.
pub(crate) fn digest(frame: &[u8]) -> Digest {
    Sha256::digest(frame).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const LOG: LogId = Uuid::from_u128(7);

    fn frame() -> Vec<u8> {
        let mut frame = vec![0; HEADER_BYTES];
        frame.extend_from_slice(b"0123456789");
        frame.extend_from_slice(&4_u32.to_le_bytes());
        frame.extend_from_slice(&6_u32.to_le_bytes());
        header(&frame).seal(&mut frame, LOG);
        frame
    }

    fn header(frame: &[u8]) -> Header {
        Header {
            kind: Kind::Events,
            frame_bytes: frame.len() as u32,
            count: 2,
            first_position: 41,
            epoch: 3,
            durable_offset: 128,
            previous: [9; 32],
        }
    }

    #[test]
    fn a_header_comes_back_with_the_places_of_its_records() {
        let frame = frame();
        let decoded = Header::decode(&frame, LOG).unwrap();
        assert_eq!(decoded, header(&frame));
        assert_eq!(decoded.records(&frame).unwrap(), [(88, 4), (92, 6)]);
        assert_eq!(decoded.stride() % ALIGNMENT, 0);
    }

    #[test]
    fn any_flipped_bit_in_header_or_table_and_another_log_are_noticed() {
        let good = frame();
        assert!(Header::decode(&good, Uuid::from_u128(8)).is_err());
        let records = HEADER_BYTES..good.len() - 8;
        for byte in (0..good.len()).filter(|byte| !records.contains(byte)) {
            for bit in 0..8 {
                let mut flipped = good.clone();
                flipped[byte] ^= 1 << bit;
                let claimed = Header::claimed_bytes(&flipped, good.len() as u64);
                let is_good = claimed == Ok(good.len()) && Header::decode(&flipped, LOG).is_ok();
                assert!(!is_good, "bit {bit} of byte {byte} was not noticed");
            }
        }
    }

    #[test]
    fn zeros_are_never_a_frame() {
        assert_eq!(
            Header::claimed_bytes(&[0; HEADER_BYTES], 1 << 20),
            Err(FrameFault::Absent)
        );
        assert_eq!(Header::claimed_bytes(&[], 0), Err(FrameFault::Absent));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_not_a_frame(mut bytes in proptest::collection::vec(any::<u8>(), 88..300)) {
            bytes[..8].copy_from_slice(&MAGIC);
            let length = bytes.len() as u32;
            bytes[16..20].copy_from_slice(&length.to_le_bytes());
            assert!(Header::decode(&bytes, LOG).is_err());
        }
    }
}
