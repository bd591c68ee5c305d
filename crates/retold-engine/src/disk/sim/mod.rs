//! A disk in memory that keeps apart what was written and what was synced, per file and per
//! folder. From a seed it cuts the power (and keeps, drops, tears or reorders what was not
//! synced), fails calls, fills up, and does what disks do to data that was safe: flips bits,
//! loses files and writes, and is replaced by an older copy.

mod calls;
mod content;
pub(crate) mod dice;
mod faults;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use self::content::Content;
use self::dice::Dice;
use self::names::Names;

pub use self::faults::{Call, Counters, Fault};

/// The disk, as one process sees it. Clones share it, and are of the same process.
#[derive(Clone, Default)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
    process: usize,
}

struct World {
    names: Names,
    folders: BTreeSet<PathBuf>,
    files: Vec<Content>,
    /// Who holds the lock: the process, and which of its lives.
    lock: Option<(usize, u64)>,
    /// How often each process has ended, so that handles from before are dead.
    lives: Vec<u64>,
    failing: faults::Failing,
    /// Bytes by which files may still grow; none for no limit.
    room: Option<u64>,
    /// A sector keeps what it held beside the bytes that are written to it.
    is_powersafe: bool,
    /// One write of the next sync is lost, though the sync says otherwise.
    lies: bool,
    has_lied: bool,
    /// Decides what half done calls did.
    dice: Dice,
    counters: Counters,
}

impl Default for World {
    fn default() -> Self {
        World {
            names: Names::default(),
            folders: BTreeSet::new(),
            files: Vec::new(),
            lock: None,
            lives: vec![0],
            failing: faults::Failing::default(),
            room: None,
            is_powersafe: true,
            lies: false,
            has_lied: false,
            dice: Dice::default(),
            counters: Counters::default(),
        }
    }
}

/// A copy of all files, as they were at one moment.
#[derive(Debug, Clone, Default)]
pub struct Image(BTreeMap<PathBuf, Copied>);

#[derive(Debug, Clone)]
struct Copied {
    content: Vec<u8>,
    /// The copy of what cannot be read cannot be read either.
    bad_sectors: Vec<std::ops::Range<u64>>,
}

impl Image {
    /// The content of a file.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.0.get(path).map(|copied| copied.content.clone())
    }

    /// The files of the copy.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

impl SimDisk {
    /// A disk whose half done calls are decided by a seed.
    pub fn seeded(seed: u64) -> SimDisk {
        let disk = SimDisk::default();
        disk.world().dice = Dice(seed);
        disk
    }

    /// The same disk for another process: it may be killed by itself.
    pub fn for_another_process(&self) -> SimDisk {
        let mut world = self.world();
        world.lives.push(0);
        SimDisk {
            world: Arc::clone(&self.world),
            process: world.lives.len() - 1,
        }
    }

    /// Cuts the power: of every file, each unsynced change is kept, dropped or torn as the seed
    /// has it; so are changes of names. All handles are dead; a lock is free again, what was to
    /// fail does not.
    pub fn cut_power(&self, seed: u64) {
        let mut world = self.world();
        let mut dice = Dice(seed);
        let World {
            files,
            names,
            counters,
            lives,
            is_powersafe,
            ..
        } = &mut *world;
        counters.count(Fault::PowerCut);
        for file in files {
            file.cut(&mut dice, *is_powersafe, counters);
        }
        names.cut(&mut dice, counters);
        lives.iter_mut().for_each(|life| *life += 1);
        world.lock = None;
        world.lies = false;
        world.failing.forget();
    }

    /// Ends the process as `kill -9` does: its handles are dead, its lock is free, and what it
    /// wrote is still in the cache.
    pub fn kill(&self) {
        let mut world = self.world();
        world.counters.count(Fault::Killed);
        world.lives[self.process] += 1;
        world.failing.forget();
    }

    /// How many calls that change or sync something were made so far.
    pub fn calls(&self) -> u64 {
        self.world().failing.calls
    }

    /// Lets the call with this number (of those that change or sync something, counted from 1
    /// over the life of the disk) fail.
    pub fn fail_call(&self, number: u64, kind: io::ErrorKind) {
        self.world().failing.fail_one(number, kind);
    }

    /// Lets the n-th call of a kind from now on fail.
    pub fn fail_nth(&self, call: Call, nth: u64, kind: io::ErrorKind) {
        self.world().failing.plan(call, nth, kind);
    }

    /// Lets this call and all after it fail until the power is cut or the process killed, as if
    /// it had died just before.
    pub fn halt_at(&self, number: u64) {
        self.world().failing.halt_at(number);
    }

    /// Whether that call was reached.
    pub fn has_halted(&self) -> bool {
        self.world().failing.has_halted()
    }

    /// Whether something is to fail that has not failed yet.
    pub fn is_disturbed(&self) -> bool {
        self.world().failing.is_planned()
    }

    /// Takes back what was to fail.
    pub fn heal(&self) {
        self.world().failing.forget();
    }

    /// How many calls failed because they were to.
    pub fn failures(&self) -> u64 {
        self.world().failing.fired
    }

