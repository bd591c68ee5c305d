//! The digest of an event: what proofs, moves and comparisons of stores rest on.
//! FORMAT.md draws the encoding; the vectors below are part of it.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::{RecordedEvent, Text};

/// SHA-256 over every recorded field and the tags of an event, in an encoding that no store
/// has a say in. The log's id is not part of it, so that a moved event keeps its digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventDigest([u8; 32]);

/// What every encoding begins with: a digest of something else is never a digest of an event.
const DOMAIN: &[u8] = b"retold event digest 1\n";

impl EventDigest {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for EventDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl RecordedEvent {
    /// Computes the event's digest. It is not stored anywhere.
    pub fn digest(&self) -> EventDigest {
        let mut encoding = Encoding(Sha256::new_with_prefix(DOMAIN));
        let metadata = &self.metadata;
        encoding.text(self.stream.aggregate_type());
        encoding.text(self.stream.aggregate_id());
        encoding.text(&self.event_type);
        encoding.text(self.payload.as_str());
        encoding.number(self.tags.len() as u64);
        for tag in &self.tags {
            encoding.text(tag);
        }
        encoding.0.update(metadata.event_id.as_bytes());
        encoding.text(&metadata.version);
        encoding.signed(metadata.timestamp.as_micros());
        encoding.text(&metadata.correlation_id);
        encoding.optional(metadata.causation_id.as_ref());
        encoding.optional(metadata.actor.as_ref());
        encoding.number(metadata.extra.len() as u64);
        for (name, value) in &metadata.extra {
            encoding.text(name);
            encoding.text(value.as_str());
        }
        encoding.number(self.sequence_number);
        encoding.number(self.position);
        encoding.signed(self.persisted_at.as_micros());
        EventDigest(encoding.0.finalize().into())
    }
}

/// Numbers are 8 bytes, big end first; a text is its length and its bytes; what may be absent
/// is the byte 0, or the byte 1 and the text.
struct Encoding(Sha256);

impl Encoding {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn signed(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&Text>) {
        self.0.update([u8::from(text.is_some())]);
        if let Some(text) = text {
            self.text(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Json, Metadata, RecordedEvent, StreamId, Text, Timestamp};

    fn minimal() -> RecordedEvent {
        RecordedEvent {
            stream: StreamId::new("Issue", "42").unwrap(),
            event_type: "start_work".into(),
            payload: Json::parse("{}").unwrap(),
            tags: Vec::new(),
            metadata: Metadata {
                event_id: uuid::Uuid::from_u128(1),
                version: "1.0.0".into(),
                timestamp: "2024-01-31T12:00:00.000001Z".parse().unwrap(),
                correlation_id: "c".into(),
                causation_id: None,
                actor: None,
                extra: Vec::new(),
            },
            sequence_number: 1,
            position: 1,
            persisted_at: Timestamp::from_micros(0).unwrap(),
        }
    }

    fn full() -> RecordedEvent {
        let mut event = minimal();
        event.payload = Json::parse(r#"{"b":1.50,"a":"\u00e9\u0301"}"#).unwrap();
        event.tags = vec![Text::from_static("urgent"), Text::from_static("\u{1F980}")];
        event.metadata.causation_id = Some("caused".into());
        event.metadata.actor = Some("user-123".into());
        let trace = Json::parse(r#""00-ab-cd-01""#).unwrap();
        event.metadata.extra = vec![("traceparent".into(), trace)];
        event.sequence_number = 7;
        event.position = 1 << 40;
        event.persisted_at = Timestamp::from_micros(-1).unwrap();
        event
    }

    #[test]
    fn the_vectors_of_format_md() {
        let vectors = [minimal().digest().to_string(), full().digest().to_string()];
        assert_eq!(
            vectors,
            [
                "ec645c6fa1dd83a65ec494e1877157d7795905d3210bbba9a158d2d54cc53ea7",
                "c188bba460cb536b9c5a3cda487b7db972ae618ab0eb04aa1b5c395f8e243b40"
            ]
        );
    }

    #[test]
    fn every_field_counts() {
        let changes: [fn(&mut RecordedEvent); 13] = [
            |event| event.stream = StreamId::new("Issue", "43").unwrap(),
            |event| event.stream = StreamId::new("Issue4", "2").unwrap(),
            |event| event.event_type = "start_works".into(),
            |event| event.payload = Json::parse(r#"{"a":1}"#).unwrap(),
            |event| event.tags = vec!["urgent".into()],
            |event| event.metadata.event_id = uuid::Uuid::from_u128(2),
            |event| event.metadata.version = "1.0.1".into(),
            |event| event.metadata.timestamp = Timestamp::from_micros(0).unwrap(),
            |event| event.metadata.correlation_id = "d".into(),
            |event| event.metadata.causation_id = Some("c".into()),
            |event| event.metadata.actor = Some("c".into()),
            |event| event.metadata.extra = vec![("k".into(), Json::null())],
            |event| event.persisted_at = Timestamp::from_micros(1).unwrap(),
        ];
        let mut digests = vec![minimal().digest()];
        for change in changes {
            let mut event = minimal();
            change(&mut event);
            digests.push(event.digest());
        }
        for (sequence_number, position) in [(2, 1), (1, 2)] {
            let mut event = minimal();
            (event.sequence_number, event.position) = (sequence_number, position);
            digests.push(event.digest());
        }
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 16);
    }
}
