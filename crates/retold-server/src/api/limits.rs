//! Every limit and time of the HTTP interface, with its reason. Those of an event are
//! [`retold::limits`].

use std::time::Duration;

/// The highest number that is taken: what all languages and databases can hold, and what the
/// document says.
pub(crate) const NUMBER_MAX: u64 = i64::MAX as u64;

/// Entries of a page where no `limit` is given: what a person looks through.
pub(crate) const PAGE_LIMIT_DEFAULT: usize = 100;

/// The highest `limit` of a page: a page is held in memory; what is longer is streamed.
pub(crate) const PAGE_LIMIT_MAX: usize = 1_000;

/// Bytes of the largest event, which fits a message of 1 MiB.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// The memory that a page of so many events takes at most while it is read: the events, and the
/// text that is written of them.
pub(crate) fn bytes_of_page(events: usize) -> usize {
    let events = events.saturating_mul(EVENT_BYTES_MAX);
    2 * events.min(retold::limits::PAGE_BYTES_MAX)
}

/// Snapshots that a check draws unless told otherwise: each costs the replay of a stream.
pub(crate) const SNAPSHOT_SAMPLE_DEFAULT: usize = 100;

/// Events that a stream of events reads at a time: few enough to hold, enough that the number
/// of reads does not matter.
pub(crate) const STREAMED_READ_EVENTS: usize = 1_000;

/// Bytes of the body of an append: the largest append, and the JSON around its payloads.
pub(crate) const APPEND_BODY_BYTES_MAX: usize = retold::limits::APPEND_BYTES_MAX + 2 * 1024 * 1024;

/// Bytes of any other JSON body, and of one line of NDJSON: twice the largest payload, so that
/// white space and escapes fit.
pub(crate) const SMALL_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes of a machine's file: it is kept as one event, and people write it.
pub(crate) const MACHINE_BODY_BYTES_MAX: usize = 256 * 1024;

/// How long a body that is read as a whole may take: the largest one over a slow line, and not
/// as long as a client likes that sends a byte at a time.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(300);

/// How long a bulk client may leave its results unread.
pub(crate) const UNREAD_TIME_MAX: Duration = Duration::from_secs(30);

/// Lines of a bulk append that are appended together: at most one append of the log each stream.
pub(crate) const BULK_LINES_AT_ONCE: usize = retold::limits::EVENTS_PER_APPEND_MAX;

/// Bytes of such lines: what bounds the memory of a bulk client.
pub(crate) const BULK_BYTES_AT_ONCE: usize = 1024 * 1024;

/// Refused lines that a summary lists: enough to see what is wrong with a file.
pub(crate) const REFUSED_LINES_MAX: usize = 1_000;

/// How long a bulk append waits between two attempts while the log is busy.
pub(crate) const BULK_BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long a bulk append goes on trying while the log is busy, before it breaks off.
pub(crate) const BULK_BUSY_TIME_MAX: Duration = Duration::from_secs(30);

/// Events of one batch of a restore: an append's worth.
pub(crate) const RESTORE_BATCH_EVENTS: usize = retold::limits::EVENTS_PER_APPEND_MAX;

/// Bytes of lines of one batch of a restore: see [`APPEND_BODY_BYTES_MAX`].
pub(crate) const RESTORE_BATCH_BYTES: usize = retold::limits::APPEND_BYTES_MAX;

/// The longest silence of a live stream: proxies cut off a connection that is silent longer.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);

/// The highest `waitMs`: what a client and the proxies in between wait for an answer.
pub(crate) const WAIT_MS_MAX: u64 = 30_000;

/// Deliveries that are fetched unless told otherwise.
pub(crate) const FETCH_LIMIT_DEFAULT: u64 = 64;

/// The longest `delayMs` that a rejection may ask for: a day. What must wait longer waits for a
/// person.
pub(crate) const DELAY_MS_MAX: u64 = 86_400_000;

/// Seconds after which a client that was told to come back may do so.
pub(crate) const RETRY_AFTER_S: u64 = 1;
