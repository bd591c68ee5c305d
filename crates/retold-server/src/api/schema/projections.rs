//! Projections, process maps and traces: what is asked and answered.

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::EventBody;

/// A projection.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ProjectionPath {
    /// The projection's name.
    #[param(example = "current_state")]
    projection: String,
}

/// A table of a projection.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TablePath {
    /// The projection's name.
    #[param(example = "current_state")]
    projection: String,
    /// The table's name.
    #[param(example = "streams")]
    table: String,
}

/// Which rows.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RowsQuery {
    /// The key of one row, as a JSON list.
    #[param(example = "[\"Issue\",\"42\"]")]
    key: Option<String>,
    /// Only rows that hold these values, as a JSON object of columns.
    #[param(example = "{\"status\":\"TODO\"}")]
    filter: Option<String>,
    /// The column to sort by; `-` before it for the largest first. The key unless given.
    #[param(min_length = 1)]
    sort: Option<String>,
    /// Where the page begins, as `next` says it.
    after: Option<String>,
    /// Entries of a page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// How a rebuild ends.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RebuildQuery {
    /// Whether it waits to be promoted once it has caught up.
    held: Option<bool>,
}

/// What to compare with.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CompareQuery {
    /// The version that is being built, or the one that was read before.
    #[param(inline)]
    with: CompareWith,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum CompareWith {
    Building,
    Previous,
}

/// All projections.
#[derive(ToSchema)]
#[schema(as = Projections)]
pub(crate) struct ProjectionsBody {
    projections: Vec<ProjectionBody>,
}

/// How a projection stands.
#[derive(ToSchema)]
#[schema(as = Projection)]
pub(crate) struct ProjectionBody {
    name: String,
    /// The head of the log.
    head: u64,
    /// Its versions: the one that is read first.
    versions: Vec<ProjectionVersionBody>,
    /// Its tables, where one projection was asked for and may be read.
    #[schema(nullable = false)]
    tables: Option<Vec<TableBody>>,
}

