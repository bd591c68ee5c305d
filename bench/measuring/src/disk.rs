//! The limit of the disk itself: what a write that is on stable storage costs at least.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::Latencies;

/// Bytes of a write.
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Writes of a sample: enough for a median.
const WRITES: u64 = 1_000;

/// Blocks that are overwritten in turn: 4 MiB.
const BLOCKS: u64 = 1_024;

/// A file that is written to beside the stores.
pub struct Limit(File);

impl Limit {
    /// Makes the file, written in full so that overwriting it allocates nothing.
    pub fn new(folder: &Path) -> anyhow::Result<Limit> {
        let file = File::create(folder.join("limit")).context("make a file to write to")?;
        for nth in 0..BLOCKS {
            file.write_all_at(&BLOCK, nth * BLOCK.len() as u64)
                .context("fill the file to write to")?;
        }
        file.sync_all().context("fill the file to write to")?;
        Ok(Limit(file))
    }

    /// The median of overwriting a block and waiting until it is kept, now.
    pub fn overwrite(&self) -> anyhow::Result<Duration> {
        let mut latencies = Latencies::default();
        for nth in 0..WRITES {
            let started = Instant::now();
            let offset = nth % BLOCKS * BLOCK.len() as u64;
            self.0
                .write_all_at(&BLOCK, offset)
                .and_then(|()| self.0.sync_data())
                .context("overwrite a block")?;
            latencies.record(started.elapsed())?;
        }
        Ok(latencies.percentile(50.0))
    }
}
