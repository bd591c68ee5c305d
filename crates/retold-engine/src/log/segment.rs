//! Segments: the files of the log, each named by its first position, and HEAD, which names
//! the newest. FORMAT.md draws both.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retold_core::{LogId, Position};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::coding::array;
use super::frame::Digest;
use crate::disk::{Access, Disk, File};
use crate::planted::{self, Bug};

/// What every segment begins with; see [`super::frame::MAGIC`] for the first byte.
const MAGIC: [u8; 8] = *b"\xF5RTSEGM1";

/// The version of the whole format.
const FORMAT_VERSION: u16 = 1;

/// Bytes of a segment's header; the first frame follows.
pub(crate) const HEADER_BYTES: usize = 128;

/// The same as an offset.
pub(crate) const FIRST_FRAME: u64 = HEADER_BYTES as u64;

/// Says which log a segment belongs to and how the segment before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: LogId,
    pub(crate) first_position: Position,
    pub(crate) previous: PreviousSegment,
}

/// How the segment before ended; all zero for the first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PreviousSegment {
    pub(crate) first_position: Position,
    pub(crate) last_position: Position,
    /// Through its last frame.
    pub(crate) bytes: u64,
    /// Of its last frame.
    pub(crate) digest: Digest,
}

/// Why a segment's header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentFault {
    /// It does not fit its checksum.
    Bad,
    /// It is of a newer version of the format.
    Unknown,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[12..14].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(self.log_id.as_bytes());
        bytes[32..40].copy_from_slice(&self.first_position.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.previous.first_position.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.previous.last_position.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.previous.bytes.to_le_bytes());
        bytes[64..96].copy_from_slice(&self.previous.digest);
        let checksum = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentHeader, SegmentFault> {
        if bytes.len() < HEADER_BYTES || bytes[..8] != MAGIC {
            return Err(SegmentFault::Bad);
        }
        let bytes = &bytes[..HEADER_BYTES];
        if u32::from_le_bytes(array(&bytes[8..12])) != crc32c::crc32c(&bytes[12..]) {
            return Err(SegmentFault::Bad);
        }
        let version = u16::from_le_bytes(array(&bytes[12..14]));
        let unused = bytes[14..16].iter().chain(&bytes[96..]);
        if version != FORMAT_VERSION || unused.into_iter().any(|byte| *byte != 0) {
            return Err(SegmentFault::Unknown);
        }
        let header = SegmentHeader {
            log_id: Uuid::from_bytes(array(&bytes[16..32])),
            first_position: u64::from_le_bytes(array(&bytes[32..40])),
            previous: PreviousSegment {
                first_position: u64::from_le_bytes(array(&bytes[40..48])),
                last_position: u64::from_le_bytes(array(&bytes[48..56])),
                bytes: u64::from_le_bytes(array(&bytes[56..64])),
                digest: array(&bytes[64..96]),
            },
        };
        // Positions have no holes, so one number says what the other does.
        let goes_on = header.previous.last_position.checked_add(1) == Some(header.first_position);
        if goes_on {
            Ok(header)
        } else {
            Err(SegmentFault::Bad)
        }
    }

    /// What the first frame of the segment names as the one before it.
    pub(crate) fn digest(&self) -> Digest {
        Sha256::digest(self.encode()).into()
    }
}

/// An open segment.
pub(crate) struct Segment {
    pub(crate) first_position: Position,
    /// The id under which its frames and records are checked.
    pub(crate) log_id: LogId,
    pub(crate) file: Arc<dyn File>,
}

impl Segment {
    pub(crate) fn name(&self) -> String {
        file_name(self.first_position)
    }
}

/// The name of the segment that begins with a position.
pub(crate) fn file_name(first_position: Position) -> String {
    format!("{first_position:020}.log")
}

/// The position that a segment's name says it begins with; none for other files.
pub(crate) fn position_of(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(".log")?;
    let is_well_formed = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_well_formed.then(|| digits.parse().ok()).flatten()
}

