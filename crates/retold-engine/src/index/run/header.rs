//! The header of a run: which stretch of which log it covers, and where its sections lie.

use retold_core::{EventId, LogId, Position, Timestamp};
use uuid::Uuid;

use super::page::{BLOCK_BYTES, CHECKSUM_BYTES, PAGE_BYTES_MAX, PAGE_BYTES_MIN};
use super::{LOCATION_BYTES, POSTING_BYTES, SPAN_BYTES};
use crate::index::anchor::Anchor;
use crate::index::keys::SECRET_BYTES;
use crate::index::part::Block;
use crate::log::coding::array;

/// What every run begins with; see [`crate::log::frame::MAGIC`] for the first byte.
const MAGIC: [u8; 8] = *b"\xF5RTRUNS1";

/// Runs of version 1, whose filters were laid out otherwise, are made again.
const VERSION: u16 = 2;

/// Bytes of a header; zeros follow up to the end of the first page.
pub(crate) const HEADER_BYTES: usize = 512;

/// What the checksums of all pages are bound to: from the version to the number of events.
const BOUND: std::ops::Range<usize> = 12..216;

/// Where the places of the sections stand.
const SECTIONS_FROM: usize = 288;

/// Bytes of the place of a section.
const PLACE_BYTES: usize = 16;

/// What a run holds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Where the record of each position lies.
    Locations,
    /// Extremes of both times.
    Blocks,
    /// Event ids.
    Ids,
    IdFilter,
    /// Streams.
    Streams,
    StreamFilter,
    /// The positions of each stream, in the order of the streams.
    Positions,
    /// Correlation ids and tags.
    Terms,
    /// The names of the streams that begin here.
    Names,
    /// What the log said besides events.
    Facts,
}

impl Section {
    pub(crate) const ALL: [Section; 10] = [
        Section::Locations,
        Section::Blocks,
        Section::Ids,
        Section::IdFilter,
        Section::Streams,
        Section::StreamFilter,
        Section::Positions,
        Section::Terms,
        Section::Names,
        Section::Facts,
    ];

    /// Bytes of an entry; 1 where entries have no fixed size.
    pub(crate) fn entry_bytes(self) -> usize {
        match self {
            Section::Locations => LOCATION_BYTES,
            Section::Blocks => BLOCK_BYTES,
            Section::Ids | Section::Terms => POSTING_BYTES,
            Section::Streams => SPAN_BYTES,
            Section::Positions => 4,
            Section::IdFilter | Section::StreamFilter | Section::Names | Section::Facts => 1,
        }
    }
}

/// Where a section lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) first_page: u32,
    pub(crate) pages: u32,
    /// Entries; bytes where entries have no fixed size; of a filter, bits that each key sets.
    pub(crate) entries: u64,
}

/// The header of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) page_bytes: u16,
    /// The id under which the log's records are checked.
    pub(crate) log_id: LogId,
    /// The newest id of the log when the run was made.
    pub(crate) era: LogId,
    pub(crate) secret: [u8; SECRET_BYTES],
    pub(crate) begin: Anchor,
    pub(crate) end: Anchor,
    /// Positions that are not lost.
    pub(crate) events: u64,
    /// Of the newest event.
    pub(crate) persisted_at: Timestamp,
    /// Of the last position.
    pub(crate) last_event_id: EventId,
    /// The least and the greatest event id.
    pub(crate) ids: (EventId, EventId),
    /// The earliest and the latest timestamp.
    pub(crate) timestamps: (Timestamp, Timestamp),
    pub(crate) places: [Place; Section::ALL.len()],
}

impl Header {
    pub(crate) fn first(&self) -> Position {
        self.begin.next_position
    }

    pub(crate) fn last(&self) -> Position {
        self.end.next_position - 1
    }

    /// What the file is called: positions, a part of the digest that it ends with, and a number
    /// where there are several of them.
    pub(crate) fn file_name(&self, number: usize) -> String {
        let number = match number {
            0 => String::new(),
            number => format!("-{number}"),
        };
        format!("{}{number}.run", self.stem())
    }

    /// Whether a file of this name may have this header.
    pub(crate) fn fits_name(&self, name: &str) -> bool {
        name.starts_with(&self.stem())
    }

