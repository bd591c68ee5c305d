//! Reading a log when it is opened, recovered or verified: its segments, all of them or from
//! one anchor to another, and what stands beside them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use retold_core::{Checkpoint, Damage, Error, LogId, Position};

use crate::disk::{Access, Disk, File, Lock, read_exact};
use crate::evidence;
use crate::index::{Anchor, Known, load, newest_named};
use crate::log::control::Place;
use crate::log::frame::{self, Digest};
use crate::log::scan::{Link, Piece, ScanError, Scanner, run};
use crate::log::segment::{
    self, FIRST_FRAME, HEADER_BYTES, Head, Segment, SegmentFault, SegmentHeader, log_folder,
};
use crate::log::window::STEP_BYTES;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};
use crate::state::{DamagedPlace, Facts, Intake, LogState};

/// Events that missing segments may have held: a stray file must not claim more memory.
pub(crate) const MISSING_EVENTS_MAX: u64 = 1 << 28;

/// What reading the log found; nothing was changed yet.
pub(crate) struct Survey {
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) state: LogState,
    /// The walk through the newest segment, with what nothing vouches for.
    pub(crate) last: Scanner,
    /// The end of the log is missing, as something derived from it shows.
    pub(crate) lost_tail: Option<Damage>,
    /// The ends of runs that the log does not lead to by itself.
    pub(crate) runs: Vec<Checkpoint>,
    /// Files in the folder of the index that are of no use.
    pub(crate) unused: Vec<String>,
    /// HEAD does not name the newest segment yet, or not any more.
    pub(crate) head_is_stale: bool,
}

/// Takes the lock of a store's folder, which is made where it does not exist.
pub(crate) fn lock(disk: &dyn Disk, folder: &Path, holder: &str) -> Result<Lock, Error> {
    let locked = disk
        .create_folder(folder)
        .and_then(|()| disk.lock(&folder.join("LOCK"), holder));
    match locked {
        Ok(Ok(lock)) => Ok(lock),
        Ok(Err(holder)) => Err(Error::Busy {
            reason: format!("the folder is in use by {}", holder.trim()),
            event_ids: Vec::new(),
        }),
        Err(error) => Err(Error::io("open the store's folder", error)),
    }
}

/// What the file LOCK in a folder says of who has it open, or had it open last; none where
/// there is no such file. Whether somebody has it open now, only opening it tells.
pub fn holder(folder: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(folder.as_ref().join("LOCK")).ok()
}

/// A segment's file, and what its header says.
pub(crate) struct Opened {
    position: Position,
    /// None where it is damaged, or of another log.
    header: Option<SegmentHeader>,
    log_id: LogId,
    file: Arc<dyn File>,
}

impl Opened {
    pub(crate) fn log_id(&self) -> LogId {
        self.log_id
    }

    fn read_error(&self) -> impl Fn(ScanError) -> Error {
        let name = segment::file_name(self.position);
        move |error| match error {
            ScanError::Io(error) => Error::io(format!("read log/{name}"), error),
            ScanError::Unknown(unknown) => newer_version(&name, unknown.offset),
        }
    }
}

/// What lies in the folder of a log.
pub(crate) struct Listed {
    pub(crate) files: Vec<Opened>,
    head: Option<Option<Head>>,
}

impl Listed {
    /// The newest segment, by its first position.
    pub(crate) fn newest_segment(&self) -> Option<Position> {
        self.files.last().map(|file| file.position)
    }
}

/// Opens all segments; none where there is no log yet.
pub(crate) fn list(disk: &dyn Disk, folder: &Path) -> Result<Option<Listed>, Error> {
    let read = |error| Error::io("read the log", error);
    let head = Head::read(disk, folder).map_err(read)?;
    let names = match disk.list(&log_folder(folder)) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(read(error)),
    };
    let positions = names.iter().filter_map(|name| segment::position_of(name));
    let mut files: Vec<Opened> = Vec::new();
    for position in positions {
        let previous_id = files.last().map(|file| file.log_id);
        let fallback_id = head.flatten().map(|head| head.log_id);
        files.push(open(disk, folder, position, previous_id, fallback_id)?);
    }
    let reason = match (files.is_empty(), head) {
        (false, _) => return Ok(Some(Listed { files, head })),
        (true, Some(_)) => "HEAD names a segment, but the folder log/ holds none",
        (true, None) if newest_named(disk, folder).is_some() => {
            "the folder index/ tells of events, but the folder log/ holds none"
        }
        (true, None) => return Ok(None),
    };
    Err(Error::corrupt(
        Damage {
            reason: reason.into(),
            place: Some("log/".into()),
            ..Damage::default()
        },
        "restore the folder from a backup",
    ))
}

