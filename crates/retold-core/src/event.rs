//! Events: as a caller hands them in, and as the log keeps them.

use serde::Serialize;
use uuid::Uuid;

use crate::stream_id::{check_text, has_control};
use crate::{Error, EventId, Json, Position, SequenceNumber, StreamId, Text, Timestamp, limits};

/// Who, why, when and in which context: what is known of an event beside its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Identifies the event over the whole store; appending it again changes nothing.
    pub event_id: EventId,
    /// The version of the payload's shape; "1.0.0" unless told otherwise.
    pub version: Text,
    /// When it happened, as the caller says.
    pub timestamp: Timestamp,
    /// What belongs together: one request, one case, one story.
    pub correlation_id: Text,
    /// The event or command that caused this event.
    pub causation_id: Option<Text>,
    /// Who did it.
    pub actor: Option<Text>,
    /// Any further keys in the order given. Keys that start with `$` are Retold's own.
    pub extra: Vec<(Text, Json)>,
}

/// The names of the metadata that have a field of their own.
pub(crate) const METADATA_NAMES: [&str; 6] = [
    "eventId",
    "version",
    "timestamp",
    "correlationId",
    "causationId",
    "actor",
];

/// The version of a payload's shape where none is given.
pub(crate) const DEFAULT_VERSION: Text = Text::from_static("1.0.0");

impl Default for Metadata {
    /// A new event id (UUIDv7), a new correlation id, version 1.0.0, and the time now.
    fn default() -> Self {
        Metadata::with_ids(None, None)
    }
}

impl Metadata {
    /// With these ids; one that is not given is made, a UUIDv7. The rest is as by default.
    pub fn with_ids(event_id: Option<EventId>, correlation_id: Option<Text>) -> Self {
        let made = || Text::from(Uuid::now_v7().to_string());
        Metadata {
            event_id: event_id.unwrap_or_else(Uuid::now_v7),
            version: DEFAULT_VERSION,
            timestamp: Timestamp::now(),
            correlation_id: correlation_id.unwrap_or_else(made),
            causation_id: None,
            actor: None,
            extra: Vec::new(),
        }
    }

    /// The value of a further key; the last one where it was given twice.
    pub fn extra(&self, key: &str) -> Option<&Json> {
        let mut found = self.extra.iter().rev().filter(|(name, _)| name == key);
        found.next().map(|(_, value)| value)
    }

    /// Checks each field against its limit, and all of them together.
    fn check(&self) -> Result<(), Error> {
        check_text("metadata.version", &self.version, limits::VERSION_BYTES_MAX)?;
        check_text(
            "metadata.correlationId",
            &self.correlation_id,
            limits::CORRELATION_ID_BYTES_MAX,
        )?;
        if let Some(causation_id) = &self.causation_id {
            check_text(
                "metadata.causationId",
                causation_id,
                limits::CAUSATION_ID_BYTES_MAX,
            )?;
        }
        if let Some(actor) = &self.actor {
            check_text("metadata.actor", actor, limits::ACTOR_BYTES_MAX)?;
        }
        for (name, _) in &self.extra {
            let field = || format!("metadata.{name}");
            if METADATA_NAMES.contains(&&**name) {
                return Err(Error::invalid(
                    field(),
                    "must be given once, in its own field",
                ));
            }
            if has_control(name) {
                return Err(Error::invalid(
                    "metadata",
                    "must not hold control characters in a key",
                ));
            }
        }
        let bytes = self.json_bytes();
        if bytes > limits::METADATA_BYTES_MAX {
            return Err(Error::TooLarge {
                field: "metadata".into(),
                max: limits::METADATA_BYTES_MAX,
                actual: bytes,
            });
        }
        Ok(())
    }

