//! What happens to the end of a log when it is opened for writing: what a crash left unfinished
//! is moved aside, and what nothing vouches for is written again before it is read.

use std::io;
use std::path::Path;
use std::sync::Arc;

use retold_core::{Checkpoint, Damage, Error, LogId};

use crate::disk::{Access, Disk, read_exact};
use crate::log::scan::Piece;
use crate::log::segment::{self, Head, Segment, SegmentHeader, log_folder};
use crate::log::tail::End;
use crate::log::window::Window;
use crate::opening::Survey;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};
use crate::state::{Intake, LogState};

/// What was done to the end of the log.
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) segment: Arc<Segment>,
    pub(crate) state: LogState,
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The end of the log could not be made durable: nothing behind what is vouched for is
    /// read, and nothing is appended.
    pub(crate) unfinished: Option<io::Error>,
    pub(crate) lost_tail: Option<Damage>,
    /// See [`Survey`].
    pub(crate) runs: Vec<Checkpoint>,
    pub(crate) unused: Vec<String>,
}

/// Mends the end of the log: whole frames that nothing vouches for are written again, the
/// rest is moved aside, and HEAD names the newest segment. `accepts` says that an operator
/// accepts what is wrong with the log.
pub(crate) fn finish(
    disk: &dyn Disk,
    folder: &Path,
    survey: Survey,
    intake: &mut dyn Intake,
    moved_at: i64,
    accepts: bool,
) -> Result<Finished, Error> {
    let Survey {
        mut segments,
        mut state,
        mut last,
        lost_tail,
        head_is_stale,
        runs,
        unused,
    } = survey;
    // As long as something is wrong with the log that nobody has accepted, nothing is moved.
    let is_whole = lost_tail.is_none() && state.unaccepted().next().is_none();
    let may_move = accepts || is_whole;
    let read = |error| Error::io("read the log", error);
    let newest = segments.pop().expect("a survey has at least one segment");
    let path = log_folder(folder).join(newest.name());
    let file = disk
        .open(&path, Access::Write)
        .map_err(|error| Error::io("open the log for writing", error))?;
    let newest = Arc::new(Segment {
        first_position: newest.first_position,
        log_id: newest.log_id,
        file,
    });
    segments.push(Arc::clone(&newest));
    // What cannot be read looks like zeros, and must not be written over.
    let has_more = last.bytes_from(last.offset()).map_err(read)? > 0 || last.hides_more();
    let scanned_to = last.offset();
    let mut link = last.base();
    let epoch = last.link().epoch + u64::from(!planted::is(Bug::EpochReused));
    let mut offset = last.held_from();
    let unvouched_from = offset;
    let mut frames = Vec::new();
    let mut is_cut = has_more;
    for piece in last.into_held() {
        match piece {
            Piece::Frame(_) => {
                link = piece.link_behind(link);
                offset = piece.end();
                frames.push(piece);
            }
            Piece::Gap(_) => {
                is_cut = true;
                break;
            }
        }
    }
    debug_assert!(is_cut || offset == scanned_to);
    if scanned_to > offset {
        probe::hit(Probe::WholeFrameCut);
    }
    let mended = write_again(&newest, unvouched_from, offset).and_then(|()| {
        // A process that was killed may have left names that only the cache has: that of the
        // newest segment, and HEAD.
        if !planted::is(Bug::FolderSyncOnOpeningForgotten) {
            disk.sync_folder(&log_folder(folder))?;
            disk.sync_folder(folder)?;
        }
        if is_cut && may_move && !planted::is(Bug::CutForgotten) {
            cut(disk, folder, &newest, offset, moved_at)?;
        }
        if head_is_stale && may_move && lost_tail.is_none() {
            let head = Head {
                first_position: newest.first_position,
                log_id: newest.log_id,
            };
            head.write(disk, folder)?;
            probe::hit(Probe::StaleHead);
        }
        Ok(())
    });
    probe::hit(match &mended {
        Err(_) => Probe::MendFailed,
        Ok(()) if offset > unvouched_from => Probe::FramesRewritten,
        Ok(()) => Probe::OpenedWhole,
    });
    if mended.is_ok() {
        for frame in frames {
            state.accept(newest.first_position, frame, intake);
        }
    }
    // A damaged last frame cannot be named by the next one; zeros say so.
    let previous = link.previous.unwrap_or_default();
    Ok(Finished {
        end: End {
            offset,
            previous,
            next_position: link.next_position,
            epoch,
        },
        segment: newest,
        state,
        segments,
        unfinished: mended.err(),
        lost_tail,
        runs,
        unused,
    })
}