fn open(
    disk: &dyn Disk,
    folder: &Path,
    position: Position,
    previous_id: Option<LogId>,
    fallback_id: Option<LogId>,
) -> Result<Opened, Error> {
    let name = segment::file_name(position);
    let path = log_folder(folder).join(&name);
    let read = |error| Error::io(format!("read log/{name}"), error);
    let file = disk.open(&path, Access::Read).map_err(read)?;
    let mut header = vec![0; HEADER_BYTES];
    // What cannot be read counts as damaged.
    let _ = file.read_at(&mut header, 0);
    let header = match SegmentHeader::decode(&header) {
        Ok(header) if header.first_position == position => Some(header),
        Err(SegmentFault::Unknown) => return Err(newer_version(&name, 0)),
        _ => None,
    };
    // A segment of another log counts as one whose header is damaged.
    let header = header.filter(|header| previous_id.is_none_or(|id| id == header.log_id));
    let log_id = header
        .map(|header| header.log_id)
        .or(previous_id)
        .or(fallback_id);
    let Some(log_id) = log_id else {
        return Err(Error::corrupt(
            Damage {
                place: Some(format!("log/{name}")),
                reason: "neither HEAD nor the only segment says which log this is".into(),
                ..Damage::default()
            },
            "restore the folder from a backup",
        ));
    };
    Ok(Opened {
        position,
        header,
        log_id,
        file,
    })
}

/// The files of a log that is open, with their headers as they are now.
pub(crate) fn reopened(segments: &[Arc<Segment>]) -> Vec<Opened> {
    let opened = |segment: &Arc<Segment>| {
        let header = read_exact(&*segment.file, 0, HEADER_BYTES).ok();
        let header = header.and_then(|bytes| SegmentHeader::decode(&bytes).ok());
        Opened {
            position: segment.first_position,
            header: header.filter(|header| header.log_id == segment.log_id),
            log_id: segment.log_id,
            file: Arc::clone(&segment.file),
        }
    };
    segments.iter().map(opened).collect()
}

/// Reads the whole log; none where there is no log yet.
pub(crate) fn survey(
    disk: &dyn Disk,
    folder: &Path,
    intake: &mut dyn Intake,
) -> Result<Option<Survey>, Error> {
    let Some(listed) = list(disk, folder)? else {
        return Ok(None);
    };
    let mut state = LogState::new(listed.files[0].log_id);
    let last = walk(&listed.files, None, None, &mut state, intake)?;
    let known = load(disk, folder, listed.files[0].log_id);
    conclude(listed, state, last, known).map(Some)
}

/// Reads the whole log while another process may be writing it. A frame that is read while
/// it is being written looks damaged, so damage is looked at again before it is believed.
pub(crate) fn beside_writer<T>(
    mut look: impl FnMut() -> Result<Option<(Survey, T)>, Error>,
) -> Result<(Survey, T), Error> {
    const LOOKS: usize = 3;
    let mut looks = 1;
    loop {
        let (survey, rest) = look()?.ok_or_else(|| Error::NotFound {
            what: "a log in the folder".into(),
        })?;
        if looks == LOOKS || survey.state.unaccepted().next().is_none() {
            return Ok((survey, rest));
        }
        looks += 1;
    }
}

/// What reading the log found, beside what stands next to it.
pub(crate) fn conclude(
    listed: Listed,
    state: LogState,
    mut last: Scanner,
    known: Known,
) -> Result<Survey, Error> {
    let read = |error| Error::io("read the log", error);
    let Listed { files, head } = listed;
    let newest = files.last().map_or(0, |file| file.position);
    let is_first = files.len() == 1 && newest == 1;
    let is_unused = head.is_none() && last.bytes_from(FIRST_FRAME).map_err(read)? == 0;
    let lost_tail = match head {
        Some(Some(_)) if planted::is(Bug::HeadIgnored) => None,
        Some(Some(head)) if head.first_position > newest => {
            probe::hit(Probe::HeadAhead);
            Some(format!(
                "HEAD names {}, which is missing",
                segment::file_name(head.first_position)
            ))
        }
        Some(Some(_)) => None,
        // A crash may have come between the first segment and the first HEAD.
        None if is_first && is_unused => None,
        None => {
            probe::hit(Probe::HeadMissing);
            Some("HEAD is missing, and with it the name of the newest segment".to_owned())
        }
        Some(None) => {
            probe::hit(Probe::HeadDamaged);
            Some("HEAD is damaged, and with it the name of the newest segment".to_owned())
        }
    };
    let lost_tail = lost_tail.map(|reason| Damage {
        position: Some(state.head.position + 1),
        place: Some("HEAD".into()),
        reason,
        stream: None,
    });
    let end = last.link().next_position - 1;
    let runs = evidence::of_runs(&state.facts, &known);
    let ahead = || evidence::check_ahead(&state.facts, end, &runs);
    let names_newest = |head: Head| head.first_position == newest;
    Ok(Survey {
        head_is_stale: !head.flatten().is_some_and(names_newest),
        lost_tail: lost_tail.or_else(ahead),
        runs,
        segments: files
            .into_iter()
            .map(|file| {
                Arc::new(Segment {
                    first_position: file.position,
                    log_id: file.log_id,
                    file: file.file,
                })
            })
            .collect(),
        state,
        last,
        unused: known
            .candidates
            .into_iter()
            .map(|candidate| candidate.name)
            .chain(known.strays)
            .collect(),
    })
}

