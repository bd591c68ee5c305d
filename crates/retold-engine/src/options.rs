//! How a store is opened. Every default has its reason beside it.

use std::sync::Arc;

use retold_core::{Checkpoint, Clock, LogId, SystemClock};

/// A segment's length: small enough to copy and to scan in a second, large enough that a
/// hundred million events need few files.
const SEGMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Room reserved at once: some thousand small groups, and little to find unused at rest.
const RESERVE_BYTES: u64 = 4 * 1024 * 1024;

/// Events whose index entries lie in memory before they become a run: some megabytes, and few
/// enough to be read again in a fraction of the time that opening may take.
const MEMORY_EVENTS: usize = 32 * 1024;

/// Bytes of filters that are kept as a whole: enough for some fifty million events.
const FILTER_BYTES: u64 = 48 * 1024 * 1024;

/// Bytes of other pages of runs that are kept.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// A page of a run: what a disk reads at once.
const PAGE_BYTES: u16 = 4096;

/// How much memory the index takes.
#[derive(Debug, Clone)]
pub struct IndexOptions {
    /// The newest events, whose entries lie in memory; two or three times as many while they
    /// become runs. A store that takes appends keeps the ids and streams of up to about twice as
    /// many besides.
    pub memory_events: usize,
    /// Bytes of filters of runs that are kept in memory as a whole, once they are asked often:
    /// one or two for each event. Nearly all look-ups of appends end at them.
    pub filter_bytes: u64,
    /// Bytes of pages of runs that are kept in memory, those of other filters included.
    pub cache_bytes: u64,
    /// The size of a page of new runs: 1 KiB to 32 KiB.
    pub page_bytes: u16,
    /// The secret that keys are made with where there are no runs yet; a random one when absent.
    pub secret: Option<[u8; 16]>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        IndexOptions {
            memory_events: MEMORY_EVENTS,
            filter_bytes: FILTER_BYTES,
            cache_bytes: CACHE_BYTES,
            page_bytes: PAGE_BYTES,
            secret: None,
        }
    }
}

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// A segment that would grow longer than this is followed by another; at most 4 GiB.
    pub segment_bytes_max: u64,
    /// Room on the disk is reserved in steps of this.
    pub reserve_bytes: u64,
    /// How much memory the index takes.
    pub index: IndexOptions,
    /// Opens without taking the lock, changes nothing, and follows a writer in another
    /// process. Shows only what that writer has made durable for certain.
    pub read_only: bool,
    /// The newest places that anything kept beside the log was derived from: a log that ends
    /// before one of them has lost its tail, and refuses appends.
    pub evidence: Vec<Checkpoint>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// What the file LOCK says of who holds it.
    pub holder: String,
    /// The id of a log that is made; a random one when absent.
    pub log_id: Option<LogId>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes_max: SEGMENT_BYTES_MAX,
            reserve_bytes: RESERVE_BYTES,
            index: IndexOptions::default(),
            read_only: false,
            evidence: Vec::new(),
            clock: Arc::new(SystemClock::default()),
            holder: format!("process {}\n", std::process::id()),
            log_id: None,
        }
    }
}
