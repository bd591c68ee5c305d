//! Taking a folder out of the page cache, and what it takes of the disk.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use rustix::fs::{Advice, fadvise};

/// Bytes of a block in which the kernel counts.
const BLOCK_BYTES: u64 = 512;

/// Bytes that the folder takes of the disk.
pub(crate) fn bytes_of(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for_each_file(folder, &mut |file| {
        bytes += fs::metadata(file)?.blocks() * BLOCK_BYTES;
        Ok(())
    })?;
    Ok(bytes)
}

/// Drops the folder's files from the page cache. What is dirty is written first.
pub(crate) fn drop_pages(folder: &Path) -> anyhow::Result<()> {
    for_each_file(folder, &mut |file| {
        let file = File::open(file)?;
        file.sync_all()?;
        Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
    })
}

fn for_each_file(
    folder: &Path,
    each: &mut impl FnMut(&Path) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).context("list a folder")? {
        let path = entry.context("list a folder")?.path();
        if path.is_dir() {
            for_each_file(&path, each)?;
        } else {
            each(&path).with_context(|| format!("look at {}", path.display()))?;
        }
    }
    Ok(())
}