/// Writes bytes of the log again as they are, and syncs them: after a crash of the process
/// only the page cache may have them, and after a failed sync the disk may not.
fn write_again(segment: &Segment, from: u64, end: u64) -> io::Result<()> {
    /// Bytes written at once.
    const STEP_BYTES: u64 = 1024 * 1024;
    if planted::is(Bug::TailNotRewritten) {
        return Ok(());
    }
    // The zeros up to the next frame need not be there.
    let end = end.min(segment.file.len()?);
    let mut at = from;
    while at < end {
        let step = STEP_BYTES.min(end - at);
        let bytes = read_exact(&*segment.file, at, step as usize)?;
        segment.file.write_at(&bytes, at)?;
        at += step;
    }
    segment.file.sync()
}

/// Moves everything from `from` to the end of a segment into a file of its own. That file is
/// durable before the segment is cut off.
fn cut(
    disk: &dyn Disk,
    folder: &Path,
    segment: &Segment,
    from: u64,
    moved_at: i64,
) -> io::Result<()> {
    let length = segment.file.len()?;
    let Some(behind) = length.checked_sub(from) else {
        // The zeros up to the next frame need not be there, also where a sector before the end
        // cannot be read, and may hide something.
        return Ok(());
    };
    // What cannot be read is zero in the copy.
    let bytes = Window::new(Arc::clone(&segment.file)).bytes(from, behind as usize)?;
    let mut bytes = bytes.to_vec();
    let kept = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    bytes.truncate(kept);
    let log_folder = log_folder(folder);
    // A clock that stands still must not let one file replace another.
    let taken = disk.list(&log_folder)?;
    let names = (1..).map(|nth| format!("cut-{moved_at}-{nth}.bin"));
    let mut free = names.filter(|name| !taken.contains(name));
    let moved_to = free.next().expect("there are more numbers than files");
    let file = disk.open(&log_folder.join(&moved_to), Access::Replace)?;
    file.write_at(&bytes, 0)?;
    if !planted::is(Bug::CutFileNotSynced) {
        file.sync()?;
        disk.sync_folder(&log_folder)?;
    }
    probe::hit(Probe::TailCut);
    segment.file.set_len(from)?;
    segment.file.sync()?;
    tracing::warn!(
        file = format!("log/{moved_to}"),
        bytes = bytes.len(),
        "moved an unfinished write at the end of the log aside; it may concern at most one \
         group of appends that was about to be acknowledged when the log was last open",
    );
    Ok(())
}

/// Makes the first segment of a new log.
pub(crate) fn create(disk: &dyn Disk, folder: &Path, log_id: LogId) -> Result<(), Error> {
    probe::hit(Probe::LogMade);
    let header = SegmentHeader {
        log_id,
        first_position: 1,
        previous: Default::default(),
    };
    disk.create_folder(&log_folder(folder))
        .and_then(|()| segment::prepare(disk, folder, &header)?.publish(disk, folder))
        .and_then(|_| disk.sync_folder(&log_folder(folder)))
        .and_then(|()| {
            Head {
                first_position: 1,
                log_id,
            }
            .write(disk, folder)
        })
        .map_err(|error| Error::io("make a log", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    /// A log ended without the zeros that fill its last frame up, and a sector before its end
    /// could not be read. What that might hide was to be moved aside, and its length counted
    /// below zero.
    #[test]
    fn nothing_is_moved_aside_where_the_file_ends_before_the_next_frame() {
        let disk = SimDisk::default();
        let folder = Path::new("/store");
        disk.create_folder(&log_folder(folder)).unwrap();
        let path = log_folder(folder).join("1.log");
        let file = disk.open(&path, Access::Replace).unwrap();
        file.write_at(&[7; 22], 0).unwrap();
        let segment = Segment {
            first_position: 1,
            log_id: LogId::nil(),
            file,
        };
        cut(&disk, folder, &segment, 24, 0).unwrap();
        assert_eq!(disk.content(&path), Some(vec![7; 22]));
        assert_eq!(disk.list(&log_folder(folder)).unwrap(), ["1.log"]);

        cut(&disk, folder, &segment, 16, 0).unwrap();
        assert_eq!(disk.content(&path), Some(vec![7; 16]));
    }
}
