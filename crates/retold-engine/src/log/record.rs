//! One record: an event as bytes, under a checksum that also covers the log's id and the
//! position, so that a record that was read from the wrong place is seen. FORMAT.md draws it.

use bytes::Bytes;
use retold_core::{
    EventId, EventRef, IdRef, Json, LogId, Metadata, Position, RecordedEvent, SequenceNumber,
    StreamId, Text, Timestamp,
};
use uuid::Uuid;

use super::coding::{IdView, Rest, array, put_id, put_number, put_text};
use crate::planted::{self, Bug};

/// Bytes of what stands before every body: length, checksum, codec, fields, key id.
pub(crate) const ENVELOPE_BYTES: usize = 12;

/// Where the checksum begins: behind length and itself. The length is covered because the
/// number of bytes that are checked follows from it.
const CHECKED_FROM: usize = 8;

const HAS_VERSION: u8 = 1;
const HAS_CAUSATION: u8 = 1 << 1;
const HAS_ACTOR: u8 = 1 << 2;
const HAS_TAGS: u8 = 1 << 3;
const HAS_EXTRA: u8 = 1 << 4;
const KNOWN_FIELDS: u8 = HAS_VERSION | HAS_CAUSATION | HAS_ACTOR | HAS_TAGS | HAS_EXTRA;

/// The version of a payload's shape that takes no room.
const DEFAULT_VERSION: &str = "1.0.0";

/// Why bytes are not the record that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordFault {
    /// Shorter than its length says.
    Short,
    /// The checksum does not fit the bytes, the log and the position.
    Checksum,
    /// The checksum fits, but the content is not a record of this version of the format.
    Unknown,
}

impl RecordFault {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            RecordFault::Short => "a record is shorter than its length says",
            RecordFault::Checksum => "a record does not fit its checksum",
            RecordFault::Unknown => "a record was written by a newer version, or is malformed",
        }
    }
}

/// Appends the record of `event` to `buffer` and returns its length.
pub(crate) fn encode(buffer: &mut Vec<u8>, log_id: LogId, event: &RecordedEvent) -> u32 {
    let start = buffer.len();
    let metadata = &event.metadata;
    let mut fields = 0;
    let mut set = |bit, is_set: bool| fields |= if is_set { bit } else { 0 };
    set(HAS_VERSION, metadata.version != DEFAULT_VERSION);
    set(HAS_CAUSATION, metadata.causation_id.is_some());
    set(HAS_ACTOR, metadata.actor.is_some());
    set(HAS_TAGS, !event.tags.is_empty());
    set(HAS_EXTRA, !metadata.extra.is_empty());
    open_envelope(buffer, fields);
    buffer.extend_from_slice(metadata.event_id.as_bytes());
    buffer.extend_from_slice(&metadata.timestamp.as_micros().to_le_bytes());
    buffer.extend_from_slice(&event.persisted_at.as_micros().to_le_bytes());
    put_number(buffer, event.sequence_number);
    put_text(buffer, event.stream.aggregate_type());
    put_id(buffer, event.stream.aggregate_id());
    put_text(buffer, &event.event_type);
    put_id(buffer, &metadata.correlation_id);
    if fields & HAS_VERSION != 0 {
        put_text(buffer, &metadata.version);
    }
    if let Some(causation_id) = &metadata.causation_id {
        put_id(buffer, causation_id);
    }
    if let Some(actor) = &metadata.actor {
        put_text(buffer, actor);
    }
    if fields & HAS_TAGS != 0 {
        put_number(buffer, event.tags.len() as u64);
        event.tags.iter().for_each(|tag| put_text(buffer, tag));
    }
    if fields & HAS_EXTRA != 0 {
        put_number(buffer, metadata.extra.len() as u64);
        for (name, value) in &metadata.extra {
            put_text(buffer, name);
            put_text(buffer, value.as_str());
        }
    }
    buffer.extend_from_slice(event.payload.as_str().as_bytes());
    seal_envelope(buffer, start, log_id, event.position)
}

/// Appends a record that holds JSON for the log itself, not an event; `position` is that of
/// the next event.
pub(crate) fn encode_control(
    buffer: &mut Vec<u8>,
    log_id: LogId,
    position: Position,
    json: &[u8],
) -> u32 {
    let start = buffer.len();
    open_envelope(buffer, 0);
    buffer.extend_from_slice(json);
    seal_envelope(buffer, start, log_id, position)
}

fn open_envelope(buffer: &mut Vec<u8>, fields: u8) {
    buffer.extend_from_slice(&[0; 8]);
    // The codec, the fields, and the id of the key: nothing is compressed or encrypted yet.
    buffer.extend_from_slice(&[0, fields, 0, 0]);
}

