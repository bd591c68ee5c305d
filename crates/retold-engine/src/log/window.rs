//! Reads a file in large steps: what a scan is fast by.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::File;

/// Bytes read at once.
pub(crate) const WINDOW_BYTES: usize = 1024 * 1024;

/// A file, and the part of it that was read last.
pub(crate) struct Window {
    file: Arc<dyn File>,
    from: u64,
    bytes: Bytes,
}

impl Window {
    pub(crate) fn new(file: Arc<dyn File>) -> Window {
        Window {
            file,
            from: 0,
            bytes: Bytes::new(),
        }
    }

    /// The length of the file.
    pub(crate) fn length(&self) -> io::Result<u64> {
        self.file.len()
    }

    /// Drops what was read, so that what was written since is seen.
    pub(crate) fn forget(&mut self) {
        self.bytes = Bytes::new();
    }

    /// The bytes at `offset`: `length` of them, or fewer at the end of the file.
    pub(crate) fn bytes(&mut self, offset: u64, length: usize) -> io::Result<Bytes> {
        let held = offset
            .checked_sub(self.from)
            .and_then(|skip| usize::try_from(skip).ok())
            .filter(|skip| skip + length <= self.bytes.len());
        let skip = match held {
            Some(skip) => skip,
            None => {
                let mut buffer = vec![0; length.max(WINDOW_BYTES)];
                let filled = self.file.read_at(&mut buffer, offset)?;
                buffer.truncate(filled);
                self.bytes = Bytes::from(buffer);
                self.from = offset;
                0
            }
        };
        let end = self.bytes.len().min(skip + length);
        Ok(self.bytes.slice(skip..end))
    }
}
