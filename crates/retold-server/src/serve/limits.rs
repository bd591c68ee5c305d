//! What clients may cost the server, each limit with its reason.

use std::time::Duration;

/// What clients may cost the server, all together and each of them.
///
/// The defaults serve a service; a test that waits for one of them sets it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time; further clients wait in the system's queue.
    pub connections: usize,
    /// How long a client may take to send the head of a request, the wait for a further request
    /// on the same connection included.
    pub head_timeout: Duration,
    /// How long a body may stand still while it is awaited. A client that sends for ever, a
    /// little at a time, is let: that is what a bulk append from a live source does.
    pub body_stall: Duration,
    /// How long a client may leave what was written to it unread.
    pub write_stall: Duration,
    /// Bytes of request bodies that are held in memory at a time, all connections together.
    pub bodies_bytes: usize,
    /// Bytes that are held in memory at a time to be answered, all connections together.
    pub answers_bytes: usize,
    /// How long a request waits for room in memory before it is told to come again.
    pub room_wait: Duration,
    /// How long requests may take to finish once the server is told to stop.
    pub stop_grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // Each costs a file and some 20 KiB while it is idle, so all of them some 80 MiB.
            connections: 4_096,
            // Longer than any honest network needs.
            head_timeout: Duration::from_secs(30),
            body_stall: Duration::from_secs(30),
            // As the interface promises.
            write_stall: Duration::from_secs(30),
            // Sixteen of the longest bodies, or twenty-five bulk appends.
            bodies_bytes: 256 * 1024 * 1024,
            // Sixteen of the largest pages while they are read, any number of usual ones.
            answers_bytes: 512 * 1024 * 1024,
            // Longer than a read takes; who is told to come again loses less than who waits.
            room_wait: Duration::from_secs(5),
            // Longer than any append and shorter than a supervisor's patience, which is 10 s for
            // containers.
            stop_grace: Duration::from_secs(8),
        }
    }
}

/// Bytes of a request's head, and of what is read ahead: ids of 512 bytes fit four times over
/// when every byte of them is escaped.
pub(super) const READ_BUFFER_BYTES: usize = 64 * 1024;

/// What a body without a length is counted as: the longest that is read as a whole, an append of
/// 8 MiB with its escapes.
pub(super) const UNKNOWN_BODY_BYTES: usize = 16 * 1024 * 1024;

/// What a body of lines is counted as at most: the longest line, the lines that are being
/// appended and their events, their results, and the lines and events that are read meanwhile.
pub(super) const LINES_BYTES: usize = 16 * 1024 * 1024;

/// Answers up to this size are counted with their connection.
pub(super) const SMALL_ANSWER_BYTES: u64 = 16 * 1024;

/// The pause after the system refused a connection because too many files are open.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