    /// Leaves room for so many bytes more; none for no limit.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.world().room = bytes;
    }

    /// Whether there is a limit of room.
    pub fn has_room_limit(&self) -> bool {
        self.world().room.is_some()
    }

    /// Whether writing to a part of a sector leaves the rest of it alone when the power is cut.
    pub fn set_powersafe(&self, is_powersafe: bool) {
        self.world().is_powersafe = is_powersafe;
    }

    /// Lets the next sync of something written lose one of the writes and say nothing.
    pub fn lie_at_sync(&self) {
        self.world().lies = true;
    }

    /// Whether a sync has lost a write since this was last asked.
    pub fn has_lied(&self) -> bool {
        std::mem::take(&mut self.world().has_lied)
    }

    /// Drops from the cache what counts as written since a sync failed: what is read then is
    /// what the disk has.
    pub fn evict(&self) {
        let mut world = self.world();
        let World {
            files, counters, ..
        } = &mut *world;
        for file in files {
            if file.evict() {
                counters.count(Fault::Evicted);
            }
        }
    }

    /// The content of a file as a process sees it.
    pub fn content(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let world = self.world();
        let id = world.names.get(path.as_ref())?;
        Some(world.files[id].written.clone())
    }

    /// Replaces the content of a file, as bit rot or an operator would: durably.
    pub fn tamper(&self, path: impl AsRef<Path>, content: Vec<u8>) {
        let mut world = self.world();
        match world.names.get(path.as_ref()) {
            Some(id) => {
                world.names.set(path.as_ref(), Some(id));
                world.files[id].replace(content);
            }
            None => world.place(path.as_ref(), content),
        }
    }

    /// Flips a bit of a file, for every reader and for good. False where the file has no such
    /// bit.
    pub fn flip_bit(&self, path: impl AsRef<Path>, bit: u64) -> bool {
        let mut world = self.world();
        let (byte, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        let Some(id) = world.names.get(path.as_ref()) else {
            return false;
        };
        let file = &mut world.files[id];
        let mut has_flipped = false;
        for content in [&mut file.written, &mut file.durable] {
            if let Some(byte) = content.get_mut(byte) {
                *byte ^= mask;
                has_flipped = true;
            }
        }
        if has_flipped {
            world.counters.count(Fault::BitFlipped);
        }
        has_flipped
    }

    /// Lets reads fail that touch a stretch of a file.
    pub fn fail_reads(&self, path: impl AsRef<Path>, stretch: std::ops::Range<u64>) {
        let mut world = self.world();
        if let Some(id) = world.names.get(path.as_ref()) {
            world.files[id].bad_sectors.push(stretch);
        }
    }

    /// Lets all reads go well again that `fail_reads` had failed.
    pub fn mend_reads(&self) {
        for file in &mut self.world().files {
            file.bad_sectors.clear();
        }
    }

    /// Removes a file, as an operator would: durably.
    pub fn lose(&self, path: impl AsRef<Path>) {
        let mut world = self.world();
        if world.names.get(path.as_ref()).is_some() {
            world.counters.count(Fault::FileLost);
        }
        world.names.set(path.as_ref(), None);
    }

    /// A copy of all files as processes see them.
    pub fn image(&self) -> Image {
        let world = self.world();
        let copied = |(path, id): (&PathBuf, &usize)| {
            let file = &world.files[*id];
            let copied = Copied {
                content: file.written.clone(),
                bad_sectors: file.bad_sectors.clone(),
            };
            (path.clone(), copied)
        };
        Image(world.names.live.iter().map(copied).collect())
    }

    /// Puts an older copy of the folder back, durably. Files that are newer than the copy are
    /// removed, or left where they are.
    pub fn put_back(&self, image: &Image, removes_newer: bool) {
        let mut world = self.world();
        world.counters.count(Fault::OlderFolder);
        world.put_back(image, removes_newer);
    }

    /// Makes the folder what it was: a backup that misses nothing.
    pub fn restore_backup(&self, image: &Image) {
        self.world().put_back(image, true);
    }

    /// Puts a copy of one file back, durably; a file that the copy does not have is left alone.
    pub fn put_back_file(&self, image: &Image, path: &Path) {
        let mut world = self.world();
        if let Some(copied) = image.0.get(path) {
            world.counters.count(Fault::OlderFile);
            world.place_copy(path, copied);
        }
    }

    /// The paths of all files.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().names.live.keys().cloned().collect()
    }

    /// How often each fault happened so far.
    pub fn counters(&self) -> Counters {
        self.world().counters.clone()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no simulated call panics")
    }

    fn life(&self, world: &World) -> u64 {
        world.life_of(self.process)
    }
}

impl World {
    fn make(&mut self) -> usize {
        self.files.push(Content::default());
        self.files.len() - 1
    }

    fn put_back(&mut self, image: &Image, removes_newer: bool) {
        if removes_newer {
            self.names = Names::default();
        }
        for (path, copied) in &image.0 {
            self.place_copy(path, copied);
        }
    }

    fn place_copy(&mut self, path: &Path, copied: &Copied) {
        self.place(path, copied.content.clone());
        if let Some(file) = self.files.last_mut() {
            file.bad_sectors.clone_from(&copied.bad_sectors);
        }
    }

    /// Makes a file that is there for certain, in place of another of the same name.
    fn place(&mut self, path: &Path, content: Vec<u8>) {
        let id = self.make();
        self.files[id] = Content::of(content);
        self.names.set(path, Some(id));
    }

    fn life_of(&self, process: usize) -> u64 {
        self.lives[process]
    }
}
