//! A disk in memory that keeps apart what was written and what was synced, cuts the power
//! from a seed, and fails the n-th call. A first form: it is harsher than most real disks
//! (each unsynced write is kept or dropped by itself), but does not tear single writes yet.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Access, Disk, File, Lock};

/// The disk. Clones share it.
#[derive(Clone, Default)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

#[derive(Default)]
struct World {
    /// Names as a running process sees them, and as they are on stable storage.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names since their folder was synced, oldest first.
    pending_names: Vec<NameChange>,
    folders: std::collections::BTreeSet<PathBuf>,
    files: Vec<FileState>,
    locked: bool,
    /// Counts power cuts, so that handles from before one are dead.
    life: u64,
    calls: u64,
    failing: Option<Failing>,
    bytes_free: Option<u64>,
}

/// Which calls fail.
struct Failing {
    from: u64,
    through: u64,
    kind: io::ErrorKind,
}

#[derive(Clone)]
enum NameChange {
    Made(PathBuf, usize),
    Renamed(PathBuf, PathBuf, usize),
    Removed(PathBuf),
}

#[derive(Default)]
struct FileState {
    written: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Stretches that cannot be read.
    bad_sectors: Vec<std::ops::Range<u64>>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write(offset, bytes) => {
                let offset = usize::try_from(*offset).expect("simulated files fit memory");
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[offset..end].copy_from_slice(bytes);
            }
            Change::Length(length) => {
                let length = usize::try_from(*length).expect("simulated files fit memory");
                content.resize(length, 0);
            }
        }
    }
}

impl SimDisk {
    /// Cuts the power: of every file, each unsynced change is kept or dropped as the seed has
    /// it, later ones too when earlier ones are dropped; of the names, the first so many
    /// changes are kept. Handles from before are dead; a lock is free again.
    pub fn cut_power(&self, seed: u64) {
        let mut world = self.world();
        let mut dice = Dice(seed);
        let World {
            files,
            pending_names,
            durable_names,
            ..
        } = &mut *world;
        for file in files {
            for change in std::mem::take(&mut file.pending) {
                if dice.flip() {
                    change.apply(&mut file.durable);
                }
            }
            file.written = file.durable.clone();
        }
        let kept = dice.below(pending_names.len() as u64 + 1);
        for change in pending_names.drain(..).take(kept as usize) {
            change.apply(durable_names);
        }
        world.names = world.durable_names.clone();
        world.locked = false;
        world.life += 1;
        world.failing = None;
    }

    /// How many calls that change or sync something were made so far.
    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// Lets the call with this number (counted from 1 over the life of the disk) fail.
    pub fn fail_call(&self, number: u64, kind: io::ErrorKind) {
        self.fail_calls(number, number, kind);
    }

    /// Lets this call and all after it fail until the power is cut, as if the process had
    /// died just before it.
    pub fn halt_at(&self, number: u64) {
        self.fail_calls(number, u64::MAX, io::ErrorKind::Other);
    }

    fn fail_calls(&self, from: u64, through: u64, kind: io::ErrorKind) {
        self.world().failing = Some(Failing {
            from,
            through,
            kind,
        });
    }

    /// Leaves room for so many bytes more; none for no limit.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.world().bytes_free = bytes;
    }

    /// The content of a file as a process sees it.
    pub fn content(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let world = self.world();
        let id = *world.names.get(path.as_ref())?;
        Some(world.files[id].written.clone())
    }

    /// Replaces the content of a file, as bit rot or an operator would: durably.
    pub fn tamper(&self, path: impl AsRef<Path>, content: Vec<u8>) {
        let mut world = self.world();
        let id = match world.names.get(path.as_ref()) {
            Some(id) => *id,
            None => world.make(path.as_ref()),
        };
        world.durable_names.insert(path.as_ref().to_owned(), id);
        let file = &mut world.files[id];
        file.pending.clear();
        file.written.clone_from(&content);
        file.durable = content;
    }

    /// Lets reads fail that touch a stretch of a file.
    pub fn fail_reads(&self, path: impl AsRef<Path>, stretch: std::ops::Range<u64>) {
        let mut world = self.world();
        if let Some(id) = world.names.get(path.as_ref()).copied() {
            world.files[id].bad_sectors.push(stretch);
        }
    }

    /// Removes a file, as an operator would: durably.
    pub fn lose(&self, path: impl AsRef<Path>) {
        let mut world = self.world();
        world.names.remove(path.as_ref());
        world.durable_names.remove(path.as_ref());
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().names.keys().cloned().collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no simulated call panics")
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Made(path, id) => {
                names.insert(path, id);
            }
            NameChange::Renamed(from, to, id) => {
                names.remove(&from);
                names.insert(to, id);
            }
            NameChange::Removed(path) => {
                names.remove(&path);
            }
        }
    }

    fn folder(&self) -> Option<&Path> {
        match self {
            NameChange::Made(path, _)
            | NameChange::Renamed(_, path, _)
            | NameChange::Removed(path) => path.parent(),
        }
    }
}

