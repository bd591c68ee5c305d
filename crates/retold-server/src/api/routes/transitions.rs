//! Taking a transition.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use retold::{Metadata, StreamId, Transition};

use crate::App;
use crate::api::answer::{AppendedOne, Problem, etag};
use crate::api::limits::SMALL_BODY_BYTES_MAX;
use crate::api::request::{
    EventFields, Fields, NoParameters, SentJson, Target, Trace, event_id, expectation, read, text,
};
use crate::api::schema;

/// The names that stand at the top of a transition and in the metadata of any event.
const METADATA_NAMES: [&str; 5] = [
    "eventId",
    "timestamp",
    "correlationId",
    "causationId",
    "actor",
];

/// The version that transitions are recorded under.
const VERSION: &str = "1.0.0";

/// Takes a transition, if the machine of the type allows it in the current state.
///
/// `fromState` is what the caller believes the state to be; null stands for "no transition yet".
#[utoipa::path(
    post,
    path = "/v1/streams/{aggregateType}/{aggregateId}/transitions",
    tag = "streams",
    params(schema::StreamPath, schema::Preconditions, schema::TraceParent, schema::Prefer),
    request_body(content = schema::TransitionBody, content_type = "application/json"),
    responses(
        (status = 201, description = "Taken.", body = schema::TakenBody,
            headers(("Location" = String), ("ETag" = String))),
        (status = 200, description = "Taken before; the first result.",
            body = schema::TakenBody, headers(("Location" = String), ("ETag" = String))),
    ),
)]
pub(crate) async fn transition(
    _: SentJson,
    State(app): State<App>,
    Target(stream): Target,
    _: NoParameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read(&headers, body, SMALL_BODY_BYTES_MAX).await?;
    let mut fields = Fields::of_body(text(&body)?)?;
    let in_body = fields.expected()?;
    let transition = parse(&mut fields, &stream, &Trace::of(&headers))?;
    fields.finish()?;
    let expected = expectation(in_body, &headers)?;
    let taken = app.retold().transition(transition).expect(expected).await?;
    let one = AppendedOne {
        is_new: taken.is_new,
        event: &taken.event,
    };
    Ok(etag(one.answer(&headers), taken.event.sequence_number))
}

fn parse(fields: &mut Fields<'_>, stream: &StreamId, trace: &Trace) -> Result<Transition, Problem> {
    let stream = fields.stream(Some(stream))?;
    let mut transition = Transition::new(
        stream.aggregate_type().clone(),
        stream.aggregate_id().clone(),
    );
    let from = fields.value::<Option<String>>("fromState", "a text, or null")?;
    let missing = "must be given; null stands for no transition yet";
    if let Some(from) = from.ok_or_else(|| Problem::invalid("fromState", missing))? {
        transition = transition.from(from);
    }
    transition = transition
        .to(fields.required_text("toState")?)
        .event(fields.required_text("event")?);
    if let Some(context) = fields.json("context")? {
        transition = transition.context(&context);
    }
    if let Some(reason) = fields.text("reason")? {
        transition = transition.reason(reason);
    }
    for tag in fields.tags()? {
        transition = transition.tag(tag);
    }
    with_metadata(transition, fields, trace)
}

/// Takes the metadata, each from the top or from `metadata`.
fn with_metadata(
    mut transition: Transition,
    fields: &mut Fields<'_>,
    trace: &Trace,
) -> Result<Transition, Problem> {
    let names = fields.object_names("metadata")?;
    let both = |name: &&str| fields.has(name) && names.iter().any(|given| given == name);
    if let Some(name) = METADATA_NAMES.into_iter().find(both) {
        return Err(Problem::invalid(name, "must be given at most once"));
    }
    let (mut metadata, mut is_id_given) = fields.metadata()?;
    if metadata.version != VERSION {
        let reason = format!("must be {VERSION} for a transition");
        return Err(Problem::invalid("metadata.version", reason));
    }
    let has_correlation_id =
        fields.has("correlationId") || names.iter().any(|name| name == "correlationId");
    if let Some(id) = fields.text("eventId")? {
        metadata.event_id = event_id("eventId", &id)?;
        is_id_given = true;
    }
    if let Some(timestamp) = fields.timestamp("timestamp")? {
        metadata.timestamp = timestamp;
    }
    if let Some(correlation_id) = fields.text("correlationId")? {
        metadata.correlation_id = correlation_id;
    }
    if let Some(causation_id) = fields.text("causationId")? {
        metadata.causation_id = Some(causation_id);
    }
    if let Some(actor) = fields.text("actor")? {
        metadata.actor = Some(actor);
    }
    trace.note(&mut metadata);
    let Metadata {
        event_id,
        timestamp,
        correlation_id,
        causation_id,
        actor,
        extra,
        ..
    } = metadata;
    // An id that was not given must not cost a look-up.
    if is_id_given {
        transition = transition.event_id(event_id);
    }
    if has_correlation_id {
        transition = transition.correlation_id(correlation_id);
    }
    if let Some(causation_id) = causation_id {
        transition = transition.causation_id(causation_id);
    }
    if let Some(actor) = actor {
        transition = transition.actor(actor);
    }
    transition = transition.timestamp(timestamp);
    let with_extra = |transition: Transition, (name, value)| transition.extra(name, &value);
    Ok(extra.into_iter().fold(transition, with_extra))
}
