//! Recorded events as JSON: the form of the HTTP interface and of an export.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::event::{DEFAULT_VERSION, METADATA_NAMES};
use crate::{Json, Metadata, RecordedEvent, StreamId, Text, Timestamp};

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
