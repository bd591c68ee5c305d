//! The disk's own limits, taken in the same run.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use measuring::Latencies;
use rustix::fs::{Advice, fadvise};
use serde::{Deserialize, Serialize};

/// Bytes that are written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes that are written one after the other: more than what lies between here and the disk takes
/// at once.
const FILE_BYTES: u64 = 4 << 30;

/// Bytes of it that are read: about as much as the log of a store that is measured.
const READ_BYTES: u64 = 1 << 30;

/// Bytes of a random read from the page cache: an event.
const EVENT_BYTES: usize = 400;

/// Bytes of a random read from the disk: a page.
const PAGE_BYTES: usize = 4096;

/// Random reads of a sample.
const WARM_READS: u64 = 100_000;
const COLD_READS: u64 = 1_000;

/// A multiplier that spreads neighbours (Knuth, The Art of Computer Programming, 6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the disk does at best.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct DiskLimits {
    /// Bytes in a second, written one after the other and synced.
    pub(crate) sequential_bytes_per_second: f64,
    /// A random read of 400 bytes from the page cache.
    pub(crate) warm_read_ns: f64,
    /// A random read of 4 KiB that waits for the disk, at the median.
    pub(crate) cold_read_ns: f64,
}

impl DiskLimits {
    /// Measures them in a folder.
    pub(crate) fn measure(folder: &Path) -> anyhow::Result<DiskLimits> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(folder.join("sequential"))
            .context("make a file")?;
        let started = Instant::now();
        let chunk = vec![0x5a; CHUNK_BYTES];
        for offset in (0..FILE_BYTES).step_by(CHUNK_BYTES) {
            file.write_all_at(&chunk, offset).context("write a file")?;
        }
        file.sync_data().context("sync a file")?;
        let sequential_bytes_per_second = FILE_BYTES as f64 / started.elapsed().as_secs_f64();

        let mut event = [0; EVENT_BYTES];
        let started = Instant::now();
        for nth in 0..WARM_READS {
            let offset = nth.wrapping_mul(SPREAD) % (READ_BYTES - EVENT_BYTES as u64);
            file.read_exact_at(&mut event, offset)
                .context("read a file")?;
            black_box(&event);
        }
        let warm_read_ns = started.elapsed().as_nanos() as f64 / WARM_READS as f64;

        // Nothing that was not asked for is read ahead.
        fadvise(&file, 0, None, Advice::Random).context("read at random")?;
        fadvise(&file, 0, None, Advice::DontNeed).context("drop a file from the page cache")?;
        let mut page = [0; PAGE_BYTES];
        let mut latencies = Latencies::default();
        for nth in 0..COLD_READS {
            let offset = nth.wrapping_mul(SPREAD) % (READ_BYTES / PAGE_BYTES as u64);
            let started = Instant::now();
            file.read_exact_at(&mut page, offset * PAGE_BYTES as u64)
                .context("read a file")?;
            latencies.record(started.elapsed())?;
            black_box(&page);
        }
        let cold_read_ns = latencies.percentile(50.0).as_nanos() as f64;
        std::fs::remove_file(folder.join("sequential")).context("remove a file")?;
        Ok(DiskLimits {
            sequential_bytes_per_second,
            warm_read_ns,
            cold_read_ns,
        })
    }
}