    fn stem(&self) -> String {
        let digest: String = self.end.previous[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{:020}-{:020}-{digest}", self.first(), self.last())
    }

    pub(crate) fn section(&self, section: Section) -> Place {
        self.places[section as usize]
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        usize::from(self.page_bytes) - CHECKSUM_BYTES
    }

    pub(crate) fn entries_per_page(&self, section: Section) -> u64 {
        (self.payload_bytes() / section.entry_bytes()) as u64
    }

    pub(crate) fn file_bytes(&self) -> u64 {
        let last = self.places[Section::ALL.len() - 1];
        (u64::from(last.first_page) + u64::from(last.pages)) * u64::from(self.page_bytes)
    }

    /// What the checksum of every page begins with.
    pub(crate) fn binding(&self) -> u32 {
        crc32c::crc32c(&self.encode_fields()[BOUND])
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = self.encode_fields();
        let checksum = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn encode_fields(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[12..14].copy_from_slice(&VERSION.to_le_bytes());
        bytes[14..16].copy_from_slice(&self.page_bytes.to_le_bytes());
        bytes[16..32].copy_from_slice(self.log_id.as_bytes());
        bytes[32..48].copy_from_slice(self.era.as_bytes());
        bytes[48..64].copy_from_slice(&self.secret);
        bytes[64..136].copy_from_slice(&self.begin.encode());
        bytes[136..208].copy_from_slice(&self.end.encode());
        bytes[208..216].copy_from_slice(&self.events.to_le_bytes());
        bytes[216..224].copy_from_slice(&self.persisted_at.as_micros().to_le_bytes());
        bytes[224..240].copy_from_slice(self.last_event_id.as_bytes());
        bytes[240..256].copy_from_slice(self.ids.0.as_bytes());
        bytes[256..272].copy_from_slice(self.ids.1.as_bytes());
        bytes[272..280].copy_from_slice(&self.timestamps.0.as_micros().to_le_bytes());
        bytes[280..288].copy_from_slice(&self.timestamps.1.as_micros().to_le_bytes());
        let places = bytes[SECTIONS_FROM..].chunks_exact_mut(PLACE_BYTES);
        for (bytes, place) in places.zip(&self.places) {
            bytes[..4].copy_from_slice(&place.first_page.to_le_bytes());
            bytes[4..8].copy_from_slice(&place.pages.to_le_bytes());
            bytes[8..].copy_from_slice(&place.entries.to_le_bytes());
        }
        bytes
    }

    /// Reads and checks a header; none where it is not one of this version, or says anything
    /// that cannot be.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Header> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let checksum = u32::from_le_bytes(array(&bytes[8..12]));
        if bytes[..8] != MAGIC || checksum != crc32c::crc32c(&bytes[12..]) {
            return None;
        }
        let instant =
            |at: usize| Timestamp::from_micros(i64::from_le_bytes(array(&bytes[at..at + 8]))).ok();
        let id = |at: usize| Uuid::from_bytes(array(&bytes[at..at + 16]));
        let mut places = [Place::default(); Section::ALL.len()];
        let kept = bytes[SECTIONS_FROM..].chunks_exact(PLACE_BYTES);
        for (place, bytes) in places.iter_mut().zip(kept) {
            *place = Place {
                first_page: u32::from_le_bytes(array(&bytes[..4])),
                pages: u32::from_le_bytes(array(&bytes[4..8])),
                entries: u64::from_le_bytes(array(&bytes[8..])),
            };
        }
        let header = Header {
            page_bytes: u16::from_le_bytes(array(&bytes[14..16])),
            log_id: id(16),
            era: id(32),
            secret: array(&bytes[48..64]),
            begin: Anchor::decode(&array(&bytes[64..136])),
            end: Anchor::decode(&array(&bytes[136..208])),
            events: u64::from_le_bytes(array(&bytes[208..216])),
            persisted_at: instant(216)?,
            last_event_id: id(224),
            ids: (id(240), id(256)),
            timestamps: (instant(272)?, instant(280)?),
            places,
        };
        // Whatever is not as it would be written is not to be read.
        let is_known = u16::from_le_bytes(array(&bytes[12..14])) == VERSION;
        (is_known && header.is_sound() && header.encode() == *bytes).then_some(header)
    }

    /// Whether all numbers fit one another.
    fn is_sound(&self) -> bool {
        let sizes = PAGE_BYTES_MIN..=PAGE_BYTES_MAX;
        let (first, end) = (self.begin.next_position, self.end.next_position);
        let positions = match end.checked_sub(first) {
            Some(positions @ 1..) if first > 0 && positions < u64::from(u32::MAX) => positions,
            _ => return false,
        };
        if !sizes.contains(&self.page_bytes) || self.events > positions {
            return false;
        }
        let mut next_page = Some(1_u32);
        for (section, place) in Section::ALL.into_iter().zip(&self.places) {
            let in_page = self.entries_per_page(section);
            if next_page != Some(place.first_page)
                || place.entries.div_ceil(in_page) > u64::from(place.pages)
                || section.entry_bytes() > 1
                    && place.entries.div_ceil(in_page) != u64::from(place.pages)
            {
                return false;
            }
            next_page = place.first_page.checked_add(place.pages);
        }
        let blocks = Block::number(end - 1) - Block::number(first) + 1;
        next_page.is_some()
            && self.section(Section::Locations).entries == positions
            && self.section(Section::Blocks).entries == blocks
            && self.section(Section::Ids).entries <= self.events
    }
}

const _: () = assert!(SECTIONS_FROM + PLACE_BYTES * Section::ALL.len() <= HEADER_BYTES);
