//! The bodies of requests.

use serde_json::Value;
use utoipa::ToSchema;

/// What is expected of a stream: `any`, `no_stream`, `stream_exists`, or a sequence number.
#[derive(ToSchema)]
#[schema(as = Expected)]
#[serde(untagged)]
pub(crate) enum ExpectedBody {
    /// Anything, no stream, or any stream.
    Word(ExpectedWord),
    /// The sequence number of the newest event; 0 for no stream.
    Sequence(u64),
}

/// What is expected in a word.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum ExpectedWord {
    /// Anything.
    Any,
    /// No stream.
    NoStream,
    /// Any stream.
    StreamExists,
}

/// One event, or several.
#[derive(ToSchema)]
#[schema(as = Append)]
#[serde(untagged)]
pub(crate) enum AppendBody {
    /// One.
    One(NewEventBody),
    /// Several, of which all are written or none.
    Several(NewEventsBody),
}

/// An event to be appended.
#[derive(ToSchema)]
#[schema(as = NewEvent, rename_all = "camelCase")]
pub(crate) struct NewEventBody {
    /// That of the path.
    #[schema(nullable = false)]
    aggregate_type: Option<String>,
    /// That of the path.
    #[schema(nullable = false)]
    aggregate_id: Option<String>,
    /// What happened.
    #[schema(min_length = 1, max_length = 128)]
    event_type: String,
    /// The facts: any JSON, kept byte for byte but for white space.
    #[schema(value_type = Value, nullable)]
    payload: Value,
    /// Words to find it by.
    #[schema(max_items = 16, nullable = false)]
    tags: Option<Vec<String>>,
    /// Identity and context.
    #[schema(nullable = false)]
    metadata: Option<NewMetadataBody>,
    /// What is expected of the stream.
    #[schema(nullable = false)]
    expected: Option<ExpectedBody>,
}

/// Several events of one stream.
#[derive(ToSchema)]
#[schema(as = NewEvents, rename_all = "camelCase")]
pub(crate) struct NewEventsBody {
    /// The events, in order.
    #[schema(min_items = 1, max_items = 1000)]
    events: Vec<NewEventBody>,
    /// What is expected of the stream.
    #[schema(nullable = false)]
    expected: Option<ExpectedBody>,
}

/// Events of several streams, of which all are written or none.
#[derive(ToSchema)]
#[schema(as = AppendTogether)]
pub(crate) struct AppendTogetherBody {
    /// The events, in order.
    #[schema(min_items = 1, max_items = 1000)]
    events: Vec<StreamEventBody>,
    /// What is expected, also of streams that are not written.
    #[schema(max_items = 1000, nullable = false)]
    checks: Option<Vec<CheckBody>>,
}

/// An event to be appended, with its stream.
#[derive(ToSchema)]
#[schema(as = StreamEvent, rename_all = "camelCase")]
pub(crate) struct StreamEventBody {
    aggregate_type: String,
    aggregate_id: String,
    /// What happened.
    #[schema(min_length = 1, max_length = 128)]
    event_type: String,
    /// The facts: any JSON, kept byte for byte but for white space.
    #[schema(value_type = Value, nullable)]
    payload: Value,
    /// Words to find it by.
    #[schema(max_items = 16, nullable = false)]
    tags: Option<Vec<String>>,
    /// Identity and context.
    #[schema(nullable = false)]
    metadata: Option<NewMetadataBody>,
}

/// What is expected of a stream.
#[derive(ToSchema)]
#[schema(as = Check, rename_all = "camelCase")]
pub(crate) struct CheckBody {
    aggregate_type: String,
    aggregate_id: String,
    expected: ExpectedBody,
}

/// Identity and context of an event to be appended; further keys are kept as they come.
#[derive(ToSchema)]
#[schema(as = NewMetadata, rename_all = "camelCase")]
pub(crate) struct NewMetadataBody {
    /// Makes a retry safe.
    #[schema(format = "uuid", nullable = false)]
    event_id: Option<String>,
    /// The version of the payload's shape; "1.0.0" unless given.
    #[schema(min_length = 1, nullable = false)]
    version: Option<String>,
    /// When it happened; now unless given.
    #[schema(format = DateTime, nullable = false)]
    timestamp: Option<String>,
    /// What it belongs together with.
    #[schema(min_length = 1, nullable = false)]
    correlation_id: Option<String>,
    /// What caused it.
    #[schema(min_length = 1, nullable = false)]
    causation_id: Option<String>,
    /// Who did it.
    #[schema(min_length = 1, nullable = false)]
    actor: Option<String>,
}

/// A transition asked for.
#[derive(ToSchema)]
#[schema(as = Transition, rename_all = "camelCase")]
pub(crate) struct TransitionBody {
    /// The state that the caller believes it to be in; null for "no transition yet".
    #[schema(required)]
    from_state: Option<String>,
    /// The state that it leads to.
    to_state: String,
    /// The name of the transition, or an alias.
    event: String,
    /// Anything to keep with it.
    #[schema(value_type = Option<Value>)]
    context: Option<Value>,
    /// Why.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// Who.
    #[schema(min_length = 1, nullable = false)]
    actor: Option<String>,
    /// What it belongs together with.
    #[schema(min_length = 1, nullable = false)]
    correlation_id: Option<String>,
    /// What causes it.
    #[schema(min_length = 1, nullable = false)]
    causation_id: Option<String>,
    /// Makes a retry safe.
    #[schema(format = "uuid", nullable = false)]
    event_id: Option<String>,
    /// When it happened; now unless given.
    #[schema(format = DateTime, nullable = false)]
    timestamp: Option<String>,
    /// Words to find it by.
    #[schema(max_items = 16, nullable = false)]
    tags: Option<Vec<String>>,
    /// Further metadata, kept as they come.
    #[schema(nullable = false)]
    metadata: Option<NewMetadataBody>,
    /// What is expected of the stream.
    #[schema(nullable = false)]
    expected: Option<ExpectedBody>,
    /// That of the path.
    #[schema(nullable = false)]
    aggregate_type: Option<String>,
    /// That of the path.
    #[schema(nullable = false)]
    aggregate_id: Option<String>,
}

/// A snapshot asked for.
#[derive(ToSchema)]
#[schema(as = MakeSnapshot)]
pub(crate) struct MakeSnapshotBody {
    /// Makes one also when the last one is recent.
    #[schema(nullable = false)]
    force: Option<bool>,
    /// What to note with it.
    #[schema(value_type = Option<Value>)]
    metadata: Option<Value>,
}
