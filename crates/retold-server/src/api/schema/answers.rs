//! The bodies of answers.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use super::ExpectedBody;

/// An event of the log.
#[derive(ToSchema)]
#[schema(as = Event, rename_all = "camelCase")]
pub(crate) struct EventBody {
    aggregate_type: String,
    aggregate_id: String,
    event_type: String,
    #[schema(value_type = Value, nullable)]
    payload: Value,
    tags: Vec<String>,
    metadata: MetadataBody,
    /// Its place in its stream, from 1.
    sequence_number: u64,
    /// Its place in the log, from 1.
    position: u64,
    /// When it was recorded.
    #[schema(format = DateTime)]
    persisted_at: String,
}

/// Identity and context of an event, with the further keys that it came with.
#[derive(ToSchema)]
#[schema(as = Metadata, rename_all = "camelCase")]
pub(crate) struct MetadataBody {
    #[schema(format = "uuid")]
    event_id: String,
    version: String,
    #[schema(format = DateTime)]
    timestamp: String,
    correlation_id: String,
    #[schema(nullable = false)]
    causation_id: Option<String>,
    #[schema(nullable = false)]
    actor: Option<String>,
}

/// What an append came to.
#[derive(ToSchema)]
#[schema(as = Appended)]
#[serde(untagged)]
pub(crate) enum AppendedBody {
    One(AppendedOneBody),
    Several(AppendedSeveralBody),
    Minimal(AppendedMinimalBody),
}

/// What an append to several streams came to.
#[derive(ToSchema)]
#[schema(as = AppendedTogether)]
#[serde(untagged)]
pub(crate) enum AppendedTogetherBody {
    Several(AppendedSeveralBody),
    Minimal(AppendedMinimalBody),
}

/// What a transition came to.
#[derive(ToSchema)]
#[schema(as = Taken)]
#[serde(untagged)]
pub(crate) enum TakenBody {
    One(AppendedOneBody),
    Minimal(AppendedMinimalBody),
}

/// What is answered to who prefers `return=minimal`.
#[derive(ToSchema)]
#[schema(as = AppendedMinimal, rename_all = "camelCase")]
pub(crate) struct AppendedMinimalBody {
    /// False when it was appended before.
    is_new: bool,
    /// That of the last event.
    position: u64,
}

/// What one event came to.
#[derive(ToSchema)]
#[schema(as = AppendedOne, rename_all = "camelCase")]
pub(crate) struct AppendedOneBody {
    /// False when it was appended before.
    is_new: bool,
    event: EventBody,
}

/// What several events came to.
#[derive(ToSchema)]
#[schema(as = AppendedSeveral, rename_all = "camelCase")]
pub(crate) struct AppendedSeveralBody {
    /// False when they were appended before.
    is_new: bool,
    events: Vec<EventBody>,
}

/// A page of events.
#[derive(ToSchema)]
#[schema(as = EventsPage, rename_all = "camelCase")]
pub(crate) struct EventsPageBody {
    events: Vec<EventBody>,
    /// A reference to the next page; null at the end.
    #[schema(required)]
    next: Option<String>,
    /// The position to poll behind.
    complete_through: u64,
}

/// A state.
#[derive(ToSchema)]
#[schema(as = State, rename_all = "camelCase")]
pub(crate) struct StateBody {
    aggregate_type: String,
    aggregate_id: String,
    /// Of an issue.
    #[schema(nullable = false)]
    issue_id: Option<String>,
    /// Of an execution.
    #[schema(nullable = false)]
    execution_id: Option<String>,
    exists: bool,
    #[schema(required)]
    status: Option<String>,
    transition_count: u64,
    #[schema(required, format = DateTime)]
    last_transition_at: Option<String>,
    sequence_number: u64,
    position: u64,
    #[schema(nullable = false)]
    state_history: Option<Vec<HistoryEntryBody>>,
    #[schema(nullable = false)]
    available_transitions: Option<Vec<AvailableTransitionBody>>,
    #[schema(nullable = false)]
    r#final: Option<bool>,
    #[schema(nullable = false)]
    later_at_or_before: Option<u64>,
    #[schema(nullable = false)]
    diff: Option<Vec<DifferenceBody>>,
}