/// The folder of the segments.
pub(crate) fn log_folder(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// What HEAD says: the newest segment and its log, for when that segment is missing or its
/// header is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) first_position: Position,
    pub(crate) log_id: LogId,
}

impl Head {
    fn encode(&self) -> String {
        let text = format!(
            "retold 1\n{}\n{}\n",
            file_name(self.first_position),
            self.log_id
        );
        format!("{text}{:08x}\n", crc32c::crc32c(text.as_bytes()))
    }

    fn decode(text: &str) -> Option<Head> {
        let mut lines = text.lines();
        let (_, name, id) = (lines.next()?, lines.next()?, lines.next()?);
        let head = Head {
            first_position: position_of(name)?,
            log_id: id.parse().ok()?,
        };
        (head.encode() == text).then_some(head)
    }

    /// Reads HEAD: none where there is no such file, an empty result where it is damaged.
    pub(crate) fn read(disk: &dyn Disk, folder: &Path) -> io::Result<Option<Option<Head>>> {
        /// HEAD has 80 bytes; more than a few of them are not read.
        const BYTES_MAX: usize = 256;
        let file = match disk.open(&folder.join("HEAD"), Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; BYTES_MAX];
        // What cannot be read counts as damaged.
        let length = file.read_at(&mut bytes, 0).unwrap_or(0);
        let text = std::str::from_utf8(&bytes[..length]).ok();
        Ok(Some(text.and_then(Head::decode)))
    }

    /// Replaces HEAD, durably.
    pub(crate) fn write(&self, disk: &dyn Disk, folder: &Path) -> io::Result<()> {
        let (next, head) = (folder.join("HEAD.tmp"), folder.join("HEAD"));
        let file = disk.open(&next, Access::Replace)?;
        file.write_at(self.encode().as_bytes(), 0)?;
        file.sync()?;
        disk.rename(&next, &head)?;
        disk.sync_folder(folder)
    }
}

/// The file of a new segment, whole and durable, but without its name.
pub(crate) struct Prepared {
    header: SegmentHeader,
    file: Arc<dyn File>,
}

/// The name of a segment that has none yet.
const UNNAMED: &str = "next.tmp";

/// Makes the file of a new segment. It is durable before it gets its name.
pub(crate) fn prepare(
    disk: &dyn Disk,
    folder: &Path,
    header: &SegmentHeader,
) -> io::Result<Prepared> {
    let file = disk.open(&log_folder(folder).join(UNNAMED), Access::Replace)?;
    file.write_at(&header.encode(), 0)?;
    if !planted::is(Bug::HeaderSyncForgotten) {
        file.sync()?;
    }
    Ok(Prepared {
        header: *header,
        file,
    })
}

impl Prepared {
    /// Gives the segment its name, which is durable once the folder is synced.
    pub(crate) fn publish(self, disk: &dyn Disk, folder: &Path) -> io::Result<Segment> {
        let folder = log_folder(folder);
        let name = file_name(self.header.first_position);
        disk.rename(&folder.join(UNNAMED), &folder.join(name))?;
        Ok(Segment {
            first_position: self.header.first_position,
            log_id: self.header.log_id,
            file: self.file,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_any_flipped_bit_is_noticed() {
        let header = SegmentHeader {
            log_id: Uuid::from_u128(7),
            first_position: 12,
            previous: PreviousSegment {
                first_position: 1,
                last_position: 11,
                bytes: 4096,
                digest: [3; 32],
            },
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn head_comes_back_and_a_changed_one_is_refused() {
        let head = Head {
            first_position: 12,
            log_id: Uuid::from_u128(7),
        };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        assert_eq!(
            Head::decode(&head.encode().replace("012.log", "013.log")),
            None
        );
        assert_eq!(Head::decode(""), None);
    }

    #[test]
    fn only_segments_are_taken_for_segments() {
        assert_eq!(position_of(&file_name(42)), Some(42));
        for name in [
            "next.tmp",
            "42.log",
            "cut-1.bin",
            "0000000000000000004x.log",
        ] {
            assert_eq!(position_of(name), None);
        }
    }
}
