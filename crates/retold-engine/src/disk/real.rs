//! The operating system's files.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{Access, Disk, File, Lock};

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        // `Path::parent` of a bare name is the empty path, which stands for the working folder.
        let parent = match path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => return Ok(()),
        };
        if path.is_dir() {
            // Whoever made it may have died before its name was durable. A folder above that
            // may not be read was made by somebody else, long ago.
            return match self.sync_folder(parent) {
                Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
                _ => Ok(()),
            };
        }
        self.create_folder(parent)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_folder(parent)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match access {
            Access::Read => {}
            Access::Write => {
                options.write(true);
            }
            Access::Replace => {
                options.write(true).create(true).truncate(true);
            }
        }
        Ok(Arc::new(RealFile::new(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<Result<Lock, String>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut found = String::new();
                file.read_to_string(&mut found)?;
                return Ok(Err(found));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        // A note for others: on a full disk the lock must do without it.
        if let Err(error) = file
            .set_len(0)
            .and_then(|()| file.write_all(holder.as_bytes()))
        {
            tracing::warn!(%error, "could not note in LOCK who holds it");
        }
        Ok(Ok(Box::new(file)))
    }
}

struct RealFile {
    file: fs::File,
    /// The same file past the system's memory; none where that cannot be had.
    direct: OnceLock<Option<fs::File>>,
}

impl RealFile {
    fn new(file: fs::File) -> RealFile {
        RealFile {
            file,
            direct: OnceLock::new(),
        }
    }

    #[cfg(target_os = "linux")]
    fn open_direct(&self) -> Option<fs::File> {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::OpenOptionsExt;

        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
        let mut options = fs::OpenOptions::new();
        options.write(true).custom_flags(flags).open(path).ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn open_direct(&self) -> Option<fs::File> {
        None
    }
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self
                .file
                .read_at(&mut buffer[filled..], offset + filled as u64)
            {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    #[cfg(target_os = "linux")]
    fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> bool {
        let length = buffer.len();
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        let read = rustix::io::preadv2(
            &self.file,
            &mut [io::IoSliceMut::new(buffer)],
            offset,
            flags,
        );
        read == Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        // `fdatasync` also writes the length, which is all of the metadata that reading needs.
        self.file.sync_data()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        let length = self.len()?;
        if end <= length {
            return Ok(());
        }
        let flags = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(&self.file, flags, length, end - length) {
            Ok(()) => Ok(()),
            // A file system that cannot reserve: a write that finds no room poisons then.
            Err(rustix::io::Errno::OPNOTSUPP) => self.file.set_len(end),
            Err(error) => Err(error.into()),
        }
    }

    fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        /// What memory must be aligned to that goes to a device as it is.
        const ALIGNMENT: usize = 4096;
        let direct = self.direct.get_or_init(|| self.open_direct()).as_ref();
        // Zeros that went through the system's memory would be written by the log's own syncs.
        let direct = direct.ok_or(io::ErrorKind::Unsupported)?;
        let length = usize::try_from(to - from).map_err(io::Error::other)?;
        let zeros = vec![0; length + ALIGNMENT];
        let aligned = zeros.as_ptr().align_offset(ALIGNMENT);
        direct.write_all_at(&zeros[aligned..aligned + length], from)?;
        direct.sync_data()
    }

    fn will_read(&self, offset: u64, bytes: u64) {
        // A file system that takes no hints is none the worse.
        let bytes = std::num::NonZeroU64::new(bytes);
        let _ = rustix::fs::fadvise(&self.file, offset, bytes, rustix::fs::Advice::WillNeed);
    }
}
