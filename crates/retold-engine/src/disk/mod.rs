//! Everything the engine asks of a disk, so that a simulated one can stand in its place.

mod counted;
mod real;
#[cfg(any(test, feature = "simulator"))]
pub mod sim;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub(crate) use counted::Counted;
pub use real::RealDisk;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It must exist and is only read.
    Read,
    /// It must exist; it is read and written.
    Write,
    /// It is made, or emptied where it exists.
    Replace,
}

/// A file system, as far as a log needs one.
pub trait Disk: Send + Sync + 'static {
    /// Makes a folder and those above it; each new one is on stable storage afterwards.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, sorted; [`io::ErrorKind::NotFound`] where there is no such folder.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Opens a file. A made file's name is not durable before [`Disk::sync_folder`].
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name in the same folder, in place of a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away. Open handles go on reading what it held. Not durable before
    /// [`Disk::sync_folder`]; [`io::ErrorKind::NotFound`] where there is no such file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Puts the names of a folder on stable storage.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Takes a lock that ends with the process, and writes who holds it into the file.
    /// None, with what the file says, when somebody else holds it.
    fn lock(&self, path: &Path, holder: &str) -> io::Result<Result<Lock, String>>;
}

/// Holds a lock until it is dropped.
pub type Lock = Box<dyn std::any::Any + Send + Sync>;

#[expect(
    clippy::len_without_is_empty,
    reason = "nobody asks a file whether it is empty"
)]
/// An open file. All calls may be made from several threads at once.
pub trait File: Send + Sync + 'static {
    /// Reads into `buffer` from `offset` until it is full or the file ends; returns how much.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills `buffer` from `offset`, where that needs no waiting for a device; false where it
    /// would, or where that cannot be told.
    fn read_at_once(&self, _buffer: &mut [u8], _offset: u64) -> bool {
        false
    }

    /// Writes all of `bytes` at `offset`. Not durable before [`File::sync`].
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Puts the content and the length on stable storage.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file off, or makes it longer with zeros.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// The length.
    fn len(&self) -> io::Result<u64>;

    /// Makes sure that there is room up to `end`; the file is at least that long afterwards,
    /// and new bytes are zero. [`io::ErrorKind::StorageFull`] when there is none: the content is
    /// as it was then.
    fn reserve(&self, end: u64) -> io::Result<()>;

    /// Writes zeros where there are only zeros, so that writing there is quicker later on. Waits
    /// for the device; does not hold up writes elsewhere in the file for long.
    fn write_zeros(&self, _from: u64, _to: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Says that a stretch will be read soon: a hint that keeps many reads in flight.
    fn will_read(&self, _offset: u64, _bytes: u64) {}
}

/// Reads the whole of `length` bytes at `offset`.
pub(crate) fn read_exact(file: &dyn File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    if file.read_at(&mut bytes, offset)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}
