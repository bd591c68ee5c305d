//! What a client may cost the server, each with its reason.

use std::time::Duration;

/// Connections at a time. Each costs a file and some 20 KiB while it is idle, so all of them
/// some 80 MiB; further clients wait in the system's queue.
pub(super) const CONNECTIONS_MAX: usize = 4_096;

/// How long a client may take to send the head of a request, the wait for a further request on
/// the same connection included: longer than any honest network needs.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a body may stand still while it is awaited. A client that sends for ever, a little at
/// a time, is let: that is what a bulk import from a live source does.
pub(super) const BODY_STALL: Duration = Duration::from_secs(30);

/// How long a client may leave what was written to it unread, as the interface promises.
pub(super) const WRITE_STALL: Duration = Duration::from_secs(30);

/// Bytes of a request's head, and of what is read ahead: ids of 512 bytes fit four times over
/// when every byte of them is escaped.
pub(super) const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of request bodies that are held in memory at a time, all connections together.
pub(super) const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a body without a length is counted as: the longest that is read as a whole, an append of
/// 8 MiB with its escapes.
pub(super) const UNKNOWN_BODY_BYTES: usize = 16 * 1024 * 1024;

/// How long a request waits for room for its body before it is told to come again.
pub(super) const ROOM_WAIT: Duration = Duration::from_secs(5);

/// How long requests may take to finish once the server is told to stop: longer than any append
/// and shorter than a supervisor's patience, which is 10 s for containers.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(8);

/// The pause after the system refused a connection because too many files are open.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