    /// The length of the metadata as a compact JSON object, escapes not counted.
    pub(crate) fn json_bytes(&self) -> usize {
        /// `"":,` around a name and its value.
        const AROUND_NAME: usize = 4;
        /// `""` around a text.
        const AROUND_TEXT: usize = 2;
        let texts = [
            Some(("eventId", "00000000-0000-0000-0000-000000000000".len())),
            Some(("version", self.version.len())),
            Some(("timestamp", "2024-01-01T00:00:00.000000Z".len())),
            Some(("correlationId", self.correlation_id.len())),
            self.causation_id
                .as_ref()
                .map(|id| ("causationId", id.len())),
            self.actor.as_ref().map(|actor| ("actor", actor.len())),
        ];
        let fields: usize = texts
            .into_iter()
            .flatten()
            .map(|(name, bytes)| name.len() + bytes + AROUND_NAME + AROUND_TEXT)
            .sum();
        let extra: usize = self
            .extra
            .iter()
            .map(|(name, value)| name.len() + value.as_str().len() + AROUND_NAME)
            .sum();
        fields + extra + "{}".len() - ",".len()
    }
}

/// An event to be appended.
///
/// ```
/// use retold_core::{NewEvent, StreamId};
///
/// let event = NewEvent::new(StreamId::new("Issue", "42")?, "issue.commented", &serde_json::json!({"text": "hi"}))?
///     .actor("user-123")
///     .tag("urgent");
/// assert_eq!(event.payload.as_str(), r#"{"text":"hi"}"#);
/// # Ok::<(), retold_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// What happened, such as `issue.commented`.
    pub event_type: Text,
    /// The facts.
    pub payload: Json,
    /// Words to find it by.
    pub tags: Vec<Text>,
    /// Identity and context.
    pub metadata: Metadata,
}

impl NewEvent {
    /// An event with a new id, the time now, a correlation id of its own, and no tags.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `payload` cannot be written as JSON.
    pub fn new(
        stream: StreamId,
        event_type: impl Into<Text>,
        payload: &(impl Serialize + ?Sized),
    ) -> Result<NewEvent, Error> {
        let payload = Json::from_value(payload).map_err(|error| error.of("payload"))?;
        Ok(NewEvent::from_json(stream, event_type, payload))
    }

    /// The same for a payload that is JSON already.
    pub fn from_json(stream: StreamId, event_type: impl Into<Text>, payload: Json) -> NewEvent {
        NewEvent {
            stream,
            event_type: event_type.into(),
            payload,
            tags: Vec::new(),
            metadata: Metadata::default(),
        }
    }

    /// Sets the id by which a retry is recognised.
    pub fn event_id(mut self, event_id: EventId) -> Self {
        self.metadata.event_id = event_id;
        self
    }

    /// Sets when it happened.
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.metadata.timestamp = timestamp;
        self
    }

    /// Sets the version of the payload's shape.
    pub fn version(mut self, version: impl Into<Text>) -> Self {
        self.metadata.version = version.into();
        self
    }

    /// Sets what it belongs together with.
    pub fn correlation_id(mut self, correlation_id: impl Into<Text>) -> Self {
        self.metadata.correlation_id = correlation_id.into();
        self
    }

    /// Sets what caused it.
    pub fn causation_id(mut self, causation_id: impl Into<Text>) -> Self {
        self.metadata.causation_id = Some(causation_id.into());
        self
    }

    /// Sets who did it.
    pub fn actor(mut self, actor: impl Into<Text>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// Adds a word to find it by.
    pub fn tag(mut self, tag: impl Into<Text>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// Adds a further key to the metadata.
    pub fn extra(mut self, key: impl Into<Text>, value: Json) -> Self {
        self.metadata.extra.push((key.into(), value));
        self
    }

    /// Checks every field against its form and its limit.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`] name the first field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        check_text("eventType", &self.event_type, limits::EVENT_TYPE_BYTES_MAX)?;
        let payload_bytes = self.payload.as_str().len();
        if payload_bytes > limits::PAYLOAD_BYTES_MAX {
            return Err(Error::TooLarge {
                field: "payload".into(),
                max: limits::PAYLOAD_BYTES_MAX,
                actual: payload_bytes,
            });
        }
        if self.tags.len() > limits::TAGS_MAX {
            return Err(Error::invalid(
                "tags",
                format!(
                    "must be at most {}, not {}",
                    limits::TAGS_MAX,
                    self.tags.len()
                ),
            ));
        }
        for (nth, tag) in self.tags.iter().enumerate() {
            check_text("tags", tag, limits::TAG_BYTES_MAX)?;
            if self.tags[..nth].contains(tag) {
                return Err(Error::invalid("tags", "must not name a tag twice"));
            }
        }
        self.metadata.check()
    }

    /// Whether `recorded` is this event, appended before: the same stream, event type and
    /// payload. Tags and metadata are not compared: an honest retry has a new timestamp.
    pub fn is_same_as(&self, recorded: &RecordedEvent) -> bool {
        self.stream == recorded.stream
            && self.event_type == recorded.event_type
            && self.payload == recorded.payload
    }

    /// The bytes that it counts for against [`limits::APPEND_BYTES_MAX`] and
    /// [`limits::PAGE_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        bytes(
            &self.stream,
            &self.event_type,
            &self.payload,
            &self.tags,
            &self.metadata,
        )
    }

    /// The event as the log keeps it at the place that the store gave it.
    pub fn record(
        self,
        sequence_number: SequenceNumber,
        position: Position,
        persisted_at: Timestamp,
    ) -> RecordedEvent {
        RecordedEvent {
            stream: self.stream,
            event_type: self.event_type,
            payload: self.payload,
            tags: self.tags,
            metadata: self.metadata,
            sequence_number,
            position,
            persisted_at,
        }
    }
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// What happened.
    pub event_type: Text,
    /// The facts.
    pub payload: Json,
    /// Words to find it by.
    pub tags: Vec<Text>,
    /// Identity and context.
    pub metadata: Metadata,
    /// Its place in its stream, from 1.
    pub sequence_number: SequenceNumber,
    /// Its place in the log, from 1.
    pub position: Position,
    /// When the store recorded it; never earlier than that of the position before.
    pub persisted_at: Timestamp,
}

