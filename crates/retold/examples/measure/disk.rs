//! The limit of the disk itself: what a write that is on stable storage costs at least.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::report::{Latencies, Table};

/// Bytes of a write.
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Writes of each kind: enough for a median.
const WRITES: u64 = 1_000;

/// Blocks that are overwritten in turn: 4 MiB.
const BLOCKS: u64 = 1_024;

/// A file to write to beside the log.
pub(crate) struct Limit {
    file: File,
}

impl Limit {
    /// Measures a growing file, and keeps it for the measurements to come.
    pub(crate) fn measure(folder: &Path, table: &mut Table) -> Outcome<Limit> {
        let file = File::create(folder.join("limit"))?;
        let grow = sample(&file, |nth| nth)?;
        for nth in 0..BLOCKS {
            file.write_all_at(&BLOCK, nth * BLOCK.len() as u64)?;
        }
        file.sync_all()?;
        let overwrite = sample(&file, |nth| nth % BLOCKS)?;
        let (grown, sync) = (grow.percentile(50.0), overwrite.percentile(50.0));
        let figure = |kind: &Latencies| {
            let (p50, p99) = (kind.percentile(50.0), kind.percentile(99.0));
            format!("p50 {p50:.0?}, p99 {p99:.1?}")
        };
        table.row(
            "the disk: overwrite 4 KiB, fdatasync",
            &figure(&overwrite),
            "",
        );
        table.row(
            "the disk: grow by 4 KiB, fdatasync",
            &figure(&grow),
            &format!(
                "p50 {:.2} overwrites",
                grown.as_secs_f64() / sync.as_secs_f64()
            ),
        );
        Ok(Limit { file })
    }

    /// The median of overwriting a block, now: what a figure taken next is compared with.
    pub(crate) fn overwrite(&self) -> Outcome<Duration> {
        let latencies = sample(&self.file, |nth| nth % BLOCKS)?;
        Ok(latencies.percentile(50.0))
    }
}

fn sample(file: &File, block: impl Fn(u64) -> u64) -> Outcome<Latencies> {
    let mut latencies = Latencies::default();
    for nth in 0..WRITES {
        let started = Instant::now();
        file.write_all_at(&BLOCK, block(nth) * BLOCK.len() as u64)?;
        file.sync_data()?;
        latencies.record(started.elapsed())?;
    }
    Ok(latencies)
}
