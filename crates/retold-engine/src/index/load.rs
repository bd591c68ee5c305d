//! The runs that lie in a folder, as far as their headers can be read. Which of them belong to
//! the log is for the walk through the log to say.

use std::io;
use std::path::Path;
use std::sync::Arc;

use retold_core::{LogId, Position};

use super::anchor::Anchor;
use super::keys::SECRET_BYTES;
use super::run::{HEADER_BYTES, Header};
use super::set::index_folder;
use crate::disk::{Access, Disk, File};
use crate::probe::{self, Probe};

/// A run that may be of use.
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) header: Header,
    pub(crate) file: Arc<dyn File>,
}

/// What lies in the folder of the index.
#[derive(Default)]
pub(crate) struct Known {
    /// By first position, longer ones first.
    pub(crate) candidates: Vec<Candidate>,
    /// Files that are no runs, or not of this log.
    pub(crate) strays: Vec<String>,
}

/// Looks again when a run was removed by a writer between listing and opening it.
const LOOKS: usize = 5;

/// Reads the headers of all runs of a log. What cannot be read is left out.
pub(crate) fn load(disk: &dyn Disk, folder: &Path, log_id: LogId) -> Known {
    let folder = index_folder(folder);
    let mut known = Known::default();
    for _ in 0..LOOKS {
        known = Known::default();
        let mut was_removed = false;
        for name in disk.list(&folder).unwrap_or_default() {
            match open(disk, &folder, &name, log_id) {
                Ok(Some(candidate)) => known.candidates.push(candidate),
                Ok(None) if is_of_index(&name) => known.strays.push(name),
                Ok(None) => {}
                Err(error) => was_removed |= error.kind() == io::ErrorKind::NotFound,
            }
        }
        if !was_removed {
            break;
        }
    }
    let order = |candidate: &Candidate| {
        let header = &candidate.header;
        (header.first(), std::cmp::Reverse(header.last()))
    };
    known.candidates.sort_by_key(order);
    known
}

/// Makes durable which runs there are.
pub(crate) fn sync(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    match disk.sync_folder(&index_folder(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        synced => synced,
    }
}

/// Removes all runs, durably: one that came back after a power cut would tell of a log that is
/// not there any more.
pub(crate) fn remove_all(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    let folder = index_folder(folder);
    let names = match disk.list(&folder) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for name in names.iter().filter(|name| is_of_index(name)) {
        disk.remove(&folder.join(name))?;
    }
    disk.sync_folder(&folder)
}

/// Whether a file is one that the index makes.
pub(crate) fn is_of_index(name: &str) -> bool {
    name.ends_with(".run") || name.ends_with(".tmp")
}

/// The newest position that the names in the folder tell of; nothing is opened.
pub(crate) fn newest_named(disk: &dyn Disk, folder: &Path) -> Option<Position> {
    let names = disk.list(&index_folder(folder)).ok()?;
    let runs = names.iter().filter_map(|name| name.strip_suffix(".run"));
    runs.filter_map(|name| name.split('-').nth(1)?.parse().ok())
        .max()
}

fn open(
    disk: &dyn Disk,
    folder: &Path,
    name: &str,
    log_id: LogId,
) -> io::Result<Option<Candidate>> {
    if !name.ends_with(".run") {
        return Ok(None);
    }
    let file = disk.open(&folder.join(name), Access::Read)?;
    let mut bytes = vec![0; HEADER_BYTES];
    let filled = file.read_at(&mut bytes, 0).unwrap_or(0);
    // After a power cut a file may hold what another one of its name in the making once held.
    let fits = |header: &Header| header.log_id == log_id && header.fits_name(name);
    let header = Header::decode(&bytes[..filled]).filter(fits);
    probe::hit(match &header {
        Some(_) => Probe::RunFound,
        None => Probe::RunRejected,
    });
    Ok(match header {
        Some(header) if file.len().unwrap_or(0) == header.file_bytes() => Some(Candidate {
            name: name.to_owned(),
            header,
            file,
        }),
        _ => None,
    })
}

impl Known {
    /// The newest segment that a run ends in, by its first position.
    pub(crate) fn newest_segment(&self) -> Option<Position> {
        let candidates = self.candidates.iter();
        candidates.map(|run| run.header.end.segment).max()
    }

    /// The secret of the newest run.
    pub(crate) fn secret(&self) -> Option<[u8; SECRET_BYTES]> {
        let newest = self
            .candidates
            .iter()
            .max_by_key(|candidate| candidate.header.last());
        newest.map(|candidate| candidate.header.secret)
    }

    /// Takes the longest run with this secret that begins exactly here.
    pub(crate) fn take_at(
        &mut self,
        at: &Anchor,
        secret: &[u8; SECRET_BYTES],
    ) -> Option<Candidate> {
        let fits = |candidate: &Candidate| {
            candidate.header.begin == *at && candidate.header.secret == *secret
        };
        let found = self.candidates.iter().position(fits)?;
        Some(self.candidates.remove(found))
    }

    /// Where the next run with this secret begins that lies behind a place.
    pub(crate) fn next_behind(&self, at: &Anchor, secret: &[u8; SECRET_BYTES]) -> Option<Anchor> {
        let mut behind = self.candidates.iter().filter(|candidate| {
            candidate.header.begin.next_position > at.next_position
                && candidate.header.secret == *secret
        });
        behind.next().map(|candidate| candidate.header.begin)
    }
}