/// Walks through all segments, or from one anchor, or up to another, before which everything
/// is known to have been durable.
pub(crate) fn walk(
    files: &[Opened],
    from: Option<&Anchor>,
    to: Option<&Anchor>,
    state: &mut LogState,
    intake: &mut dyn Intake,
) -> Result<Scanner, Error> {
    let first = from.and_then(|anchor| ordinal(files, anchor.segment));
    let last = to.and_then(|anchor| ordinal(files, anchor.segment));
    let mut before: Option<(Position, Scanner)> = None;
    for opened in &files[first.unwrap_or(0)..=last.unwrap_or(files.len() - 1)] {
        let position = opened.position;
        let header = opened.header.as_ref();
        let (offset, link) = match (before.take(), from) {
            (None, Some(anchor)) => (anchor.offset, anchor.link()),
            (None, None) => {
                let beginning = Link {
                    next_position: 1,
                    epoch: 0,
                    previous: None,
                };
                (
                    FIRST_FRAME,
                    enter(state, intake, position, header, beginning)?,
                )
            }
            (Some((previous, scanner)), _) => {
                let sealed = seal(state, intake, previous, scanner, header);
                let link = sealed.map_err(opened.read_error())?;
                (FIRST_FRAME, enter(state, intake, position, header, link)?)
            }
        };
        let mut scanner = Scanner::new(Arc::clone(&opened.file), opened.log_id, offset, link);
        let mut accept = |piece| state.accept(position, piece, intake);
        let walked = match to.filter(|anchor| anchor.segment == position) {
            Some(anchor) => scanner.run_through(anchor.offset, &mut accept),
            None => scanner.run(&mut accept),
        };
        walked.map_err(opened.read_error())?;
        let unreadable = scanner.unreadable();
        for begin in unreadable.filter(|_| !planted::is(Bug::UnreadableIsEnd)) {
            probe::hit(Probe::SectorUnreadable);
            // Damage of the header has a place of its own.
            let offset = begin.max(FIRST_FRAME);
            // Read as zeros, which must not be taken for the end of the log.
            let damage = DamagedPlace {
                file: format!("log/{}", segment::file_name(position)),
                offset,
                reason: "a part of a segment cannot be read".to_owned(),
                lost: Vec::new(),
                known: Vec::new(),
                place: Place {
                    segment: position,
                    offset,
                    end: Some(begin + STEP_BYTES),
                },
            };
            state.note_damage(damage, intake);
        }
        before = Some((position, scanner));
    }
    let (_, scanner) = before.expect("a log has at least one segment");
    Ok(scanner)
}

fn ordinal(files: &[Opened], segment: Position) -> Option<usize> {
    files.iter().position(|file| file.position == segment)
}

/// Where the log begins, as the header of its first segment says.
pub(crate) fn beginning(files: &[Opened]) -> Option<Anchor> {
    let first = files[0].header.as_ref().filter(|_| files[0].position == 1);
    first.map(Anchor::beginning)
}

/// Whether the headers of the segments up to an anchor say that they follow one another, and
/// no file is shorter than the next one says; or it was accepted that they do not.
pub(crate) fn follow_up_to(files: &[Opened], anchor: &Anchor, facts: &Facts) -> bool {
    let pairs = files.windows(2);
    let mut pairs = pairs.take_while(|pair| pair[1].position <= anchor.segment);
    pairs.all(|pair| {
        let (before, next) = (&pair[0], &pair[1]);
        let follows = next.header.as_ref().is_some_and(|header| {
            let length = before.file.len();
            header.previous.first_position == before.position
                && length.is_ok_and(|length| length >= header.previous.bytes)
        });
        follows || facts.has_accepted_between(before.position, next.position)
    })
}

