//! The calls of a file system, as the simulated disk answers them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::content::Change;
use super::faults::{Call, Fault, Verdict};
use super::names::NameChange;
use super::{SimDisk, World};
use crate::disk::{Access, Disk, File, Lock};

impl World {
    /// Whether a call goes on; `Err` with whether it may do a part of its work.
    fn gate(&mut self, call: Call, changes: bool) -> Result<(), (io::Error, bool)> {
        match self.failing.judge(call, changes, &mut self.counters) {
            Verdict::Proceed => Ok(()),
            Verdict::Fail(error) => Err((error, true)),
            Verdict::Halt(error) => Err((error, false)),
        }
    }

    /// The same for a call that does all of its work or nothing.
    fn gate_whole(&mut self, call: Call, changes: bool) -> io::Result<()> {
        self.gate(call, changes).map_err(|(error, _)| error)
    }

    /// Takes room for a file that grows from one length to another.
    fn take_room(&mut self, from: usize, to: usize) -> io::Result<()> {
        let Some(free) = &mut self.room else {
            return Ok(());
        };
        let needed = to.saturating_sub(from) as u64;
        if *free < needed {
            self.counters.count(Fault::Full);
            return Err(io::ErrorKind::StorageFull.into());
        }
        *free -= needed;
        Ok(())
    }
}

impl Disk for SimDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.gate_whole(Call::Open, true)?;
        if !world.folders.contains(path) {
            let above = path.ancestors().map(Path::to_owned);
            world.folders.extend(above);
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut world = self.world();
        world.gate_whole(Call::List, false)?;
        if !world.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = world
            .names
            .live
            .keys()
            .filter(|path| path.parent() == Some(folder));
        let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into());
        Ok(inside.filter_map(name).collect())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        let known = world.names.get(path);
        if known.is_none() && access != Access::Replace {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.gate_whole(Call::Open, access == Access::Replace)?;
        let id = match (known, access) {
            (Some(id), Access::Replace) => {
                let held = world.files[id].written.len() as u64;
                if let Some(free) = &mut world.room {
                    *free += held;
                }
                world.files[id].change(Change::Length(0));
                id
            }
            (Some(id), _) => id,
            (None, _) => {
                let id = world.make();
                world.names.change(NameChange::Made(path.to_owned(), id));
                id
            }
        };
        Ok(Arc::new(SimFile {
            life: self.life(&world),
            disk: self.clone(),
            id,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let id = world.names.get(from);
        let id = id.ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        let outcome = world.gate(Call::Rename, true);
        // It may have happened all the same, unless it was refused for want of room.
        let happens = match &outcome {
            Ok(()) => true,
            Err((error, may)) => {
                *may && error.kind() != io::ErrorKind::StorageFull && world.dice.flip()
            }
        };
        if happens {
            let change = NameChange::Renamed(from.to_owned(), to.to_owned(), id);
            world.names.change(change);
        }
        outcome.map_err(|(error, _)| error)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let id = world.names.get(path);
        let id = id.ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        world.gate_whole(Call::Remove, true)?;
        let held = world.files[id].written.len() as u64;
        if let Some(free) = &mut world.room {
            *free += held;
        }
        world.names.change(NameChange::Removed(path.to_owned()));
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.world();
        let outcome = world.gate(Call::SyncFolder, true);
        let happens = match &outcome {
            Ok(()) => true,
            Err((_, may)) => *may && world.dice.flip(),
        };
        if happens {
            world.names.sync(folder);
        }
        outcome.map_err(|(error, _)| error)
    }

    fn lock(&self, _path: &Path, _holder: &str) -> io::Result<Result<Lock, String>> {
        let mut world = self.world();
        let holder = (self.process, self.life(&world));
        let is_held = world
            .lock
            .is_some_and(|(process, life)| world.life_of(process) == life);
        if is_held {
            return Ok(Err("another simulated process".into()));
        }
        world.lock = Some(holder);
        Ok(Ok(Box::new(SimLock {
            disk: self.clone(),
            holder,
        })))
    }
}

struct SimLock {
    disk: SimDisk,
    holder: (usize, u64),
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.lock == Some(self.holder) {
            world.lock = None;
        }
    }
}

struct SimFile {
    disk: SimDisk,
    id: usize,
    life: u64,
}

impl SimFile {
    /// Runs `call` on the file, unless its process ended since it was opened.
    fn with<T>(&self, call: impl FnOnce(&mut World, usize) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        if self.disk.life(&world) != self.life {
            return Err(io::Error::other("the process has ended"));
        }
        call(&mut world, self.id)
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|world, id| {
            world.gate_whole(Call::Read, false)?;
            let file = &world.files[id];
            let content = &file.written;
            let end = offset + buffer.len() as u64;
            let mut bad = file.bad_sectors.iter();
            if bad.any(|bad| bad.start < end && offset < bad.end) {
                world.counters.count(Fault::BadSector);
                return Err(io::Error::other("a sector cannot be read"));
            }
            let from =
                usize::try_from(offset).map_or(content.len(), |from| from.min(content.len()));
            let bytes = buffer.len().min(content.len() - from);
            buffer[..bytes].copy_from_slice(&content[from..from + bytes]);
            Ok(bytes)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).expect("simulated files fit memory");
        self.with(|world, id| {
            let end = offset + bytes.len();
            let length = world.files[id].written.len();
            let mut outcome = world.gate(Call::Write, true);
            if outcome.is_ok() && end > length {
                outcome = world.take_room(length, end).map_err(|error| (error, true));
            }
            match outcome {
                Ok(()) => world.files[id].change(Change::Write(offset, bytes.to_owned())),
                Err((_, true)) => {
                    // A part of it may be written; what needs room that is not there is not.
                    let most = bytes.len().min(length.saturating_sub(offset));
                    let part = world.dice.index(most + 1);
                    let part = bytes[..part].to_owned();
                    world.files[id].change(Change::Write(offset, part));
                }
                Err((_, false)) => {}
            }
            outcome.map_err(|(error, _)| error)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|world, id| {
            let outcome = world.gate(Call::Sync, true);
            let (file, dice) = (&mut world.files[id], &mut world.dice);
            match outcome {
                Ok(()) if world.lies => {
                    if file.sync_with_a_lie(dice) {
                        (world.lies, world.has_lied) = (false, true);
                        world.counters.count(Fault::SyncLied);
                    }
                }
                Ok(()) => file.sync(),
                Err((_, true)) => file.fail_sync(dice),
                Err((_, false)) => {}
            }
            outcome.map_err(|(error, _)| error)
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).expect("simulated files fit memory");
        self.with(|world, id| {
            world.gate_whole(Call::Write, true)?;
            let held = world.files[id].written.len();
            if let Some(free) = &mut world.room {
                *free += held.saturating_sub(bytes) as u64;
            }
            world.files[id].change(Change::Length(bytes));
            Ok(())
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|world, id| Ok(world.files[id].written.len() as u64))
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        let end = usize::try_from(end).expect("simulated files fit memory");
        self.with(|world, id| {
            let length = world.files[id].written.len();
            if end <= length {
                return Ok(());
            }
            world.gate_whole(Call::Write, true)?;
            world.take_room(length, end)?;
            world.files[id].change(Change::Length(end));
            Ok(())
        })
    }

    /// Zeros where there are none yet change nothing that a power cut could leave half done: they
    /// are not synced.
    fn write_zeros(&self, from: u64, to: u64) -> io::Result<()> {
        let length = usize::try_from(to - from).expect("simulated files fit memory");
        self.write_at(&vec![0; length], from)
    }
}