fn seal_envelope(buffer: &mut [u8], start: usize, log_id: LogId, position: Position) -> u32 {
    let record = &mut buffer[start..];
    let length = u32::try_from(record.len()).expect("limits keep a record far below 4 GiB");
    record[..4].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(record, log_id, position);
    record[4..8].copy_from_slice(&checksum.to_le_bytes());
    length
}

fn checksum(record: &[u8], log_id: LogId, position: Position) -> u32 {
    let mut bound = [0; 24];
    bound[..16].copy_from_slice(log_id.as_bytes());
    bound[16..].copy_from_slice(&position.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&bound), &record[CHECKED_FROM..])
}

/// Checks a record and returns its body, without the envelope, and its fields.
fn open(record: &[u8], log_id: LogId, position: Position) -> Result<(u8, &[u8]), RecordFault> {
    let length = length(record).ok_or(RecordFault::Short)?;
    if length != record.len() {
        return Err(RecordFault::Short);
    }
    let stored = u32::from_le_bytes(array(&record[4..8]));
    let is_checked = !planted::is(Bug::RecordChecksumIgnored);
    if is_checked && stored != checksum(record, log_id, position) {
        return Err(RecordFault::Checksum);
    }
    let [codec, fields, key_low, key_high] = array(&record[8..ENVELOPE_BYTES]);
    if [codec, key_low, key_high] != [0; 3] || fields & !KNOWN_FIELDS != 0 {
        return Err(RecordFault::Unknown);
    }
    Ok((fields, &record[ENVELOPE_BYTES..]))
}

/// The length that the record at the beginning of `bytes` claims, if it may be one.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(array(bytes.get(..4)?)) as usize;
    (length >= ENVELOPE_BYTES).then_some(length)
}

/// Checks a control record and returns its JSON.
pub(crate) fn decode_control(
    record: &[u8],
    log_id: LogId,
    position: Position,
) -> Result<&[u8], RecordFault> {
    open(record, log_id, position).map(|(_, json)| json)
}

/// The names of the event that was decoded last: the next one often has the same.
#[derive(Default)]
pub(crate) struct Names {
    stream: Option<StreamId>,
    event_type: Option<Text>,
}

/// An event whose texts still lie in the buffer that it was read into.
pub(crate) struct RecordView<'a> {
    pub(crate) event_id: EventId,
    pub(crate) timestamp: Timestamp,
    pub(crate) persisted_at: Timestamp,
    pub(crate) sequence_number: SequenceNumber,
    aggregate_type: &'a [u8],
    aggregate_id: IdView<'a>,
    event_type: &'a [u8],
    correlation_id: IdView<'a>,
    version: Option<&'a [u8]>,
    causation_id: Option<IdView<'a>>,
    actor: Option<&'a [u8]>,
    tags: Vec<&'a [u8]>,
    extra: Vec<(&'a [u8], &'a [u8])>,
    payload: &'a [u8],
}

/// Checks a record and finds its parts.
pub(crate) fn decode(
    record: &[u8],
    log_id: LogId,
    position: Position,
) -> Result<RecordView<'_>, RecordFault> {
    let (fields, body) = open(record, log_id, position)?;
    decode_body(fields, body).ok_or(RecordFault::Unknown)
}

/// Checks a record, and no more.
pub(crate) fn check(record: &[u8], log_id: LogId, position: Position) -> Result<(), RecordFault> {
    open(record, log_id, position).map(|_| ())
}

/// The event of a record that was checked. None where it is malformed.
#[inline(always)]
pub(crate) fn read_checked(record: &[u8], position: Position) -> Option<EventRef<'_>> {
    let fields = *record.get(9)?;
    decode_body(fields & KNOWN_FIELDS, record.get(ENVELOPE_BYTES..)?)?.to_ref(position)
}

/// Finds the parts of a record whose checksum does not fit: a hint at what was lost, no more.
pub(crate) fn decode_unchecked(record: &[u8]) -> Option<RecordView<'_>> {
    let fields = *record.get(9)?;
    decode_body(fields & KNOWN_FIELDS, record.get(ENVELOPE_BYTES..)?)
}