/// Whether the log has the frame that ends at an anchor.
pub(crate) fn stands(files: &[Opened], anchor: &Anchor) -> bool {
    let Some(opened) = ordinal(files, anchor.segment).map(|at| &files[at]) else {
        return false;
    };
    if anchor.frame == 0 {
        let begins = opened.header.as_ref().map(Anchor::beginning);
        return begins.as_ref() == Some(anchor);
    }
    let read = |length| read_exact(&*opened.file, anchor.frame, length).ok();
    let length = opened.file.len().unwrap_or(0);
    let Some(available) = length.checked_sub(anchor.frame) else {
        return false;
    };
    let found = read(frame::HEADER_BYTES)
        .and_then(|start| frame::Header::claimed_bytes(&start, available).ok())
        .and_then(read);
    found.is_some_and(|bytes| {
        frame::Header::decode(&bytes, opened.log_id).is_ok_and(|header| {
            let link = Link {
                next_position: header.first_position + header.events(),
                epoch: header.epoch,
                previous: Some(frame::digest(&bytes)),
            };
            link == anchor.link() && anchor.frame + header.stride() == anchor.offset
        })
    })
}

/// Reads what lies between two anchors; false where the log does not lead from the one to the
/// other.
pub(crate) fn read_between(
    files: &[Opened],
    from: &Anchor,
    to: &Anchor,
    state: &mut LogState,
    intake: &mut dyn Intake,
) -> Result<bool, Error> {
    let segments = (ordinal(files, from.segment), ordinal(files, to.segment));
    let (Some(first), Some(last)) = segments else {
        return Ok(false);
    };
    if first > last {
        return Ok(false);
    }
    let scanner = walk(files, Some(from), Some(to), state, intake)?;
    Ok(scanner.offset() == to.offset && scanner.link() == to.link())
}

/// Takes in all of a segment that another one follows: its end was durable before the next
/// one was begun, so whatever does not fit is damage.
fn seal(
    state: &mut LogState,
    intake: &mut dyn Intake,
    segment: Position,
    mut scanner: Scanner,
    next: Option<&SegmentHeader>,
) -> Result<Link, ScanError> {
    let mut link = scanner.link();
    let follows = next
        .map(|next| next.previous)
        .filter(|previous| previous.first_position == segment);
    let gap = match follows {
        Some(previous) => scanner.gap_through(previous.bytes, previous.last_position)?,
        None => None,
    };
    for piece in scanner.into_held() {
        state.accept(segment, piece, intake);
    }
    if let Some(gap) = gap {
        link.previous = None;
        state.accept(segment, Piece::Gap(gap), intake);
    }
    if let Some(previous) = follows {
        link.next_position = link.next_position.max(previous.last_position + 1);
    }
    Ok(link)
}

/// The place in the chain at which a segment begins; notes what is missing before it.
fn enter(
    state: &mut LogState,
    intake: &mut dyn Intake,
    position: Position,
    header: Option<&SegmentHeader>,
    link: Link,
) -> Result<Link, Error> {
    let missing = position.checked_sub(link.next_position);
    if missing.is_none_or(|missing| missing > MISSING_EVENTS_MAX) {
        return Err(Error::corrupt(
            Damage {
                position: Some(link.next_position),
                place: Some(format!("log/{}", segment::file_name(position))),
                reason: "a segment's name does not fit the log".into(),
                ..Damage::default()
            },
            "move the file elsewhere if it belongs to another log",
        ));
    }
    let mut note = |segment: Position, reason: &str, lost: Vec<(Position, Position)>, end| {
        let damage = DamagedPlace {
            file: format!("log/{}", segment::file_name(segment)),
            offset: 0,
            reason: reason.to_owned(),
            lost,
            known: Vec::new(),
            place: Place {
                segment,
                offset: 0,
                end,
            },
        };
        state.note_damage(damage, intake);
    };
    if position > link.next_position {
        probe::hit(Probe::SegmentMissing);
        let lost = run(link.next_position, position);
        note(
            link.next_position,
            "a segment is missing",
            lost,
            Some(position),
        );
    }
    match header {
        None => {
            probe::hit(Probe::SegmentHeaderDamaged);
            note(
                position,
                "the header of a segment is damaged",
                Vec::new(),
                None,
            );
        }
        Some(header) => {
            let previous: Option<Digest> = link.previous.filter(|_| position == link.next_position);
            let is_chained = !planted::is(Bug::ChainIgnored);
            if is_chained && previous.is_some_and(|previous| previous != header.previous.digest) {
                probe::hit(Probe::SegmentOfOtherHistory);
                note(
                    position,
                    "a segment does not follow the one before it",
                    Vec::new(),
                    None,
                );
            }
        }
    }
    Ok(Link {
        next_position: position,
        epoch: link.epoch,
        previous: header.map(SegmentHeader::digest),
    })
}

fn newer_version(name: &str, offset: u64) -> Error {
    Error::Unsupported {
        what: format!("log/{name} (at byte {offset} it was written by a newer version of Retold)"),
    }
}
