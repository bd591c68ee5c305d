//! Reading a log that another process writes: no lock, no repair, and nothing shown but what
//! a later frame vouches for. A writer that is idle leaves a mark within 10 ms, so a follower
//! is never far behind.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::Duration;

use retold_core::{Clock, Error, Position};

use crate::disk::{Access, Disk, read_exact};
use crate::index::{self, Anchor, Index, Table};
use crate::indexing;
use crate::log::scan::{Link, Piece, Scanner};
use crate::log::segment::{
    FIRST_FRAME, HEADER_BYTES, Segment, SegmentHeader, file_name, log_folder, position_of,
};
use crate::opening::{self, Survey};
use crate::options::IndexOptions;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};
use crate::visible::Visible;

/// Time between two looks at the log.
const LOOK: Duration = Duration::from_millis(10);

/// Follows a log.
pub(crate) struct Follower {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    settings: IndexOptions,
    visible: Arc<Visible>,
    /// The newest position in the names of runs when they were last taken up.
    taken_up: AtomicU64,
    /// What was read of the newest segment; none where the log was not to be read last time.
    survey: Mutex<Option<Survey>>,
    is_stopped: Mutex<bool>,
    stopped: Condvar,
}

impl Follower {
    /// Reads what is there. There must be a log.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        settings: IndexOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Follower, Error> {
        let (survey, index) = read(&disk, &folder, &settings)?;
        let log_id = survey.segments.last().map(|segment| segment.log_id);
        let log_id = log_id.expect("a survey has at least one segment");
        let segments = survey.segments.clone();
        let visible = Visible::new(log_id, index, &survey.state, segments, clock);
        Ok(Follower {
            disk,
            folder,
            settings,
            visible: Arc::new(visible),
            taken_up: AtomicU64::new(0),
            survey: Mutex::new(Some(survey)),
            is_stopped: Mutex::new(false),
            stopped: Condvar::new(),
        })
    }

    pub(crate) fn visible(&self) -> Arc<Visible> {
        Arc::clone(&self.visible)
    }

    /// Looks for what is new, again and again.
    pub(crate) fn run(&self) {
        loop {
            if let Err(error) = self.look() {
                tracing::warn!(%error, "could not follow the log; trying again");
            }
            let is_stopped = self
                .is_stopped
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if *is_stopped {
                return;
            }
            let waited = self.stopped.wait_timeout(is_stopped, LOOK);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
        }
    }

    pub(crate) fn stop(&self) {
        *self
            .is_stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.stopped.notify_all();
    }

    /// Takes in what has become certain since the last look.
    pub(crate) fn look(&self) -> Result<(), Error> {
        let mut kept = self.survey.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(survey) = kept.as_mut() else {
            *kept = self.read_all()?;
            return Ok(());
        };
        let read = |error| Error::io("read the log", error);
        if self.has_new_runs() {
            *kept = self.read_all()?;
            return Ok(());
        }
        let segment = survey.segments.last().map(|segment| segment.first_position);
        let segment = segment.expect("a survey has at least one segment");
        let next = self.next_segment(segment)?;
        if next.is_none() && survey.last.is_at_end().map_err(read)? {
            return Ok(());
        }
        let mut pieces = Vec::new();
        let scanned = survey.last.run(&mut |piece| pieces.push(piece));
        if planted::is(Bug::UnvouchedFollowed) {
            survey.last.believe_held(&mut |piece| pieces.push(piece));
        }
        let is_plain = pieces.iter().all(Piece::is_frame_of_events);
        let goes_on = match next {
            _ if scanned.is_err() || !is_plain => false,
            None => true,
            Some(next) => match self.enter(survey, next, &mut pieces) {
                Ok(goes_on) => goes_on,
                Err(error) => {
                    // What was read of the segment before would be passed over.
                    *kept = None;
                    return Err(read(error));
                }
            },
        };
        if !goes_on {
            // A decision about the log, or something that does not fit: read everything anew.
            *kept = None;
            *kept = self.read_all()?;
            return Ok(());
        }
        for piece in pieces {
            // Nothing but frames of events and marks.
            if let Piece::Frame(frame) = piece {
                let end = Anchor::behind(segment, &frame);
                self.visible.follow(&frame.events, &end);
            }
        }
        Ok(())
    }

    /// Whether tables take up memory for what the writer has made runs of since.
    fn has_new_runs(&self) -> bool {
        let index = self.visible.index();
        let full = index.oldest_full_table().map(|table| table_end(&table));
        full.is_some_and(|end| {
            let newest = index::newest_named(&*self.disk, &self.folder);
            let is_new = |newest: &Position| {
                // Once for each: runs that do not fit are not tried again and again.
                *newest >= end && self.taken_up.fetch_max(*newest, Ordering::Relaxed) < *newest
            };
            newest.is_some_and(|newest| is_new(&newest))
        })
    }

    /// Goes on in the segment that follows, if the one before ended as it says; all that was
    /// held of the one before is certain then.
    fn enter(
        &self,
        survey: &mut Survey,
        next: Position,
        pieces: &mut Vec<Piece>,
    ) -> io::Result<bool> {
        let path = log_folder(&self.folder).join(file_name(next));
        let file = self.disk.open(&path, Access::Read)?;
        let header = SegmentHeader::decode(&read_exact(&*file, 0, HEADER_BYTES)?);
        let (Ok(header), link) = (header, survey.last.link()) else {
            return Ok(false);
        };
        let follows = header.first_position == next
            && link.next_position == next
            && survey.last.offset() == header.previous.bytes
            && link.previous == Some(header.previous.digest);
        if !follows {
            return Ok(false);
        }
        let segment = Arc::new(Segment {
            first_position: next,
            log_id: header.log_id,
            file: Arc::clone(&file),
        });
        let link = Link {
            previous: Some(header.digest()),
            ..link
        };
        let scanner = Scanner::new(file, header.log_id, FIRST_FRAME, link);
        probe::hit(Probe::FollowerEnteredSegment);
        let before = std::mem::replace(&mut survey.last, scanner);
        pieces.extend(before.into_held());
        self.visible.extend(vec![Arc::clone(&segment)]);
        survey.segments.push(segment);
        Ok(pieces.iter().all(Piece::is_frame_of_events))
    }

    /// The segment that follows one, if there is any yet.
    fn next_segment(&self, segment: Position) -> Result<Option<Position>, Error> {
        let names = self.disk.list(&log_folder(&self.folder));
        let names = names.map_err(|error| Error::io("read the log's folder", error))?;
        let positions = names.iter().filter_map(|name| position_of(name));
        Ok(positions.filter(|position| *position > segment).min())
    }

    fn read_all(&self) -> Result<Option<Survey>, Error> {
        probe::hit(Probe::FollowerReadAnew);
        let (survey, index) = read(&self.disk, &self.folder, &self.settings)?;
        let segments = survey.segments.clone();
        self.visible.replace(index, &survey.state, segments);
        Ok(Some(survey))
    }
}

/// Reads the log, and writes nothing.
fn read(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    settings: &IndexOptions,
) -> Result<(Survey, Arc<Index>), Error> {
    let look = || indexing::open(disk, folder, settings, false, None);
    let (survey, mut indexing) = opening::beside_writer(look)?;
    indexing.finish(&survey.state.facts);
    Ok((survey, indexing.index))
}

/// The last position of a table.
fn table_end(table: &RwLock<Table>) -> Position {
    table.read().unwrap_or_else(PoisonError::into_inner).last()
}
