//! Recorded events as JSON: the form of the HTTP interface and of an export.

use std::fmt;
use std::io::Write;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::event::{DEFAULT_VERSION, METADATA_NAMES};
use crate::{EventRef, IdRef, Json, Metadata, RecordedEvent, StreamId, Text, Timestamp};

impl Serialize for RecordedEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_struct("RecordedEvent", 9)?;
        event.serialize_field("aggregateType", &**self.stream.aggregate_type())?;
        event.serialize_field("aggregateId", &**self.stream.aggregate_id())?;
        event.serialize_field("eventType", &*self.event_type)?;
        event.serialize_field("payload", &self.payload)?;
        let tags: Vec<&str> = self.tags.iter().map(|tag| &**tag).collect();
        event.serialize_field("tags", &tags)?;
        event.serialize_field("metadata", &self.metadata)?;
        event.serialize_field("sequenceNumber", &self.sequence_number)?;
        event.serialize_field("position", &self.position)?;
        event.serialize_field("persistedAt", &self.persisted_at)?;
        event.end()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("eventId", &self.event_id.to_string())?;
        map.serialize_entry("version", &*self.version)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("correlationId", &*self.correlation_id)?;
        if let Some(causation_id) = &self.causation_id {
            map.serialize_entry("causationId", &**causation_id)?;
        }
        if let Some(actor) = &self.actor {
            map.serialize_entry("actor", &**actor)?;
        }
        for (name, value) in &self.extra {
            map.serialize_entry(&**name, value)?;
        }
        map.end()
    }
}

