//! Consumers: what is asked and answered.

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::EventBody;

/// A consumer.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ConsumerPath {
    /// The consumer's name.
    #[param(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", example = "mailer")]
    consumer: String,
}

/// When to answer.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct ReachedQuery {
    /// Answers only once everything through this position is finished.
    min_position: Option<u64>,
    /// How long to wait for it.
    #[param(maximum = 30000)]
    wait_ms: Option<u64>,
}

/// The settings of a consumer; what is left out is as by default.
#[derive(ToSchema)]
#[schema(as = ConsumerSettings, rename_all = "camelCase")]
pub(crate) struct ConsumerSettingsBody {
    /// Which events; it stays as it was made.
    #[schema(nullable = false)]
    filter: Option<ConsumerFilterBody>,
    /// Where it begins when it is made.
    #[schema(nullable = false)]
    start: Option<ConsumerStartBody>,
    /// Deliveries under way at the same time, each of another stream; 64 unless given.
    #[schema(minimum = 1, maximum = 10000, nullable = false)]
    in_flight_max: Option<u32>,
    /// How long a delivery may be under way before it counts as failed; 30,000 unless given.
    #[schema(minimum = 1, maximum = 604800000, nullable = false)]
    lease_ms: Option<u64>,
    /// Attempts after which an event is parked; 10 unless given.
    #[schema(minimum = 1, maximum = 1000000, nullable = false)]
    attempts_max: Option<u32>,
    /// The pause behind the first failed attempt, doubled with each further one; 1,000 unless
    /// given.
    #[schema(minimum = 1, maximum = 604800000, nullable = false)]
    retry_backoff_ms: Option<u64>,
    /// The longest such pause; 300,000 unless given.
    #[schema(minimum = 1, maximum = 604800000, nullable = false)]
    retry_backoff_max_ms: Option<u64>,
    /// Streams that wait before the consumer holds as a whole; 1,000 unless given.
    #[schema(minimum = 1, maximum = 100000, nullable = false)]
    parked_streams_max: Option<u32>,
    /// Seconds in which every delivery has failed before it holds as a whole; 60 unless given.
    #[schema(minimum = 1, maximum = 604800, nullable = false)]
    outage_after_s: Option<u64>,
    /// Where its events are posted; null for nowhere.
    webhook: Option<WebhookBody>,
}

/// Which events a consumer is given; what is left out asks for everything.
#[derive(ToSchema)]
#[schema(as = ConsumerFilter, rename_all = "camelCase")]
pub(crate) struct ConsumerFilterBody {
    /// Of these types of aggregates.
    #[schema(max_items = 100, nullable = false)]
    aggregate_types: Option<Vec<String>>,
    /// Of these types.
    #[schema(max_items = 100, nullable = false)]
    event_types: Option<Vec<String>>,
    /// With one of these tags.
    #[schema(max_items = 100, nullable = false)]
    tags: Option<Vec<String>>,
    /// Of this correlation.
    #[schema(min_length = 1, nullable = false)]
    correlation_id: Option<String>,
    /// Of this actor.
    #[schema(min_length = 1, nullable = false)]
    actor: Option<String>,
}

/// Where a consumer begins.
#[derive(ToSchema)]
#[schema(as = ConsumerStart)]
#[serde(untagged)]
pub(crate) enum ConsumerStartBody {
    /// With the first event, or with what is written from now on.
    Word(ConsumerStartWord),
    /// Behind a position.
    After(StartAfterBody),
    /// With the first event recorded at or after a time.
    At(StartAtBody),
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) enum ConsumerStartWord {
    Beginning,
    Now,
}

#[derive(ToSchema)]
#[schema(as = StartAfter)]
pub(crate) struct StartAfterBody {
    after: u64,
}

#[derive(ToSchema)]
#[schema(as = StartAt)]
pub(crate) struct StartAtBody {
    #[schema(format = DateTime)]
    at: String,
}