/// One transition of the past.
#[derive(ToSchema)]
#[schema(as = HistoryEntry, rename_all = "camelCase")]
pub(crate) struct HistoryEntryBody {
    #[schema(required)]
    from: Option<String>,
    #[schema(required)]
    to: Option<String>,
    event: String,
    #[schema(format = DateTime)]
    timestamp: String,
    #[schema(required)]
    reason: Option<String>,
    #[schema(required)]
    actor: Option<String>,
    sequence_number: u64,
}

/// A transition that can be taken next.
#[derive(ToSchema)]
#[schema(as = AvailableTransition, rename_all = "camelCase")]
pub(crate) struct AvailableTransitionBody {
    event: String,
    aliases: Vec<String>,
    to_state: String,
}

/// A field that an event changed.
#[derive(ToSchema)]
#[schema(as = Difference)]
pub(crate) struct DifferenceBody {
    path: String,
    #[schema(value_type = Value, nullable)]
    before: Value,
    #[schema(value_type = Value, nullable)]
    after: Value,
}

/// A snapshot.
#[derive(ToSchema)]
#[schema(as = Snapshot, rename_all = "camelCase")]
pub(crate) struct SnapshotBody {
    aggregate_type: String,
    aggregate_id: String,
    sequence_number: u64,
    position: u64,
    #[schema(value_type = Value, nullable)]
    state: Value,
    #[schema(value_type = Value, nullable)]
    metadata: Value,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A page of snapshots.
#[derive(ToSchema)]
#[schema(as = SnapshotsPage)]
pub(crate) struct SnapshotsPageBody {
    snapshots: Vec<SnapshotBody>,
    #[schema(required)]
    next: Option<String>,
}

/// What a check of snapshots came to.
#[derive(ToSchema)]
#[schema(as = SnapshotsReport, rename_all = "camelCase")]
pub(crate) struct SnapshotsReportBody {
    /// How many there are.
    kept: u64,
    /// How many were compared with a replay.
    checked: u64,
    /// How many of those met are not used: of another log, or of another fingerprint.
    unused: u64,
    /// How many differ.
    differing: u64,
    /// The first of those that differ.
    differences: Vec<SnapshotDifferenceBody>,
    /// The reducers that the service does not know, with how many of the snapshots met are
    /// theirs.
    unknown_reducers: BTreeMap<String, u64>,
    /// What the sample was drawn with; null where all were checked.
    #[schema(required)]
    seed: Option<u64>,
}

/// A snapshot that is not what a replay comes to.
#[derive(ToSchema)]
#[schema(as = SnapshotDifference, rename_all = "camelCase")]
pub(crate) struct SnapshotDifferenceBody {
    aggregate_type: String,
    aggregate_id: String,
    reducer: String,
    sequence_number: u64,
    /// `state`, `dates` or `replay`.
    fault: String,
    /// What the snapshot says, where the state differs.
    #[schema(value_type = Value, nullable)]
    kept: Option<Value>,
    /// What the replay comes to, where the state differs.
    #[schema(value_type = Value, nullable)]
    derived: Option<Value>,
    /// Why the stream cannot be replayed so far.
    #[schema(nullable = false)]
    error: Option<String>,
}

/// A page of streams.
#[derive(ToSchema)]
#[schema(as = StreamsPage, rename_all = "camelCase")]
pub(crate) struct StreamsPageBody {
    streams: Vec<StreamBody>,
    #[schema(required)]
    next: Option<String>,
    /// Through which position that holds, where it is read from a projection.
    #[schema(nullable = false)]
    complete_through: Option<u64>,
    /// How many streams have which status, where asked for.
    #[schema(nullable = false)]
    counts: Option<Vec<StatusCountBody>>,
}

/// How many streams of a type have a status.
#[derive(ToSchema)]
#[schema(as = StatusCount, rename_all = "camelCase")]
pub(crate) struct StatusCountBody {
    aggregate_type: String,
    status: String,
    streams: u64,
}

/// A stream.
#[derive(ToSchema)]
#[schema(as = Stream, rename_all = "camelCase")]
pub(crate) struct StreamBody {
    aggregate_type: String,
    aggregate_id: String,
    sequence_number: u64,
    /// The last transition's state, the initial one before the first, or the last event's type;
    /// this and what follows where it is read from a projection.
    #[schema(nullable = false)]
    status: Option<String>,
    #[schema(nullable = false)]
    transition_count: Option<u64>,
    #[schema(format = DateTime)]
    last_transition_at: Option<String>,
    #[schema(format = DateTime, nullable = false)]
    first_event_at: Option<String>,
    #[schema(format = DateTime, nullable = false)]
    last_event_at: Option<String>,
    #[schema(nullable = false)]
    last_event_type: Option<String>,
    last_actor: Option<String>,
}

/// What a bulk append came to.
#[derive(ToSchema)]
#[schema(as = BulkSummary, rename_all = "camelCase")]
pub(crate) struct BulkSummaryBody {
    new: u64,
    duplicate: u64,
    refused: u64,
    /// The first 1,000 of them.
    refused_lines: Vec<RefusedLineBody>,
}

/// A line that was refused.
#[derive(ToSchema)]
#[schema(as = RefusedLine)]
pub(crate) struct RefusedLineBody {
    /// Counted from 1.
    line: u64,
    status: u16,
    code: String,
    detail: String,
}

/// What a restore came to.
#[derive(ToSchema)]
#[schema(as = Restored)]
pub(crate) struct RestoredBody {
    events: u64,
    head: u64,
}

/// The machines.
#[derive(ToSchema)]
#[schema(as = Machines)]
pub(crate) struct MachinesBody {
    machines: Vec<MachineBody>,
}

/// A state machine.
#[derive(ToSchema)]
#[schema(as = Machine, rename_all = "camelCase")]
pub(crate) struct MachineBody {
    r#type: String,
    initial: String,
    states: Vec<String>,
    r#final: Vec<String>,
    snapshot_every: u64,
    transitions: Vec<MachineTransitionBody>,
}

/// A transition of a machine.
#[derive(ToSchema)]
#[schema(as = MachineTransition)]
pub(crate) struct MachineTransitionBody {
    name: String,
    aliases: Vec<String>,
    from: Vec<String>,
    to: String,
}

/// Whether the service is well.
#[derive(ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthBody {
    status: String,
}