impl RecordedEvent {
    /// The same event in memory of its own, for keeping it longer than the buffer it came from:
    /// what a store reads shares the memory of everything that was read with it.
    pub fn detached(&self) -> RecordedEvent {
        let own = |text: &Text| Text::from(&**text);
        let own_json = |json: &Json| Json::from_stored(own(json.as_text()));
        let Metadata {
            event_id,
            version,
            timestamp,
            correlation_id,
            causation_id,
            actor,
            extra,
        } = &self.metadata;
        let extra = extra.iter();
        RecordedEvent {
            stream: self.stream.detached(),
            event_type: own(&self.event_type),
            payload: own_json(&self.payload),
            tags: self.tags.iter().map(own).collect(),
            metadata: Metadata {
                event_id: *event_id,
                version: own(version),
                timestamp: *timestamp,
                correlation_id: own(correlation_id),
                causation_id: causation_id.as_ref().map(own),
                actor: actor.as_ref().map(own),
                extra: extra
                    .map(|(name, json)| (own(name), own_json(json)))
                    .collect(),
            },
            ..*self
        }
    }

    /// The bytes that it counts for against [`limits::PAGE_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        bytes(
            &self.stream,
            &self.event_type,
            &self.payload,
            &self.tags,
            &self.metadata,
        )
    }

    /// The event without the place that the store gave it, to be appended elsewhere.
    pub fn into_new(self) -> NewEvent {
        NewEvent {
            stream: self.stream,
            event_type: self.event_type,
            payload: self.payload,
            tags: self.tags,
            metadata: self.metadata,
        }
    }
}

/// A place of the log whose event was lost to damage that an operator has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The place in the log.
    pub position: Position,
    /// The stream the event belonged to, where that is still known.
    pub stream: Option<StreamId>,
    /// Its place in that stream, where that is still known.
    pub sequence_number: Option<SequenceNumber>,
    /// Its id, where that is still known.
    pub event_id: Option<EventId>,
}

