//! Reads a file in large steps: what a scan is fast by.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::File;

/// Bytes read at once.
pub(crate) const WINDOW_BYTES: usize = 1024 * 1024;

/// The steps in which a part is read that the system refuses to read as a whole. They begin at
/// multiples of this, so that what is unreadable has the same name from wherever it was read.
pub(crate) const STEP_BYTES: u64 = 4096;

/// A file, and the part of it that was read last.
pub(crate) struct Window {
    file: Arc<dyn File>,
    from: u64,
    bytes: Bytes,
    unreadable: BTreeSet<u64>,
}

impl Window {
    pub(crate) fn new(file: Arc<dyn File>) -> Window {
        Window {
            file,
            from: 0,
            bytes: Bytes::new(),
            unreadable: BTreeSet::new(),
        }
    }

    /// The length of the file.
    pub(crate) fn length(&self) -> io::Result<u64> {
        self.file.len()
    }

    /// Where the steps begin that the system refused to read.
    pub(crate) fn unreadable(&self) -> &BTreeSet<u64> {
        &self.unreadable
    }

    /// Whether only zeros, or nothing, stands at an offset; reads no more than that.
    pub(crate) fn is_zero_at(&self, offset: u64, length: usize) -> io::Result<bool> {
        let mut bytes = vec![0; length];
        let filled = self.file.read_at(&mut bytes, offset)?;
        Ok(bytes[..filled].iter().all(|byte| *byte == 0))
    }

    /// Drops what was read, so that what was written since is seen.
    pub(crate) fn forget(&mut self) {
        self.bytes = Bytes::new();
    }

    /// The bytes at `offset`: `length` of them, or fewer at the end of the file. What cannot
    /// be read is zero, and is remembered.
    pub(crate) fn bytes(&mut self, offset: u64, length: usize) -> io::Result<Bytes> {
        let held = offset
            .checked_sub(self.from)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| skip + length <= self.bytes.len());
        let skip = match held {
            Some(skip) => skip,
            None => {
                self.bytes = Bytes::from(self.read(offset, length.max(WINDOW_BYTES))?);
                self.from = offset;
                0
            }
        };
        let end = self.bytes.len().min(skip + length);
        Ok(self.bytes.slice(skip..end))
    }

    fn read(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        // No more memory than there are bytes: most files that are opened often are short.
        let available = self.file.len()?.saturating_sub(offset);
        let length = usize::try_from(available).map_or(length, |most| length.min(most));
        let mut buffer = vec![0; length];
        if let Ok(filled) = self.file.read_at(&mut buffer, offset) {
            buffer.truncate(filled);
            return Ok(buffer);
        }
        let end = offset + length as u64;
        let mut at = offset;
        while at < end {
            let begin = at - at % STEP_BYTES;
            let step_end = end.min(begin + STEP_BYTES);
            let step = &mut buffer[(at - offset) as usize..(step_end - offset) as usize];
            if self.file.read_at(step, at).is_err() {
                step.fill(0);
                self.unreadable.insert(begin);
            }
            at = step_end;
        }
        Ok(buffer)
    }
}
