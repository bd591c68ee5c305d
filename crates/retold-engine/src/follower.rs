//! Reading a log that another process writes: no lock, no repair, and nothing shown but what
//! a later frame vouches for. A writer that is idle leaves a mark within 10 ms, so a follower
//! is never far behind.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use retold_core::{Clock, Error, Position};

use crate::disk::{Access, Disk, read_exact};
use crate::log::scan::{Link, Piece, Scanner};
use crate::log::segment::{
    FIRST_FRAME, HEADER_BYTES, Segment, SegmentHeader, file_name, log_folder, position_of,
};
use crate::opening::{self, Survey};
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};
use crate::visible::Visible;

/// Time between two looks at the log.
const LOOK: Duration = Duration::from_millis(10);

/// Follows a log.
pub(crate) struct Follower {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    visible: Arc<Visible>,
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
        clock: Arc<dyn Clock>,
    ) -> Result<Follower, Error> {
        let mut survey = opening::survey_beside_writer(&*disk, &folder)?;
        let log_id = survey.segments.last().map(|segment| segment.log_id);
        let log_id = log_id.expect("a survey has at least one segment");
        let segments = survey.segments.clone();
        let visible = Visible::new(log_id, &mut survey.state, segments, clock);
        Ok(Follower {
            disk,
            folder,
            visible: Arc::new(visible),
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
        let segment = survey.segments.last().map(|segment| segment.first_position);
        let next = self.next_segment(segment.expect("a survey has at least one segment"))?;
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
            Some(next) => self.enter(survey, next, &mut pieces).map_err(read)?,
        };
        if !goes_on {
            // A decision about the log, or something that does not fit: read everything anew.
            *kept = None;
            *kept = self.read_all()?;
            return Ok(());
        }
        for piece in pieces {
            self.visible.publish(piece.into_events());
        }
        Ok(())
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
        let ordinal = u32::try_from(survey.segments.len()).expect("fewer than 2^32 segments");
        let link = Link {
            previous: Some(header.digest()),
            ..link
        };
        let scanner = Scanner::new(file, header.log_id, ordinal, FIRST_FRAME, link);
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
        let mut survey = opening::survey_beside_writer(&*self.disk, &self.folder)?;
        let segments = survey.segments.clone();
        self.visible.replace_all(&mut survey.state, segments);
        Ok(Some(survey))
    }
}
