//! Events as they are sent: one to be appended, and one that was recorded elsewhere.

use retold::{EventId, Expected, Metadata, NewEvent, RecordedEvent, StreamId, Text, limits};
use uuid::Uuid;

use super::fields::opaque;
use super::{Fields, Trace};
use crate::api::answer::Problem;
use crate::api::limits::NUMBER_MAX;

/// Reads events out of the fields of objects.
pub(crate) trait EventFields {
    /// What is expected of the stream, where it is said.
    fn expected(&mut self) -> Result<Option<Expected>, Problem>;

    /// The stream, which may be named beside the path if it is the same; without a path it
    /// must be named.
    fn stream(&mut self, target: Option<&StreamId>) -> Result<StreamId, Problem>;

    /// The tags.
    fn tags(&mut self) -> Result<Vec<Text>, Problem>;

    /// The metadata, with their defaults.
    fn metadata(&mut self) -> Result<(Metadata, bool), Problem>;
}

impl EventFields for Fields<'_> {
    fn expected(&mut self) -> Result<Option<Expected>, Problem> {
        const KIND: &str = "\"any\", \"no_stream\", \"stream_exists\" or a sequence number";
        let refuse = || Problem::invalid("expected", format!("must be {KIND}"));
        let Some(value) = self.value::<serde_json::Value>("expected", KIND)? else {
            return Ok(None);
        };
        match (value.as_str(), value.as_u64()) {
            (Some("any"), _) => Ok(Some(Expected::Any)),
            (Some("no_stream"), _) | (_, Some(0)) => Ok(Some(Expected::NoStream)),
            (Some("stream_exists"), _) => Ok(Some(Expected::StreamExists)),
            (_, Some(sequence)) if sequence <= NUMBER_MAX => Ok(Some(Expected::Sequence(sequence))),
            _ => Err(refuse()),
        }
    }

    fn stream(&mut self, target: Option<&StreamId>) -> Result<StreamId, Problem> {
        let Some(target) = target else {
            let aggregate_type = self.required_text("aggregateType")?;
            let aggregate_id = self.required_text("aggregateId")?;
            return Ok(StreamId::new(aggregate_type, aggregate_id)?);
        };
        let parts = [
            ("aggregateType", target.aggregate_type()),
            ("aggregateId", target.aggregate_id()),
        ];
        for (name, of_path) in parts {
            if self.text(name)?.is_some_and(|given| given != *of_path) {
                return Err(Problem::invalid(name, "must be that of the path"));
            }
        }
        Ok(target.clone())
    }

    fn tags(&mut self) -> Result<Vec<Text>, Problem> {
        let tags = self.value::<Vec<String>>("tags", "a list of texts")?;
        Ok(tags
            .unwrap_or_default()
            .into_iter()
            .map(Text::from)
            .collect())
    }

    fn metadata(&mut self) -> Result<(Metadata, bool), Problem> {
        let Some(mut fields) = self.object("metadata", "metadata.")? else {
            return Ok((Metadata::default(), false));
        };
        let id = fields.borrowed_text("eventId")?;
        let id = id.map(|id| event_id("metadata.eventId", &id)).transpose()?;
        let mut metadata = Metadata::with_ids(id, fields.text("correlationId")?);
        if let Some(version) = fields.borrowed_text("version")?
            && *metadata.version != *version
        {
            metadata.version = Text::from(&*version);
        }
        if let Some(timestamp) = fields.timestamp("timestamp")? {
            metadata.timestamp = timestamp;
        }
        metadata.causation_id = fields.text("causationId")?;
        metadata.actor = fields.text("actor")?;
        for (name, raw) in fields.rest() {
            let value = opaque(|| "metadata".to_owned(), raw)?;
            metadata.extra.push((Text::from(name.as_ref()), value));
        }
        Ok((metadata, id.is_some()))
    }
}

