//! A disk that counts what is read from it, for whoever shows how far a long walk has come.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Access, Disk, File, Lock};

/// Another disk, counted.
pub(crate) struct Counted<D> {
    disk: D,
    bytes_read: Arc<AtomicU64>,
}

impl<D: Disk> Counted<D> {
    pub(crate) fn new(disk: D, bytes_read: Arc<AtomicU64>) -> Counted<D> {
        Counted { disk, bytes_read }
    }
}

impl<D: Disk> Disk for Counted<D> {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.create_folder(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.disk.list(folder)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(CountedFile {
            file: self.disk.open(path, access)?,
            bytes_read: Arc::clone(&self.bytes_read),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Result<Lock, String>> {
        self.disk.lock(path, holder)
    }
}

struct CountedFile {
    file: Arc<dyn File>,
    bytes_read: Arc<AtomicU64>,
}

impl File for CountedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.file.read_at(buffer, offset)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        self.file.reserve(end)
    }
}