#[inline(always)]
fn decode_body(fields: u8, body: &[u8]) -> Option<RecordView<'_>> {
    let mut rest = Rest(body);
    let has = |bit| fields & bit != 0;
    let event_id = Uuid::from_bytes(array(rest.take(16)?));
    let timestamp = rest.timestamp()?;
    let persisted_at = rest.timestamp()?;
    let sequence_number = rest.number()?;
    let aggregate_type = rest.text()?;
    let aggregate_id = rest.id()?;
    let event_type = rest.text()?;
    let correlation_id = rest.id()?;
    let version = if has(HAS_VERSION) {
        Some(rest.text()?)
    } else {
        None
    };
    let causation_id = if has(HAS_CAUSATION) {
        Some(rest.id()?)
    } else {
        None
    };
    let actor = if has(HAS_ACTOR) {
        Some(rest.text()?)
    } else {
        None
    };
    let mut tags = Vec::new();
    if has(HAS_TAGS) {
        for _ in 0..rest.number()? {
            tags.push(rest.text()?);
        }
    }
    let mut extra = Vec::new();
    if has(HAS_EXTRA) {
        for _ in 0..rest.number()? {
            extra.push((rest.text()?, rest.text()?));
        }
    }
    Some(RecordView {
        event_id,
        timestamp,
        persisted_at,
        sequence_number,
        aggregate_type,
        aggregate_id,
        event_type,
        correlation_id,
        version,
        causation_id,
        actor,
        tags,
        extra,
        payload: rest.0,
    })
}

impl<'a> RecordView<'a> {
    /// The stream's name, in memory of its own.
    pub(crate) fn stream(&self) -> Option<StreamId> {
        let aggregate_type = std::str::from_utf8(self.aggregate_type).ok()?;
        let aggregate_id = match self.aggregate_id {
            IdView::Uuid(bytes) => spelled(bytes, |id| Text::from(id)),
            IdView::Text(bytes) => Text::from(std::str::from_utf8(bytes).ok()?),
        };
        StreamId::new(aggregate_type, aggregate_id).ok()
    }

    /// The correlation id, in memory of its own.
    pub(crate) fn correlation_id(&self) -> Option<Text> {
        match self.correlation_id {
            IdView::Uuid(bytes) => Some(spelled(bytes, |id| Text::from(id))),
            IdView::Text(bytes) => std::str::from_utf8(bytes).ok().map(Text::from),
        }
    }

    /// The tags.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags
            .iter()
            .filter_map(|tag| std::str::from_utf8(tag).ok())
    }

    /// The event where it lies. None where a text is not UTF-8.
    #[inline(always)]
    fn to_ref(&self, position: Position) -> Option<EventRef<'a>> {
        fn text(bytes: &[u8]) -> Option<&str> {
            std::str::from_utf8(bytes).ok()
        }
        fn id(id: IdView<'_>) -> Option<IdRef<'_>> {
            match id {
                IdView::Uuid(bytes) => Some(IdRef::Uuid(Uuid::from_bytes(bytes))),
                IdView::Text(bytes) => text(bytes).map(IdRef::Text),
            }
        }
        // Most events have none.
        let mut tags = Vec::new();
        if !self.tags.is_empty() {
            tags.reserve_exact(self.tags.len());
            for tag in &self.tags {
                tags.push(text(tag)?);
            }
        }
        let mut extra = Vec::new();
        if !self.extra.is_empty() {
            extra.reserve_exact(self.extra.len());
            for (name, value) in &self.extra {
                extra.push((text(name)?, text(value)?));
            }
        }
        Some(EventRef {
            aggregate_type: text(self.aggregate_type)?,
            aggregate_id: id(self.aggregate_id)?,
            event_type: text(self.event_type)?,
            payload: text(self.payload)?,
            tags,
            event_id: self.event_id,
            version: self.version.map_or(Some(DEFAULT_VERSION), text)?,
            timestamp: self.timestamp,
            correlation_id: id(self.correlation_id)?,
            causation_id: match self.causation_id {
                Some(causation_id) => Some(id(causation_id)?),
                None => None,
            },
            actor: match self.actor {
                Some(actor) => Some(text(actor)?),
                None => None,
            },
            extra,
            sequence_number: self.sequence_number,
            position,
            persisted_at: self.persisted_at,
        })
    }

    /// The event, sharing `buffer`, in which the record lies, and the names that it has in
    /// common with events before. None where a text is not UTF-8.
    #[inline(always)]
    pub(crate) fn to_event(
        &self,
        buffer: &Bytes,
        position: Position,
        names: &mut Names,
    ) -> Option<RecordedEvent> {
        let text = |bytes: &[u8]| Text::try_from(buffer.slice_ref(bytes)).ok();
        let id = |id: IdView<'_>| match id {
            IdView::Uuid(bytes) => Some(spelled(bytes, |id| Text::from(id))),
            IdView::Text(bytes) => text(bytes),
        };
        let json = |bytes: &[u8]| text(bytes).map(Json::from_stored);
        let mut tags = Vec::with_capacity(self.tags.len());
        for tag in &self.tags {
            tags.push(text(tag)?);
        }
        let mut extra = Vec::with_capacity(self.extra.len());
        for (name, value) in &self.extra {
            extra.push((text(name)?, json(value)?));
        }
        if !names.stream.as_ref().is_some_and(|known| self.is_of(known)) {
            let (aggregate_type, aggregate_id) =
                (text(self.aggregate_type)?, id(self.aggregate_id)?);
            names.stream = Some(StreamId::from_stored(aggregate_type, aggregate_id));
        }
        let is_known = |known: &Text| known.as_bytes() == self.event_type;
        if !names.event_type.as_ref().is_some_and(is_known) {
            names.event_type = Some(text(self.event_type)?);
        }
        Some(RecordedEvent {
            stream: names.stream.clone()?,
            event_type: names.event_type.clone()?,
            payload: json(self.payload)?,
            tags,
            metadata: Metadata {
                event_id: self.event_id,
                version: match self.version {
                    Some(version) => text(version)?,
                    None => Text::from_static(DEFAULT_VERSION),
                },
                timestamp: self.timestamp,
                correlation_id: id(self.correlation_id)?,
                causation_id: match self.causation_id {
                    Some(causation_id) => Some(id(causation_id)?),
                    None => None,
                },
                actor: match self.actor {
                    Some(actor) => Some(text(actor)?),
                    None => None,
                },
                extra,
            },
            sequence_number: self.sequence_number,
            position,
            persisted_at: self.persisted_at,
        })
    }

    fn is_of(&self, stream: &StreamId) -> bool {
        let aggregate_id = stream.aggregate_id().as_bytes();
        stream.aggregate_type().as_bytes() == self.aggregate_type
            && match self.aggregate_id {
                IdView::Uuid(bytes) => spelled(bytes, |id| id.as_bytes() == aggregate_id),
                IdView::Text(bytes) => bytes == aggregate_id,
            }
    }
}