/// How a version of a projection stands.
#[derive(ToSchema)]
#[schema(as = ProjectionVersion, rename_all = "camelCase")]
pub(crate) struct ProjectionVersionBody {
    version: String,
    role: ProjectionRole,
    state: ProjectionState,
    /// Why it pauses, or waits.
    #[schema(required)]
    reason: Option<String>,
    /// The event that it stopped in front of.
    #[schema(required)]
    failure: Option<ProjectionFailureBody>,
    /// Whether it has been at the head of the log; before that it is not read.
    has_caught_up: bool,
    /// Whether it waits to be promoted.
    is_held: bool,
    /// Everything at or before this position is in its rows.
    complete_through: u64,
    /// Places of the log behind that.
    lag_events: u64,
    /// Counts since it was opened.
    since_opened: ProjectionCountsBody,
    /// Positions in a second, while it was behind.
    #[schema(required)]
    per_second: Option<f64>,
    /// In how long it will have caught up, at that rate.
    #[schema(required)]
    remaining_seconds: Option<f64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum ProjectionRole {
    Current,
    Building,
    Previous,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum ProjectionState {
    Running,
    Paused,
    Failed,
    Waiting,
    Frozen,
}

/// The event that a projection failed on.
#[derive(ToSchema)]
#[schema(as = ProjectionFailure, rename_all = "camelCase")]
pub(crate) struct ProjectionFailureBody {
    position: u64,
    aggregate_type: String,
    aggregate_id: String,
    event_type: String,
    #[schema(format = "uuid")]
    event_id: String,
    error: String,
}

/// What a version has done since it was opened.
#[derive(ToSchema)]
#[schema(as = ProjectionCounts, rename_all = "camelCase")]
pub(crate) struct ProjectionCountsBody {
    events: u64,
    /// Events that were lost to damage that was accepted.
    lost: u64,
    batches: u64,
    batch_seconds: f64,
}

/// A table.
#[derive(ToSchema)]
#[schema(as = Table)]
pub(crate) struct TableBody {
    name: String,
    columns: Vec<ColumnBody>,
    /// The columns of the key.
    key: Vec<String>,
    /// The columns of each index.
    indexes: Vec<Vec<String>>,
}

/// A column.
#[derive(ToSchema)]
#[schema(as = Column, rename_all = "camelCase")]
pub(crate) struct ColumnBody {
    name: String,
    r#type: ColumnTypeBody,
    is_optional: bool,
}

#[derive(ToSchema)]
#[schema(as = ColumnType, rename_all = "camelCase")]
pub(crate) enum ColumnTypeBody {
    Integer,
    Real,
    Text,
    Json,
}

/// A page of rows, each an object of its columns.
#[derive(ToSchema)]
#[schema(as = RowsPage, rename_all = "camelCase")]
pub(crate) struct RowsPageBody {
    rows: Vec<Value>,
    /// A reference to the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
    complete_through: u64,
}

/// What a decision was about.
#[derive(ToSchema)]
#[schema(as = DecidedProjection)]
pub(crate) struct DecidedBody {
    version: String,
}

/// Where two versions differ.
#[derive(ToSchema)]
#[schema(as = Comparison, rename_all = "camelCase")]
pub(crate) struct ComparisonBody {
    version: String,
    with: String,
    is_equal: bool,
    complete_through: u64,
    /// Another position than the one above where a version is not carried on.
    with_complete_through: u64,
    tables: Vec<TableComparisonBody>,
}

/// Where two versions of a table differ.
#[derive(ToSchema)]
#[schema(as = TableComparison)]
pub(crate) struct TableComparisonBody {
    table: String,
    /// Why its rows cannot be compared.
    #[schema(required)]
    incomparable: Option<String>,
    equal: u64,
    different: u64,
    /// Rows that only the version has that is read.
    missing: u64,
    /// Rows that only the other one has.
    added: u64,
    /// Some of the rows that differ.
    differences: Vec<RowDifferenceBody>,
}

/// A row that differs.
#[derive(ToSchema)]
#[schema(as = RowDifference)]
pub(crate) struct RowDifferenceBody {
    key: Vec<Value>,
    #[schema(required)]
    values: Option<Vec<Value>>,
    #[schema(required)]
    with: Option<Vec<Value>>,
}

/// The aggregate types of which there is a process map.
#[derive(ToSchema)]
#[schema(as = Processes, rename_all = "camelCase")]
pub(crate) struct ProcessesBody {
    aggregate_types: Vec<String>,
}

/// Which part of a process map.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProcessQuery {
    /// One month (UTC) instead of the whole log.
    #[param(example = "2024-02")]
    month: Option<String>,
}

/// Which streams took which way.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProcessStreamsQuery {
    /// The type of the first event; without it the streams that began with `to`.
    #[param(min_length = 1)]
    from: Option<String>,
    /// The type of the second event.
    #[param(min_length = 1)]
    to: String,
    /// Where the page begins, as `next` says it.
    after: Option<String>,
    /// Entries of a page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// How the streams of a type flow.
#[derive(ToSchema)]
#[schema(as = Process, rename_all = "camelCase")]
pub(crate) struct ProcessBody {
    aggregate_type: String,
    #[schema(required)]
    month: Option<String>,
    /// All months in which something happened.
    months: Vec<String>,
    events: Vec<ProcessEventBody>,
    /// What follows what, the most frequent first.
    edges: Vec<ProcessEdgeBody>,
    complete_through: u64,
}

/// A type of event of a process.
#[derive(ToSchema)]
#[schema(as = ProcessEvent, rename_all = "camelCase")]
pub(crate) struct ProcessEventBody {
    event_type: String,
    count: u64,
    /// How many streams began with it.
    begins: u64,
    /// How many streams have it for their last event; null for a month.
    #[schema(required)]
    ends: Option<u64>,
}

/// An event that followed another one.
#[derive(ToSchema)]
#[schema(as = ProcessEdge, rename_all = "camelCase")]
pub(crate) struct ProcessEdgeBody {
    /// Null where the second one began its stream.
    #[schema(required)]
    from: Option<String>,
    to: String,
    count: u64,
    mean_seconds: f64,
    median_seconds: f64,
    p95_seconds: f64,
}

/// A page of streams that took one way.
#[derive(ToSchema)]
#[schema(as = ProcessStreams, rename_all = "camelCase")]
pub(crate) struct ProcessStreamsBody {
    streams: Vec<ProcessStreamBody>,
    /// A reference to the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
    complete_through: u64,
}

/// A stream that took one way, how often, and how long that took together.
#[derive(ToSchema)]
#[schema(as = ProcessStream, rename_all = "camelCase")]
pub(crate) struct ProcessStreamBody {
    aggregate_id: String,
    count: u64,
    seconds: f64,
    #[schema(format = DateTime)]
    last_at: String,
}

/// A correlation.
#[derive(IntoParams)]
#[into_params(parameter_in = Path, rename_all = "camelCase")]
pub(crate) struct TracePath {
    /// The correlation id.
    correlation_id: String,
}

/// The events of a correlation.
#[derive(ToSchema)]
#[schema(as = Trace, rename_all = "camelCase")]
pub(crate) struct TraceBody {
    correlation_id: String,
    /// The events without a cause among them.
    roots: Vec<TraceNodeBody>,
    /// Whether these are all; the rest is in `/v1/events?correlationId=`.
    is_complete: bool,
}

/// An event, and what it caused.
#[derive(ToSchema)]
#[schema(as = TraceNode, rename_all = "camelCase", no_recursion)]
pub(crate) struct TraceNodeBody {
    event: EventBody,
    children: Vec<TraceNodeBody>,
    /// True where its cause lies too deep to hold it.
    #[schema(nullable = false)]
    is_continued: Option<bool>,
}
