//! What can go wrong with a disk, and how often it did.

use std::io;

use crate::listed::listed;

listed! {
    /// What the simulated disk did to whoever uses it.
    pub enum Fault {
        Kept = "unsynced change kept",
        Dropped = "unsynced change dropped",
        Reordered = "later change kept, earlier one dropped",
        TornAtByte = "write torn at a byte",
        TornAtSector = "write torn at sectors",
        NameDropped = "unsynced name dropped",
        PowerCut = "power cut",
        Killed = "process killed, cache kept",
        FailedRead = "read failed",
        FailedWrite = "write failed",
        FailedSync = "sync failed",
        FailedFolderSync = "sync of a folder failed",
        FailedOpen = "open failed",
        FailedRename = "rename failed",
        FailedRemove = "remove failed",
        FailedList = "listing failed",
        Evicted = "cache dropped after a failed sync",
        Full = "no room",
        BitFlipped = "bit flipped",
        FileLost = "file lost",
        OlderFile = "older copy of a file",
        OlderFolder = "older copy of the folder",
        SyncLied = "synced write never written",
        SectorHarmed = "sector harmed outside of the write",
        BadSector = "sector unreadable",
    }
}

/// How often each happened.
#[derive(Debug, Clone)]
pub struct Counters([u64; Fault::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Counters([0; Fault::ALL.len()])
    }
}

impl Counters {
    /// How often a fault happened.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Counters) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    pub(super) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }
}

/// Kinds of calls, as far as they can fail by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Reading a file.
    Read,
    /// Writing a file, or changing its length.
    Write,
    /// Syncing a file.
    Sync,
    /// Syncing a folder.
    SyncFolder,
    /// Opening a file, or making one.
    Open,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Listing a folder.
    List,
}

impl Call {
    /// All of them.
    pub const ALL: [Call; 8] = [
        Call::Read,
        Call::Write,
        Call::Sync,
        Call::SyncFolder,
        Call::Open,
        Call::Rename,
        Call::Remove,
        Call::List,
    ];

    fn fault(self) -> Fault {
        match self {
            Call::Read => Fault::FailedRead,
            Call::Write => Fault::FailedWrite,
            Call::Sync => Fault::FailedSync,
            Call::SyncFolder => Fault::FailedFolderSync,
            Call::Open => Fault::FailedOpen,
            Call::Rename => Fault::FailedRename,
            Call::Remove => Fault::FailedRemove,
            Call::List => Fault::FailedList,
        }
    }
}

/// Which calls are to fail.
#[derive(Default)]
pub(super) struct Failing {
    /// Calls so far that change or sync something.
    pub(super) calls: u64,
    /// The one with this number fails.
    one: Option<(u64, io::ErrorKind)>,
    /// So do this one and all behind it: the process is dead.
    halt: Option<u64>,
    /// So does the n-th of a kind, counted down.
    planned: Option<(Call, u64, io::ErrorKind)>,
    /// Calls that failed by plan, without those of a dead process.
    pub(super) fired: u64,
}

/// How a call is to end.
pub(super) enum Verdict {
    Proceed,
    /// It fails, and may have done a part of its work.
    Fail(io::Error),
    /// It fails and does nothing: whoever made it is dead.
    Halt(io::Error),
}

impl Failing {
    pub(super) fn fail_one(&mut self, number: u64, kind: io::ErrorKind) {
        self.one = Some((number, kind));
    }

    pub(super) fn halt_at(&mut self, number: u64) {
        self.halt = Some(number);
    }

    pub(super) fn plan(&mut self, call: Call, nth: u64, kind: io::ErrorKind) {
        self.planned = Some((call, nth, kind));
    }

    pub(super) fn is_planned(&self) -> bool {
        self.one.is_some() || self.halt.is_some() || self.planned.is_some()
    }

    pub(super) fn has_halted(&self) -> bool {
        self.halt.is_some_and(|halt| self.calls >= halt)
    }

    pub(super) fn forget(&mut self) {
        (self.one, self.halt, self.planned) = (None, None, None);
    }

    pub(super) fn judge(&mut self, call: Call, changes: bool, counters: &mut Counters) -> Verdict {
        if changes {
            self.calls += 1;
        }
        if self.has_halted() {
            return Verdict::Halt(io::Error::other("the process is dead"));
        }
        let mut error = None;
        if let Some((number, kind)) = self.one
            && changes
            && number == self.calls
        {
            error = Some(kind);
        }
        if let Some((planned, left, kind)) = &mut self.planned
            && *planned == call
        {
            *left -= 1;
            if *left == 0 {
                error = Some(*kind);
                self.planned = None;
            }
        }
        match error {
            None => Verdict::Proceed,
            Some(kind) => {
                self.fired += 1;
                counters.count(call.fault());
                Verdict::Fail(kind.into())
            }
        }
    }
}