/// Reads an event id.
pub(crate) fn event_id(name: &str, text: &str) -> Result<EventId, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::invalid(name, "must be a UUID"))
}

/// Takes an event to be appended out of the fields of an object; what belongs to the call and
/// not to the event is left.
pub(crate) fn new_event(
    fields: &mut Fields<'_>,
    target: Option<&StreamId>,
    trace: &Trace,
) -> Result<NewEvent, Problem> {
    let stream = fields.stream(target)?;
    let event_type = fields.required_text("eventType")?;
    let payload = fields
        .json("payload")?
        .ok_or_else(|| Problem::invalid("payload", "must be given; it may be null"))?;
    let tags = fields.tags()?;
    let (mut metadata, _) = fields.metadata()?;
    trace.note(&mut metadata);
    Ok(NewEvent {
        stream,
        event_type,
        payload,
        tags,
        metadata,
    })
}

/// Takes the events of a call that writes several out of its fields.
pub(crate) fn new_events(
    fields: &mut Fields<'_>,
    target: Option<&StreamId>,
    trace: &Trace,
) -> Result<Vec<NewEvent>, Problem> {
    let list = fields.list("events", "events", limits::EVENTS_PER_APPEND_MAX)?;
    let list = list.ok_or_else(|| Problem::invalid("events", "must be a list of events"))?;
    let read = |mut fields: Fields<'_>| {
        fields.refuse_repeated()?;
        let event = new_event(&mut fields, target, trace)?;
        fields.finish()?;
        Ok(event)
    };
    list.into_iter().map(read).collect()
}

/// Takes what a call expects of streams, none unless given, out of its fields.
pub(crate) fn checks(fields: &mut Fields<'_>) -> Result<Vec<(StreamId, Expected)>, Problem> {
    let list = fields.list("checks", "checks", limits::CONDITIONS_PER_APPEND_MAX)?;
    let read = |mut fields: Fields<'_>| {
        fields.refuse_repeated()?;
        let stream = fields.stream(None)?;
        let expected = fields.expected()?;
        let expected = expected.ok_or_else(|| Problem::invalid("expected", "must be given"))?;
        fields.finish()?;
        Ok((stream, expected))
    };
    list.unwrap_or_default().into_iter().map(read).collect()
}

/// Reads an event that was recorded elsewhere.
pub(crate) fn recorded_event(mut fields: Fields<'_>) -> Result<RecordedEvent, Problem> {
    let missing = |name: &str| Problem::invalid(name, "must be given");
    let mut place = |name: &str| {
        let place = fields.value::<u64>(name, "a whole number from 1")?;
        place.ok_or_else(|| missing(name))
    };
    let (sequence_number, position) = (place("sequenceNumber")?, place("position")?);
    let persisted_at = fields.timestamp("persistedAt")?;
    let persisted_at = persisted_at.ok_or_else(|| missing("persistedAt"))?;
    // A digest covers all metadata, so none may be made up here.
    let metadata = fields
        .raw("metadata")
        .ok_or_else(|| missing("metadata"))?
        .get();
    let recorded = new_event(&mut fields, None, &Trace::default())?;
    fields.finish()?;
    let mut recorded = recorded.record(sequence_number, position, persisted_at);
    recorded.metadata = complete_metadata(metadata)?;
    Ok(recorded)
}

fn complete_metadata(text: &str) -> Result<Metadata, Problem> {
    let body = format!("{{\"metadata\":{text}}}");
    let mut fields = Fields::of_body(&body)?;
    let given = Fields::of_body(&body)?.object("metadata", "metadata.")?;
    let required = ["eventId", "version", "timestamp", "correlationId"];
    let lacks = |name: &&str| given.as_ref().is_none_or(|given| !given.has(name));
    if let Some(name) = required.into_iter().find(lacks) {
        return Err(Problem::invalid(
            format!("metadata.{name}"),
            "must be given",
        ));
    }
    Ok(fields.metadata()?.0)
}