/// What the service is.
#[derive(ToSchema)]
#[schema(as = Info, rename_all = "camelCase")]
pub(crate) struct InfoBody {
    version: String,
    #[schema(format = "uuid")]
    log_id: String,
    /// The position of the newest event, reserved ones counted.
    head: u64,
    capabilities: CapabilitiesBody,
}

/// What the store can do.
#[derive(ToSchema)]
#[schema(as = Capabilities, rename_all = "camelCase")]
pub(crate) struct CapabilitiesBody {
    durable: bool,
    reads: String,
    multi_stream: bool,
    conditions: bool,
}

/// What went wrong (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem, rename_all = "camelCase")]
pub(crate) struct ProblemBody {
    r#type: String,
    title: String,
    status: u16,
    /// What happened, as a sentence.
    detail: String,
    /// What kind of problem it is; stable.
    code: String,
    /// The JSON name of what is wrong.
    #[schema(nullable = false)]
    field: Option<String>,
    /// What to do next.
    #[schema(nullable = false)]
    hint: Option<String>,
    /// The events that it is about.
    #[schema(nullable = false)]
    event_ids: Option<Vec<String>>,
    /// Of a failed expectation: every stream that is not as expected.
    #[schema(nullable = false)]
    conflicts: Option<Vec<ConflictBody>>,
    /// Of an illegal transition.
    #[schema(nullable = false)]
    current_state: Option<String>,
    /// Of an illegal transition.
    #[schema(nullable = false)]
    available_transitions: Option<Vec<AvailableTransitionBody>>,
    /// Where there is damage, or how far the log is.
    #[schema(nullable = false)]
    position: Option<u64>,
    /// Of answers that came too late.
    #[schema(nullable = false)]
    fences: Option<Vec<String>>,
    /// The line of a restore, counted from 1.
    #[schema(nullable = false)]
    line: Option<u64>,
}

/// A stream that is not as expected.
#[derive(ToSchema)]
#[schema(as = Conflict, rename_all = "camelCase")]
pub(crate) struct ConflictBody {
    aggregate_type: String,
    aggregate_id: String,
    expected: ExpectedBody,
    /// The sequence number of its newest event; 0 for no stream.
    actual: u64,
}
