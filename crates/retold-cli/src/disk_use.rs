//! What the files of a store take of the disk, by kind.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;

/// Bytes that `st_blocks` counts in.
const BLOCK_BYTES: u64 = 512;

/// Files of one kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) count: u64,
    /// Their lengths.
    pub(crate) bytes: u64,
    /// What they take of the disk, which is less where a part was never written.
    pub(crate) allocated: u64,
}

/// The files of a store.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskUse {
    /// Segments: the truth.
    pub(crate) log: Files,
    /// Unfinished writes that were moved aside.
    pub(crate) cut: Files,
    /// What is derived from the log to find events in it.
    pub(crate) index: Files,
    /// `state.db` with what SQLite keeps beside it.
    pub(crate) state: Files,
    /// Anything else.
    pub(crate) other: Files,
}

impl DiskUse {
    pub(crate) fn kinds(&self) -> [(&'static str, Files); 5] {
        [
            ("log", self.log),
            ("cut", self.cut),
            ("index", self.index),
            ("state", self.state),
            ("other", self.other),
        ]
    }
}

/// Looks at the files of a store. What disappears meanwhile is not counted.
pub(crate) fn of(folder: &Path) -> anyhow::Result<DiskUse> {
    let mut found = DiskUse::default();
    for entry in read(folder)? {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !entry.path().is_dir() {
            let files = match name.starts_with("state.db") {
                true => &mut found.state,
                false => &mut found.other,
            };
            count(&entry, files);
            continue;
        }
        for file in read(&entry.path())? {
            let extension = file.path().extension().map(|text| text.to_owned());
            let files = match (&*name, extension.as_ref().and_then(|text| text.to_str())) {
                ("log", Some("log")) => &mut found.log,
                ("log", Some("bin")) => &mut found.cut,
                ("index", _) => &mut found.index,
                // A folder of somebody else's, such as that of a torture.
                _ => continue,
            };
            count(&file, files);
        }
    }
    Ok(found)
}

fn read(folder: &Path) -> anyhow::Result<Vec<std::fs::DirEntry>> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<io::Result<_>>);
    entries.with_context(|| format!("read the folder {}", folder.display()))
}

fn count(entry: &std::fs::DirEntry, files: &mut Files) {
    let Ok(metadata) = entry.metadata() else {
        return;
    };
    files.count += 1;
    files.bytes += metadata.len();
    files.allocated += metadata.blocks() * BLOCK_BYTES;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_place_and_name() {
        let folder = tempfile::tempdir().unwrap();
        for (file, bytes) in [
            ("log/00000000000000000001.log", 10),
            ("log/cut-1-1.bin", 3),
            ("index/run", 5),
            ("state.db", 7),
            ("state.db-wal", 1),
            ("HEAD", 2),
            ("torture-1/x", 100),
        ] {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, vec![1; bytes]).unwrap();
        }
        let found = of(folder.path()).unwrap();
        let bytes = found.kinds().map(|(_, files)| files.bytes);
        assert_eq!(bytes, [10, 3, 5, 8, 2]);
        assert!(found.log.allocated > 0);
    }
}
