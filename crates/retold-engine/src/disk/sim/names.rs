//! The names of files: as running processes see them, and as they are on stable storage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dice::Dice;
use super::faults::{Counters, Fault};

#[derive(Default)]
pub(super) struct Names {
    pub(super) live: BTreeMap<PathBuf, usize>,
    durable: BTreeMap<PathBuf, usize>,
    /// What changed since its folder was synced, oldest first.
    pending: Vec<NameChange>,
}

pub(super) enum NameChange {
    Made(PathBuf, usize),
    Renamed(PathBuf, PathBuf, usize),
    Removed(PathBuf),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Made(path, id) => {
                names.insert(path.clone(), *id);
            }
            NameChange::Renamed(from, to, id) => {
                names.remove(from);
                names.insert(to.clone(), *id);
            }
            NameChange::Removed(path) => {
                names.remove(path);
            }
        }
    }

    /// The name that is made, replaced or taken away.
    fn path(&self) -> &Path {
        match self {
            NameChange::Made(path, _)
            | NameChange::Renamed(_, path, _)
            | NameChange::Removed(path) => path,
        }
    }

    fn folder(&self) -> Option<&Path> {
        self.path().parent()
    }
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<usize> {
        self.live.get(path).copied()
    }

    pub(super) fn change(&mut self, change: NameChange) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    /// Names a file, or takes its name away, for certain.
    pub(super) fn set(&mut self, path: &Path, id: Option<usize>) {
        self.pending.retain(|change| change.path() != path);
        for names in [&mut self.live, &mut self.durable] {
            match id {
                Some(id) => names.insert(path.to_owned(), id),
                None => names.remove(path),
            };
        }
    }

    pub(super) fn sync(&mut self, folder: &Path) {
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let is_synced = change.folder() == Some(folder);
            if is_synced {
                change.apply(durable);
            }
            !is_synced
        });
    }

    /// What is left when the power is cut: mostly the first so many changes of each folder, as
    /// a journal keeps them; at times any of them.
    pub(super) fn cut(&mut self, dice: &mut Dice, counters: &mut Counters) {
        if self.pending.is_empty() {
            return;
        }
        let any = dice.percent(25);
        let mut kept: BTreeMap<PathBuf, u64> = BTreeMap::new();
        for change in std::mem::take(&mut self.pending) {
            let folder = change.folder().unwrap_or(Path::new("")).to_owned();
            let left = kept.entry(folder).or_insert_with(|| dice.below(4));
            let is_kept = if any { dice.flip() } else { *left > 0 };
            *left = left.saturating_sub(1);
            if is_kept {
                change.apply(&mut self.durable);
            } else {
                counters.count(Fault::NameDropped);
            }
        }
        self.live.clone_from(&self.durable);
    }
}
