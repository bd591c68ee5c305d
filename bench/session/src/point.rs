//! What is asked of a session, and what it answers: one line of JSON each.

use serde::{Deserialize, Serialize};

/// What is to be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "point")]
pub enum Point {
    /// Fill the store with so many events; not measured.
    Load {
        /// How many.
        events: u64,
    },
    /// Bytes on disk per event, when the store is closed.
    Rest,
    /// Bytes of the process that stores.
    Memory,
    /// Appends, each durable, by so many at once, for so long.
    Append {
        /// How many append.
        appenders: usize,
        /// How many events each call has.
        events: usize,
    },
    /// Appends in batches, one after the other without a pause, in the way in which a store takes
    /// many events best.
    Bulk {
        /// How many append.
        appenders: usize,
    },
    /// The stream that lies side by side.
    Contiguous {
        /// After the store was closed and nothing of it is in the page cache.
        cold: bool,
    },
    /// The stream that is spread over the log.
    Scattered {
        /// After the store was closed and nothing of it is in the page cache.
        cold: bool,
    },
    /// The log from its beginning.
    Log,
    /// From publishing to receiving.
    Live,
}

/// What a point gave.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Events in a second; or bytes, where bytes are asked for.
    pub value: f64,
    /// The median latency, in nanoseconds, where latencies are taken.
    pub p50_ns: Option<u64>,
    /// The latency that one in a hundred exceeds.
    pub p99_ns: Option<u64>,
}

/// What a session answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It is ready; the store's version.
    Ready(String),
    /// A point was measured.
    Figures(Figures),
    /// Done; there was nothing to measure.
    Done,
    /// The store has no such thing.
    NotOffered,
    /// It went wrong; the session ends.
    Failed(String),
}