fn bytes(
    stream: &StreamId,
    event_type: &Text,
    payload: &Json,
    tags: &[Text],
    metadata: &Metadata,
) -> usize {
    stream.aggregate_type().len()
        + stream.aggregate_id().len()
        + event_type.len()
        + payload.as_str().len()
        + tags.iter().map(|tag| tag.len()).sum::<usize>()
        + metadata.json_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> NewEvent {
        let stream = StreamId::new("Issue", "42").unwrap();
        NewEvent::from_json(stream, "issue.commented", Json::null())
    }

    #[test]
    fn a_detached_event_is_the_same_in_memory_of_its_own() {
        let mut new = event().tag("a").tag("b");
        new.payload = Json::parse(r#"{"a":[1,2]}"#).unwrap();
        new.metadata.causation_id = Some("cause".into());
        new.metadata.actor = Some("somebody".into());
        new.metadata.extra = vec![("key".into(), Json::null())];
        let recorded = new.record(3, 7, Timestamp::MIN);
        let detached = recorded.detached();
        assert_eq!(detached, recorded);
        let payload = detached.payload.as_text().clone();
        drop(detached);
        assert!(payload.into_bytes().is_unique());
    }

    #[test]
    fn each_field_over_its_limit_is_refused_by_name() {
        let long = |bytes: usize| Text::from("x".repeat(bytes));
        let payload = |bytes: usize| Json::parse(format!("\"{}\"", "x".repeat(bytes - 2))).unwrap();
        let mut payload_over = event();
        payload_over.payload = payload(limits::PAYLOAD_BYTES_MAX + 1);
        let mut type_over = event();
        type_over.event_type = long(129);
        let many_tags = (0..17).fold(event(), |event, nth| event.tag(format!("tag-{nth}")));
        let reason = payload(limits::METADATA_BYTES_MAX);
        let cases = [
            (payload_over, "payload"),
            (type_over, "eventType"),
            (many_tags, "tags"),
            (event().tag(""), "tags"),
            (event().tag(long(129)), "tags"),
            (event().tag("a").tag("a"), "tags"),
            (event().tag("a\tb"), "tags"),
            (event().version(""), "metadata.version"),
            (event().version(long(129)), "metadata.version"),
            (event().correlation_id(""), "metadata.correlationId"),
            (event().correlation_id(long(129)), "metadata.correlationId"),
            (event().causation_id(long(129)), "metadata.causationId"),
            (event().actor(""), "metadata.actor"),
            (event().actor("a\u{9f}"), "metadata.actor"),
            (event().actor(long(513)), "metadata.actor"),
            (event().extra("actor", Json::null()), "metadata.actor"),
            (event().extra("a\nb", Json::null()), "metadata"),
            (event().extra("reason", reason), "metadata"),
        ];
        for (event, wrong) in cases {
            match event.check() {
                Err(Error::Invalid { field, .. } | Error::TooLarge { field, .. }) => {
                    assert_eq!(field, wrong);
                }
                other => panic!("{wrong} over its limit gave {other:?}"),
            }
        }
    }

    #[test]
    fn each_field_at_its_limit_is_accepted() {
        let long = |bytes: usize| Text::from("x".repeat(bytes));
        let mut event = (0..16).fold(event(), |event, nth| event.tag(format!("{nth:0>128}")));
        event.event_type = long(128);
        event.payload =
            Json::parse(format!("\"{}\"", "x".repeat(limits::PAYLOAD_BYTES_MAX - 2))).unwrap();
        event = event
            .version(long(128))
            .correlation_id(long(128))
            .causation_id(long(128))
            .actor(long(512));
        event.check().unwrap();
    }

    #[test]
    fn the_size_of_metadata_is_that_of_their_json() {
        let metadata = event()
            .causation_id("caused")
            .actor("me")
            .timestamp("2024-01-01T00:00:00.000001Z".parse().unwrap())
            .extra("key", Json::parse("[1,2]").unwrap())
            .metadata;
        let json = serde_json::to_string(&metadata).unwrap();
        assert_eq!(metadata.json_bytes(), json.len());
    }

    #[test]
    fn a_recorded_event_is_the_same_after_a_way_through_json() {
        let stream = StreamId::new("Issue", "a/\"\u{1F980}").unwrap();
        let payload = Json::parse(r#"{"k":1e400,"k":[1.0]}"#).unwrap();
        let recorded = NewEvent::from_json(stream, "t", payload)
            .tag("urgent")
            .causation_id("c")
            .extra("again", Json::parse("1").unwrap())
            .extra("again", Json::parse("{\"a\":null}").unwrap())
            .record(3, 9, Timestamp::from_micros(1_700_000_000_123_456).unwrap());
        let json = serde_json::to_string(&recorded).unwrap();
        assert_eq!(
            serde_json::from_str::<RecordedEvent>(&json).unwrap(),
            recorded
        );
    }
}