/// Where events are posted, and how.
#[derive(ToSchema)]
#[schema(as = Webhook, rename_all = "camelCase")]
pub(crate) struct WebhookBody {
    /// The receiver.
    #[schema(example = "https://example.org/hook")]
    url: String,
    /// `plain` unless given.
    #[schema(nullable = false)]
    form: Option<MessageFormBody>,
    /// The id of the secret that messages are signed with (Standard Webhooks).
    #[schema(pattern = "^[a-z][a-z0-9_-]{0,63}$", example = "mail-receiver")]
    secret: String,
    /// How long the receiver may take; less than `leaseMs`; 15,000 unless given.
    #[schema(minimum = 1, maximum = 604800000, nullable = false)]
    timeout_ms: Option<u64>,
}

/// The form of a message.
#[derive(ToSchema)]
#[schema(as = MessageForm, rename_all = "lowercase")]
pub(crate) enum MessageFormBody {
    /// The event as this interface answers it.
    Plain,
    /// A CloudEvent in structured mode.
    CloudEvents,
}

/// The consumers.
#[derive(ToSchema)]
#[schema(as = Consumers)]
pub(crate) struct ConsumersBody {
    consumers: Vec<ConsumerBody>,
}

/// How a consumer stands.
#[derive(ToSchema)]
#[schema(as = Consumer, rename_all = "camelCase")]
pub(crate) struct ConsumerBody {
    name: String,
    /// The settings in full.
    #[schema(value_type = Object)]
    settings: Value,
    /// Whether it is open in this process; where it is not, nothing is handed out.
    is_open: bool,
    /// Everything at or before it is finished, but for the streams that wait.
    position: u64,
    /// The newest position of the log.
    head: u64,
    lag: LagBody,
    /// Deliveries under way.
    in_flight: u64,
    /// Streams of which less is finished than the position says: their event is tried again or
    /// parked, or they catch up behind one that was.
    waiting_streams: u64,
    /// Streams whose event is parked.
    parked_streams: u64,
    #[schema(required, format = DateTime)]
    oldest_parked_at: Option<String>,
    /// Why it pauses.
    #[schema(required)]
    paused: Option<String>,
    /// Why it holds as a whole.
    #[schema(required)]
    held: Option<String>,
    /// Why it does not go on in this process.
    #[schema(required)]
    ended: Option<String>,
    #[schema(required)]
    last_error: Option<String>,
    /// Events finished or passed over since it began.
    acknowledged: u64,
    since_opened: ConsumerCountsBody,
}

/// How far a consumer is behind.
#[derive(ToSchema)]
#[schema(as = Lag)]
pub(crate) struct LagBody {
    /// Places of the log behind its position, also those that its filter leaves out.
    events: u64,
    /// Since the first of them was recorded.
    seconds: f64,
}

/// What was counted since a consumer was opened.
#[derive(ToSchema)]
#[schema(as = ConsumerCounts)]
pub(crate) struct ConsumerCountsBody {
    delivered: u64,
    finished: u64,
    failed: u64,
    lost: u64,
}

/// How many events, and how long to wait for the first one.
#[derive(ToSchema)]
#[schema(as = Fetch, rename_all = "camelCase")]
pub(crate) struct FetchBody {
    /// At most so many; 64 unless given.
    #[schema(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u64>,
    /// At most so long; 0 unless given.
    #[schema(maximum = 30000, nullable = false)]
    wait_ms: Option<u64>,
}

/// Events to answer for.
#[derive(ToSchema)]
#[schema(as = Deliveries)]
pub(crate) struct DeliveriesBody {
    deliveries: Vec<DeliveryBody>,
}

/// An event to answer for.
#[derive(ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryBody {
    /// Identifies the delivery; the later one of a consumer is also the later text.
    fence: String,
    /// Counted from 1.
    attempt: u32,
    event: EventBody,
}

/// Deliveries, by their fences.
#[derive(ToSchema)]
#[schema(as = Acknowledge)]
pub(crate) struct AcknowledgeBody {
    fences: Vec<String>,
}

/// Deliveries that failed, and why.
#[derive(ToSchema)]
#[schema(as = Reject, rename_all = "camelCase")]
pub(crate) struct RejectBody {
    fences: Vec<String>,
    error: String,
    /// When they are tried again; after a pause that grows with each attempt unless given.
    #[schema(maximum = 86400000)]
    delay_ms: Option<u64>,
}