/// Does something with a UUID in its usual spelling.
fn spelled<T>(uuid: [u8; 16], call: impl FnOnce(&str) -> T) -> T {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    call(
        Uuid::from_bytes(uuid)
            .hyphenated()
            .encode_lower(&mut buffer),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use retold_core::NewEvent;

    use super::*;

    const LOG: LogId = Uuid::from_u128(7);

    fn event(id: &str, correlation: &str, payload: &str) -> RecordedEvent {
        NewEvent::from_json(
            StreamId::new("Issue", id).unwrap(),
            "issue.changed",
            Json::parse(payload).unwrap(),
        )
        .correlation_id(correlation)
        .record(300, 9, Timestamp::from_micros(5).unwrap())
    }

    fn encoded(event: &RecordedEvent) -> Vec<u8> {
        let mut buffer = Vec::new();
        let length = encode(&mut buffer, LOG, event);
        assert_eq!(length as usize, buffer.len());
        buffer
    }

    fn decoded(bytes: Vec<u8>, position: Position) -> Result<RecordedEvent, RecordFault> {
        let buffer = Bytes::from(bytes);
        let view = decode(&buffer, LOG, position)?;
        view.to_event(&buffer, position, &mut Names::default())
            .ok_or(RecordFault::Unknown)
    }

    #[test]
    fn an_event_comes_back_as_it_was() {
        let uuid = "018f4e1c-7a2b-7c3d-8e4f-5a6b7c8d9e0f";
        let plain = event("42", "request-1", "null");
        let full = event(uuid, uuid, r#"{"a":[1.50,"é"],"a":1e400}"#)
            .into_new()
            .version("2.1.0")
            .causation_id(uuid.to_uppercase())
            .actor("user-123")
            .tag("a")
            .tag("b")
            .extra("traceparent", Json::parse(r#""00-ab""#).unwrap())
            .record(u64::MAX, 9, Timestamp::MIN);
        for event in [plain, full] {
            assert_eq!(decoded(encoded(&event), 9).unwrap(), event);
        }
    }

    #[test]
    fn a_uuid_takes_sixteen_bytes_in_its_usual_spelling_only() {
        let usual = "018f4e1c-7a2b-7c3d-8e4f-5a6b7c8d9e0f";
        let bytes = |id: &str| encoded(&event(id, "c", "1")).len();
        assert_eq!(bytes(&usual.to_uppercase()) - bytes(usual), 20);
    }

    #[test]
    fn a_record_is_refused_at_another_place_and_with_any_bit_flipped() {
        let bytes = encoded(&event("42", "c", "{}"));
        assert_eq!(decoded(bytes.clone(), 10), Err(RecordFault::Checksum));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decoded(flipped, 9).is_err(), "bit {bit} was not noticed");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_neither_panic_nor_decode(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            assert!(decode(&bytes, LOG, 1).is_err());
            if let Some(view) = decode_unchecked(&bytes) {
                let _ = (view.stream(), view.correlation_id(), view.tags().count());
            }
        }
    }
}
