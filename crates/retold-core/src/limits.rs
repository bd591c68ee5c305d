//! Every limit of the contract, with its reason. They are those of the strictest store
//! to come (PostgreSQL index keys, JetStream messages), so that any log can move.

/// Bytes of an aggregate type: a topic, a file name and an index key are made from it.
pub const AGGREGATE_TYPE_BYTES_MAX: usize = 128;

/// Bytes of an aggregate id: together with the type it must fit a B-tree key of 2,700 bytes.
pub const AGGREGATE_ID_BYTES_MAX: usize = 512;

/// Bytes of an event type: an index key, and a column that people read.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;

/// Bytes of a payload: with metadata and tags it must fit one message of 1 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 960 * 1024;

/// Nested arrays and objects in a payload or a metadata value: common JSON parsers stop here.
pub const JSON_DEPTH_MAX: usize = 128;

/// Tags of one event: each costs an index entry for ever.
pub const TAGS_MAX: usize = 16;

/// Bytes of one tag: an index key.
pub const TAG_BYTES_MAX: usize = 128;

/// Bytes of all metadata of one event, written as compact JSON: see [`PAYLOAD_BYTES_MAX`].
pub const METADATA_BYTES_MAX: usize = 32 * 1024;

/// Bytes of a correlation id: an index key.
pub const CORRELATION_ID_BYTES_MAX: usize = 128;

/// Bytes of a causation id: it names an event or a command, so as long as a correlation id.
pub const CAUSATION_ID_BYTES_MAX: usize = 128;

/// Bytes of an actor: a name, an e-mail address or a certificate's subject.
pub const ACTOR_BYTES_MAX: usize = 512;

/// Bytes of a schema version: "1.0.0" and a little more.
pub const VERSION_BYTES_MAX: usize = 128;

/// Events in one append: they become visible at once, so they must fit one transaction.
pub const EVENTS_PER_APPEND_MAX: usize = 1_000;

/// Conditions in one append: each is a look-up under the writer's lock.
pub const CONDITIONS_PER_APPEND_MAX: usize = 1_000;

/// Bytes of one append, all events together: the largest write that cannot be split.
pub const APPEND_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Records that one read looks at before it answers with what it has.
pub const READ_RECORDS_MAX: u64 = 1_000_000;

/// Milliseconds that one read takes before it answers with what it has.
pub const READ_TIME_MS_MAX: u64 = 1_000;

/// Bytes of events that one page holds: what bounds the memory of a reader.
pub const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Milliseconds by which the clock may be behind the newest event before it is warned about.
pub const CLOCK_BEHIND_WARN_MS: i64 = 1_000;

/// Milliseconds by which the wall clock may run ahead of the monotonic one before the leap
/// is doubted, and for which it must hold before it is followed.
pub const CLOCK_LEAP_MS: i64 = 60_000;
