//! The parameters in path, query and headers.

use utoipa::{IntoParams, ToSchema};

/// An aggregate.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct StreamPath {
    /// The aggregate's type.
    #[param(
        rename = "aggregateType",
        pattern = "^[A-Za-z$][A-Za-z0-9._-]{0,127}$",
        example = "Issue"
    )]
    aggregate_type: String,
    /// The aggregate's id: 1 to 512 bytes of UTF-8 without control characters.
    #[param(
        rename = "aggregateId",
        min_length = 1,
        max_length = 512,
        example = "42"
    )]
    aggregate_id: String,
}

/// An aggregate type.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TypePath {
    /// The aggregate type.
    #[param(
        rename = "aggregateType",
        pattern = "^[A-Za-z$][A-Za-z0-9._-]{0,127}$",
        example = "Issue"
    )]
    aggregate_type: String,
}

/// An event.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct EventPath {
    /// The event's id.
    #[param(
        rename = "eventId",
        format = "uuid",
        example = "018f4e5a-7b1c-7d2e-8f30-4a5b6c7d8e9f"
    )]
    event_id: String,
}

/// What is expected of a stream, in place of `expected` in the body.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Preconditions {
    /// A quoted sequence number, or `*` for a stream that exists.
    #[param(rename = "If-Match", pattern = "^(\"[0-9]{1,19}\"|\\*)$")]
    if_match: Option<String>,
    /// `*` for a stream that does not exist.
    #[param(rename = "If-None-Match", pattern = "^\\*$")]
    if_none_match: Option<String>,
}

/// W3C Trace Context.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct TraceParent {
    /// Kept in the metadata of what is written.
    traceparent: Option<String>,
}

/// How much is answered (RFC 7240).
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Prefer {
    /// `return=minimal` leaves the events out of the answer.
    #[param(rename = "Prefer", example = "return=minimal")]
    prefer: Option<String>,
}

/// How transition names are treated.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Trust {
    /// `trust` records events with the name of a transition as transitions, unchecked.
    #[param(inline)]
    machine: Option<TrustMode>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum TrustMode {
    Trust,
}

/// A part of a stream.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct StreamEventsQuery {
    /// The lowest sequence number.
    from_sequence: Option<u64>,
    /// The highest sequence number.
    to_sequence: Option<u64>,
    /// Events dated earlier are left out.
    #[param(format = DateTime)]
    from_timestamp: Option<String>,
    /// Events dated later are left out.
    #[param(format = DateTime)]
    to_timestamp: Option<String>,
    /// Only events of this type.
    #[param(min_length = 1)]
    event_type: Option<String>,
    /// Events at or before this position are left out: `completeThrough` of the page before.
    after: Option<u64>,
    /// Which way to read.
    #[param(inline)]
    direction: Option<Direction>,
    /// Entries of a page; at most 1,000 as JSON, any number as NDJSON.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// Which state.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct StateQuery {
    /// After the event with this sequence number; 0 is before the first.
    at_sequence: Option<u64>,
    /// When the log had reached this position.
    at_position: Option<u64>,
    /// Before the first event that is dated later.
    #[param(format = DateTime)]
    at_timestamp: Option<String>,
    /// With what was recorded until then.
    #[param(format = DateTime)]
    at_persisted: Option<String>,
    /// Adds the transitions until then.
    history: Option<bool>,
    /// Adds what can be done in that state.
    transitions: Option<bool>,
    /// Adds what the last event changed.
    diff: Option<bool>,
    /// Counts the events that a state by timestamp leaves out although they are dated before it.
    later: Option<bool>,
    /// Answers only once the log has reached this position.
    min_position: Option<u64>,
    /// How long to wait for it.
    #[param(maximum = 30000)]
    wait_ms: Option<u64>,
}

/// Which snapshots.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SnapshotsQuery {
    /// Only those with a lower sequence number.
    before: Option<u64>,
    /// Entries of a page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// Which snapshots to check.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SnapshotsCheckQuery {
    /// Every one.
    all: Option<bool>,
    /// So many, drawn by chance; 100 unless told otherwise.
    sample: Option<u64>,
    /// What the sample is drawn with; an answer names that of its own.
    seed: Option<u64>,
}

/// Which snapshots stay.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PruneQuery {
    /// How many of the newest stay.
    keep: u64,
}

/// Which streams.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct StreamsQuery {
    /// Only streams of this type.
    aggregate_type: Option<String>,
    /// Only streams whose id begins with this.
    prefix: Option<String>,
    /// Where the page begins, as `next` says it.
    after: Option<String>,
    /// Whether Retold's own streams are listed too.
    include_reserved: Option<bool>,
    /// Entries of a page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Only streams with this status.
    #[param(min_length = 1)]
    status: Option<String>,
    /// By when they were last written, or by their names.
    #[param(inline)]
    sort: Option<StreamsSort>,
    /// The largest first, or last; the newest come first unless told otherwise.
    #[param(inline)]
    direction: Option<Direction>,
    /// Whether to add how many streams have which status.
    counts: Option<bool>,
    /// Answers only once everything through this position is in the projection.
    min_position: Option<u64>,
    /// How long to wait for it.
    #[param(maximum = 30000)]
    wait_ms: Option<u64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum StreamsSort {
    LastEventAt,
    AggregateId,
}

/// A part of the log.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct LogQuery {
    /// Events at or before this position are left out; `head` for only what is new.
    after: Option<String>,
    /// Only streams of this type.
    #[param(min_length = 1)]
    aggregate_type: Option<String>,
    /// Only events of this type.
    #[param(min_length = 1)]
    event_type: Option<String>,
    /// Only events that carry this tag.
    #[param(min_length = 1)]
    tag: Option<String>,
    /// Only events of this correlation.
    #[param(min_length = 1)]
    correlation_id: Option<String>,
    /// Only events with this cause.
    #[param(min_length = 1)]
    causation_id: Option<String>,
    /// Only events of this actor.
    #[param(min_length = 1)]
    actor: Option<String>,
    /// Events dated earlier are left out.
    #[param(format = DateTime)]
    from_timestamp: Option<String>,
    /// Events dated later are left out.
    #[param(format = DateTime)]
    to_timestamp: Option<String>,
    /// Whether events of Retold's own streams are delivered too.
    include_reserved: Option<bool>,
    /// Entries of a page; at most 1,000 as JSON, any number as NDJSON, none live.
    #[param(minimum = 1)]
    limit: Option<u64>,
}

/// How a bulk append answers.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BulkQuery {
    /// `lines` for a result per line, `summary` for counts at the end.
    #[param(inline)]
    results: Option<BulkResults>,
    /// `trust` records events with the name of a transition as transitions, unchecked.
    #[param(inline)]
    machine: Option<TrustMode>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum BulkResults {
    Lines,
    Summary,
}

/// Where a restore comes from.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RestoreQuery {
    /// The id of the log that the events come from.
    #[param(format = "uuid")]
    origin: Option<String>,
}