/// Why a consumer pauses.
#[derive(ToSchema)]
#[schema(as = Pause)]
pub(crate) struct PauseBody {
    #[schema(min_length = 1)]
    reason: String,
}

/// A stream of which the parked event is tried again; all without one.
#[derive(ToSchema)]
#[schema(as = Replay, rename_all = "camelCase")]
pub(crate) struct ReplayBody {
    #[schema(nullable = false)]
    aggregate_type: Option<String>,
    #[schema(nullable = false)]
    aggregate_id: Option<String>,
}

/// How many streams go on.
#[derive(ToSchema)]
#[schema(as = Replayed)]
pub(crate) struct ReplayedBody {
    replayed: u64,
}

/// A stream of which the parked event is passed over, and why.
#[derive(ToSchema)]
#[schema(as = Skip, rename_all = "camelCase")]
pub(crate) struct SkipBody {
    aggregate_type: String,
    aggregate_id: String,
    #[schema(min_length = 1)]
    reason: String,
}

/// Where a consumer begins anew.
#[derive(ToSchema)]
#[schema(as = Reset)]
pub(crate) struct ResetBody {
    start: ConsumerStartBody,
}

/// What is parked.
#[derive(ToSchema)]
#[schema(as = ParkedList)]
pub(crate) struct ParkedListBody {
    parked: Vec<ParkedBody>,
}

/// An event that is not tried any more until somebody says so.
#[derive(ToSchema)]
#[schema(as = Parked, rename_all = "camelCase")]
pub(crate) struct ParkedBody {
    aggregate_type: String,
    aggregate_id: String,
    sequence_number: u64,
    position: u64,
    #[schema(format = "uuid")]
    event_id: String,
    attempts: u64,
    error: String,
    #[schema(format = DateTime)]
    failed_at: String,
}

/// What an audit found.
#[derive(ToSchema)]
#[schema(as = Audit, rename_all = "camelCase")]
pub(crate) struct AuditBody {
    /// Whether what was acknowledged is what must have been, event by event.
    is_complete: bool,
    /// Behind which position the consumer began.
    after: u64,
    /// Through which position it says to be complete.
    position: u64,
    /// Events that its filter admits through its position.
    due: u64,
    /// Of those, events of streams that wait.
    waiting: u64,
    /// Events behind its position that are finished already.
    ahead: u64,
    /// Events that must have been acknowledged or passed over.
    expected: u64,
    /// Events that were, as counted when they were.
    acknowledged: u64,
    /// Places that were lost to damage, so that nothing can be compared.
    lost: u64,
    skipped: Vec<SkippedBody>,
}

/// An event that was passed over.
#[derive(ToSchema)]
#[schema(as = Skipped, rename_all = "camelCase")]
pub(crate) struct SkippedBody {
    position: u64,
    #[schema(format = "uuid")]
    event_id: String,
    error: String,
    reason: String,
}

/// What was sent to a receiver.
#[derive(ToSchema)]
#[schema(as = SentList)]
pub(crate) struct SentListBody {
    deliveries: Vec<SentBody>,
}

/// One attempt to deliver an event.
#[derive(ToSchema)]
#[schema(as = Sent, rename_all = "camelCase")]
pub(crate) struct SentBody {
    #[schema(format = DateTime)]
    sent_at: String,
    #[schema(format = "uuid")]
    event_id: String,
    position: u64,
    attempt: u64,
    is_test: bool,
    /// What the receiver answered; null where no answer came.
    #[schema(required)]
    status: Option<u16>,
    /// Why it counts as failed.
    #[schema(required)]
    error: Option<String>,
    latency_ms: u64,
}

/// What came of a trial.
#[derive(ToSchema)]
#[schema(as = Tried, rename_all = "camelCase")]
pub(crate) struct TriedBody {
    is_delivered: bool,
    #[schema(required)]
    status: Option<u16>,
    #[schema(required)]
    error: Option<String>,
}
