//! A reader of the log written from FORMAT.md alone, none of the engine's code in it. It
//! checks whatever the document says that holds of every byte, and panics where it does not.

use retold_core::{Json, Metadata, RecordedEvent, StreamId, Text, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub(crate) const SEGMENT_HEADER_BYTES: usize = 128;
pub(crate) const FRAME_HEADER_BYTES: usize = 88;
const ENVELOPE_BYTES: usize = 12;

/// A segment's file, taken apart.
pub(crate) struct Segment {
    pub(crate) log_id: Uuid,
    pub(crate) first_position: u64,
    /// First position, last position, length and digest of the segment before.
    pub(crate) previous: (u64, u64, u64, [u8; 32]),
    pub(crate) frames: Vec<Frame>,
    /// Where the frames end.
    pub(crate) end: usize,
}

/// A frame with its records.
pub(crate) struct Frame {
    pub(crate) offset: usize,
    pub(crate) kind: u8,
    pub(crate) first_position: u64,
    pub(crate) epoch: u64,
    pub(crate) durable_offset: u64,
    pub(crate) digest: [u8; 32],
    pub(crate) records: Vec<Vec<u8>>,
}

/// CRC-32C (Castagnoli), bit by bit, over pieces laid end to end.
fn crc32c(pieces: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in pieces.concat() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

fn number(bytes: &[u8], offset: usize, length: usize) -> u64 {
    let bytes = bytes[offset..offset + length].iter().rev();
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes[offset..offset + N].try_into().unwrap()
}

/// Reads HEAD: the newest segment's name and the log's id.
pub(crate) fn head(text: &str) -> (String, Uuid) {
    assert_eq!(text.len(), 80);
    let (checked, checksum) = text.split_at(71);
    assert_eq!(checksum, format!("{:08x}\n", crc32c(&[checked.as_bytes()])));
    let lines: Vec<&str> = checked.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "retold 1"));
    (lines[1].to_owned(), lines[2].parse().unwrap())
}

/// Reads a segment up to the first place without a frame.
pub(crate) fn segment(bytes: &[u8]) -> Segment {
    assert_eq!(bytes[..8], *b"\xf5RTSEGM1");
    assert_eq!(number(bytes, 8, 4), u64::from(crc32c(&[&bytes[12..128]])));
    assert_eq!(number(bytes, 12, 2), 1, "the version");
    assert_eq!((number(bytes, 14, 2), &bytes[96..128]), (0, &[0; 32][..]));
    let log_id = Uuid::from_bytes(array(bytes, 16));
    let mut frames: Vec<Frame> = Vec::new();
    let mut offset = SEGMENT_HEADER_BYTES;
    let mut previous: [u8; 32] = Sha256::digest(&bytes[..128]).into();
    while bytes.len() >= offset + FRAME_HEADER_BYTES && bytes[offset] == 0xf5 {
        assert_eq!(offset % 8, 0);
        let length = number(bytes, offset + 16, 4) as usize;
        assert_eq!(array::<32>(bytes, offset + 56), previous, "the chain");
        let frame = frame(&bytes[offset..offset + length], offset, log_id);
        previous = frame.digest;
        offset = (offset + length).next_multiple_of(8);
        frames.push(frame);
    }
    Segment {
        log_id,
        first_position: number(bytes, 32, 8),
        previous: (
            number(bytes, 40, 8),
            number(bytes, 48, 8),
            number(bytes, 56, 8),
            array(bytes, 64),
        ),
        frames,
        end: offset,
    }
}

fn frame(bytes: &[u8], offset: usize, log_id: Uuid) -> Frame {
    assert_eq!(bytes[..8], *b"\xf5RTFRAM1");
    let count = number(bytes, 20, 4) as usize;
    let table = &bytes[bytes.len() - 4 * count..];
    let checksum = crc32c(&[log_id.as_bytes(), &bytes[12..88], table]);
    assert_eq!(number(bytes, 8, 4), u64::from(checksum));
    assert_eq!((number(bytes, 13, 3), number(bytes, 48, 8)), (0, 0));
    let mut records = Vec::new();
    let mut from = FRAME_HEADER_BYTES;
    for length in table.chunks(4) {
        let length = number(length, 0, 4) as usize;
        records.push(bytes[from..from + length].to_vec());
        from += length;
    }
    assert_eq!(from, bytes.len() - table.len(), "the table");
    Frame {
        offset,
        kind: bytes[12],
        first_position: number(bytes, 24, 8),
        epoch: number(bytes, 32, 8),
        durable_offset: number(bytes, 40, 8),
        digest: Sha256::digest(bytes).into(),
        records,
    }
}

/// Checks a record's envelope; returns the field bits and the body.
pub(crate) fn record(record: &[u8], log_id: Uuid, position: u64) -> (u8, &[u8]) {
    assert_eq!(number(record, 0, 4), record.len() as u64);
    let checked = [log_id.as_bytes(), &position.to_le_bytes()[..], &record[8..]];
    assert_eq!(number(record, 4, 4), u64::from(crc32c(&checked)));
    assert_eq!((record[8], number(record, 10, 2)), (0, 0), "codec and key");
    (record[9], &record[ENVELOPE_BYTES..])
}

/// Reads the record of an event.
pub(crate) fn event(bytes: &[u8], log_id: Uuid, position: u64) -> RecordedEvent {
    let (fields, body) = record(bytes, log_id, position);
    let mut body = Body(body);
    let event_id = Uuid::from_bytes(array(body.take(16), 0));
    let timestamp = body.timestamp();
    let persisted_at = body.timestamp();
    let sequence_number = body.leb128();
    let stream = StreamId::new(body.text(), body.id()).unwrap();
    let event_type = body.text();
    let correlation_id = body.id();
    let has = |bit: u8| fields & 1 << bit != 0;
    let version = if has(0) { body.text() } else { "1.0.0".into() };
    let causation_id = has(1).then(|| body.id());
    let actor = has(2).then(|| body.text());
    let tags = if has(3) { body.leb128() } else { 0 };
    let tags = (0..tags).map(|_| body.text()).collect();
    let extra = if has(4) { body.leb128() } else { 0 };
    let extra = (0..extra).map(|_| (body.text(), Json::from_stored(body.text())));
    RecordedEvent {
        metadata: Metadata {
            event_id,
            version,
            timestamp,
            correlation_id,
            causation_id,
            actor,
            extra: extra.collect(),
        },
        stream,
        event_type,
        tags,
        payload: Json::from_stored(utf8(body.0)),
        sequence_number,
        position,
        persisted_at,
    }
}

struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn timestamp(&mut self) -> Timestamp {
        let micros = number(self.take(8), 0, 8).cast_signed();
        Timestamp::from_micros(micros).unwrap()
    }

    fn leb128(&mut self) -> u64 {
        let length = self.0.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
        let bytes = self.take(length).iter().rev();
        bytes.fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
    }

    fn text(&mut self) -> Text {
        let length = self.leb128() as usize;
        utf8(self.take(length))
    }

    fn id(&mut self) -> Text {
        let length = self.leb128();
        let bytes = self.take((length >> 1) as usize);
        match length & 1 {
            1 => Uuid::from_bytes(array(bytes, 0))
                .hyphenated()
                .to_string()
                .into(),
            _ => utf8(bytes),
        }
    }
}

fn utf8(bytes: &[u8]) -> Text {
    std::str::from_utf8(bytes).unwrap().into()
}