impl EventRef<'_> {
    /// Adds the event to `json`: the text that serializing it as a [`RecordedEvent`] makes, put
    /// together of what is stored, which is JSON already where it matters.
    ///
    /// ```
    /// # use retold_core::{EventRef, NewEvent, StreamId, Timestamp};
    /// # let issue = StreamId::new("Issue", "42").unwrap();
    /// # let event = NewEvent::new(issue, "issue.opened", &1).unwrap();
    /// # let event = event.record(1, 1, Timestamp::now());
    /// let mut line = Vec::new();
    /// EventRef::from(&event).write_json(&mut line);
    /// assert_eq!(line, serde_json::to_vec(&event).unwrap());
    /// ```
    pub fn write_json(&self, json: &mut Vec<u8>) {
        json.extend_from_slice(br#"{"aggregateType":"#);
        write_text(json, self.aggregate_type);
        json.extend_from_slice(br#","aggregateId":"#);
        write_id(json, self.aggregate_id);
        json.extend_from_slice(br#","eventType":"#);
        write_text(json, self.event_type);
        json.extend_from_slice(br#","payload":"#);
        json.extend_from_slice(self.payload.as_bytes());
        json.extend_from_slice(br#","tags":["#);
        for (nth, tag) in self.tags.iter().enumerate() {
            if nth > 0 {
                json.push(b',');
            }
            write_text(json, tag);
        }
        json.extend_from_slice(br#"],"metadata":{"eventId":"#);
        write_id(json, IdRef::Uuid(self.event_id));
        json.extend_from_slice(br#","version":"#);
        write_text(json, self.version);
        json.extend_from_slice(br#","timestamp":"#);
        write_timestamp(json, self.timestamp);
        json.extend_from_slice(br#","correlationId":"#);
        write_id(json, self.correlation_id);
        if let Some(causation_id) = self.causation_id {
            json.extend_from_slice(br#","causationId":"#);
            write_id(json, causation_id);
        }
        if let Some(actor) = self.actor {
            json.extend_from_slice(br#","actor":"#);
            write_text(json, actor);
        }
        for (name, value) in &self.extra {
            json.push(b',');
            write_text(json, name);
            json.push(b':');
            json.extend_from_slice(value.as_bytes());
        }
        json.extend_from_slice(br#"},"sequenceNumber":"#);
        write_number(json, self.sequence_number);
        json.extend_from_slice(br#","position":"#);
        write_number(json, self.position);
        json.extend_from_slice(br#","persistedAt":"#);
        write_timestamp(json, self.persisted_at);
        json.push(b'}');
    }
}

fn write_text(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("a text becomes JSON, and memory takes it");
}

fn write_number(json: &mut Vec<u8>, number: u64) {
    serde_json::to_writer(json, &number).expect("a number becomes JSON, and memory takes it");
}

fn write_id(json: &mut Vec<u8>, id: IdRef<'_>) {
    match id {
        IdRef::Text(text) => write_text(json, text),
        IdRef::Uuid(uuid) => {
            let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
            let spelled: &str = uuid.hyphenated().encode_lower(&mut buffer);
            json.push(b'"');
            json.extend_from_slice(spelled.as_bytes());
            json.push(b'"');
        }
    }
}

fn write_timestamp(json: &mut Vec<u8>, timestamp: Timestamp) {
    json.push(b'"');
    write!(json, "{timestamp}").expect("memory takes it");
    json.push(b'"');
}

impl<'de> Deserialize<'de> for RecordedEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Fields {
            aggregate_type: String,
            aggregate_id: String,
            event_type: String,
            payload: Json,
            #[serde(default)]
            tags: Vec<String>,
            metadata: Metadata,
            sequence_number: u64,
            position: u64,
            persisted_at: Timestamp,
        }
        let fields = Fields::deserialize(deserializer)?;
        let stream =
            StreamId::new(fields.aggregate_type, fields.aggregate_id).map_err(de::Error::custom)?;
        Ok(RecordedEvent {
            stream,
            event_type: fields.event_type.into(),
            payload: fields.payload,
            tags: fields.tags.into_iter().map(Text::from).collect(),
            metadata: fields.metadata,
            sequence_number: fields.sequence_number,
            position: fields.position,
            persisted_at: fields.persisted_at,
        })
    }
}

impl<'de> Deserialize<'de> for Metadata {
    /// Absent fields get their defaults, as [`Metadata::default`] says.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let (mut event_id, mut version, mut timestamp) = (None, None, None);
        let (mut correlation_id, mut causation_id, mut actor) = (None, None, None);
        let mut extra: Vec<(Text, Json)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "eventId" => once(&mut event_id, map.next_value::<String>()?, 0)?,
                "version" => once(&mut version, map.next_value::<String>()?, 1)?,
                "timestamp" => once(&mut timestamp, map.next_value::<Timestamp>()?, 2)?,
                "correlationId" => once(&mut correlation_id, map.next_value::<String>()?, 3)?,
                "causationId" => once(&mut causation_id, map.next_value::<String>()?, 4)?,
                "actor" => once(&mut actor, map.next_value::<String>()?, 5)?,
                _ => extra.push((name.into(), map.next_value()?)),
            }
        }
        let fallback = Metadata::default();
        let event_id = event_id
            .map(|text: String| Uuid::parse_str(&text).map_err(de::Error::custom))
            .transpose()?;
        Ok(Metadata {
            event_id: event_id.unwrap_or(fallback.event_id),
            version: version.map_or(DEFAULT_VERSION, Text::from),
            timestamp: timestamp.unwrap_or(fallback.timestamp),
            correlation_id: correlation_id.map_or(fallback.correlation_id, Text::from),
            causation_id: causation_id.map(Text::from),
            actor: actor.map(Text::from),
            extra,
        })
    }
}

/// Fills a field that may be given only once; `nth` is its place in [`METADATA_NAMES`].
fn once<T, E: de::Error>(field: &mut Option<T>, value: T, nth: usize) -> Result<(), E> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::duplicate_field(METADATA_NAMES[nth])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Text> {
        prop_oneof!["[a-z]{1,9}", any::<String>()].prop_map(Text::from)
    }

    fn json() -> impl Strategy<Value = Json> {
        prop_oneof![
            any::<String>().prop_map(|text| Json::from_value(&text).unwrap()),
            any::<i64>().prop_map(|number| Json::from_value(&[number]).unwrap()),
        ]
    }

    fn timestamp() -> impl Strategy<Value = Timestamp> {
        let micros = Timestamp::MIN.as_micros()..=Timestamp::MAX.as_micros();
        let whole = 0..2_000_000_000_i64;
        prop_oneof![micros, whole.prop_map(|seconds| seconds * 1_000_000)]
            .prop_map(|micros| Timestamp::from_micros(micros).unwrap())
    }

    fn metadata() -> impl Strategy<Value = Metadata> {
        let ids = (any::<u128>(), text(), proptest::option::of(text()));
        let named = proptest::collection::vec((text(), json()), 0..3);
        (
            ids,
            text(),
            timestamp(),
            proptest::option::of(text()),
            named,
        )
            .prop_map(
                |((event_id, correlation_id, causation_id), version, timestamp, actor, extra)| {
                    Metadata {
                        event_id: Uuid::from_u128(event_id),
                        version,
                        timestamp,
                        correlation_id,
                        causation_id,
                        actor,
                        extra,
                    }
                },
            )
    }

    fn event() -> impl Strategy<Value = RecordedEvent> {
        let names = (text(), text(), text());
        let tags = proptest::collection::vec(text(), 0..3);
        let numbers = (any::<u64>(), any::<u64>(), timestamp());
        (names, json(), tags, metadata(), numbers).prop_map(
            |((of, id, event_type), payload, tags, metadata, numbers)| RecordedEvent {
                stream: StreamId::from_stored(of, id),
                event_type,
                payload,
                tags,
                metadata,
                sequence_number: numbers.0,
                position: numbers.1,
                persisted_at: numbers.2,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_joined_is_what_is_serialized(event in event()) {
            let serialized = serde_json::to_string(&event).unwrap();
            let mut joined = Vec::new();
            let mut of_ids = EventRef::from(&event);
            of_ids.write_json(&mut joined);
            prop_assert_eq!(String::from_utf8(joined).unwrap(), serialized);
            // An id that is stored as a UUID is spelled as its text would be.
            let id = event.metadata.event_id;
            of_ids.correlation_id = IdRef::Uuid(id);
            let mut with_uuid = Vec::new();
            of_ids.write_json(&mut with_uuid);
            let spelled = id.to_string();
            of_ids.correlation_id = IdRef::Text(&spelled);
            let mut with_text = Vec::new();
            of_ids.write_json(&mut with_text);
            prop_assert_eq!(with_uuid, with_text);
        }
    }
}