impl World {
    /// Counts a call that changes or syncs something, and fails it when it is its turn.
    fn count_call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match &self.failing {
            Some(failing) if (failing.from..=failing.through).contains(&self.calls) => {
                Err(failing.kind.into())
            }
            _ => Ok(()),
        }
    }

    fn make(&mut self, path: &Path) -> usize {
        let id = self.files.len();
        self.files.push(FileState::default());
        self.names.insert(path.to_owned(), id);
        id
    }
}

impl Disk for SimDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.count_call()?;
        let above = path.ancestors().map(Path::to_owned);
        world.folders.extend(above);
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        if !world.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = world
            .names
            .keys()
            .filter(|path| path.parent() == Some(folder));
        let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into());
        Ok(inside.filter_map(name).collect())
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        let id = match (world.names.get(path).copied(), access) {
            (Some(id), Access::Read | Access::Write) => id,
            (None, Access::Read | Access::Write) => return Err(io::ErrorKind::NotFound.into()),
            (Some(id), Access::Replace) => {
                world.count_call()?;
                let file = &mut world.files[id];
                file.written.clear();
                file.pending.push(Change::Length(0));
                id
            }
            (None, Access::Replace) => {
                world.count_call()?;
                let id = world.make(path);
                world
                    .pending_names
                    .push(NameChange::Made(path.to_owned(), id));
                id
            }
        };
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            id,
            life: world.life,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.count_call()?;
        let id = world.names.get(from).copied();
        let id = id.ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        let change = NameChange::Renamed(from.to_owned(), to.to_owned(), id);
        change.clone().apply(&mut world.names);
        world.pending_names.push(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.count_call()?;
        let removed = world.names.remove(path);
        removed.ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        let change = NameChange::Removed(path.to_owned());
        world.pending_names.push(change);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.count_call()?;
        let pending = std::mem::take(&mut world.pending_names);
        for change in pending {
            if change.folder() == Some(folder) {
                change.apply(&mut world.durable_names);
            } else {
                world.pending_names.push(change);
            }
        }
        Ok(())
    }

    fn lock(&self, _path: &Path, _holder: &str) -> io::Result<Result<Lock, String>> {
        let mut world = self.world();
        if world.locked {
            return Ok(Err("another simulated process".into()));
        }
        world.locked = true;
        Ok(Ok(Box::new(SimLock {
            disk: self.clone(),
            life: world.life,
        })))
    }
}

struct SimLock {
    disk: SimDisk,
    life: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.life == self.life {
            world.locked = false;
        }
    }
}

struct SimFile {
    disk: SimDisk,
    id: usize,
    life: u64,
}

impl SimFile {
    /// Runs `call` on the file, unless the power was cut since it was opened.
    fn with<T>(&self, call: impl FnOnce(&mut World, usize) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        if world.life != self.life {
            return Err(io::Error::other("the power was cut"));
        }
        call(&mut world, self.id)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.with(|world, id| {
            world.count_call()?;
            change.apply(&mut world.files[id].written);
            world.files[id].pending.push(change);
            Ok(())
        })
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|world, id| {
            let file = &world.files[id];
            let content = &file.written;
            let end = offset + buffer.len() as u64;
            let mut bad = file.bad_sectors.iter();
            if bad.any(|bad| bad.start < end && offset < bad.end) {
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
        self.change(Change::Write(offset, bytes.to_owned()))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|world, id| {
            let outcome = world.count_call();
            let file = &mut world.files[id];
            for change in std::mem::take(&mut file.pending) {
                // After a failed sync the cache holds what the disk will never get.
                if outcome.is_ok() {
                    change.apply(&mut file.durable);
                }
            }
            outcome
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.change(Change::Length(bytes))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|world, id| Ok(world.files[id].written.len() as u64))
    }

    fn reserve(&self, end: u64) -> io::Result<()> {
        let length = self.len()?;
        if end <= length {
            return Ok(());
        }
        self.with(|world, _| match &mut world.bytes_free {
            Some(free) if *free < end - length => Err(io::ErrorKind::StorageFull.into()),
            Some(free) => {
                *free -= end - length;
                Ok(())
            }
            None => Ok(()),
        })?;
        self.set_len(end)
    }
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a few lines, the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
