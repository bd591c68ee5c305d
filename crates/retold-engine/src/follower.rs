//! Reading a log that another process writes: no lock, no repair, and nothing shown but what
//! a later frame vouches for. A writer that is idle leaves a mark within 10 ms, so a follower
//! is never far behind.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use retold_core::{Clock, Era, Error};

use crate::disk::Disk;
use crate::opening::{self, Survey};
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
    ) -> Result<(Follower, Vec<Era>), Error> {
        let mut survey = opening::survey_beside_writer(&*disk, &folder)?;
        let log_id = survey.segments.last().map(|segment| segment.log_id);
        let log_id = log_id.expect("a survey has at least one segment");
        let segments = survey.segments.clone();
        let history = survey.state.eras.clone();
        let visible = Visible::new(log_id, &mut survey.state, segments, clock);
        let follower = Follower {
            disk,
            folder,
            visible: Arc::new(visible),
            survey: Mutex::new(Some(survey)),
            is_stopped: Mutex::new(false),
            stopped: Condvar::new(),
        };
        Ok((follower, history))
    }

    pub(crate) fn visible(&self) -> Arc<Visible> {
        Arc::clone(&self.visible)
    }

    /// Looks for what is new, again and again.
    pub(crate) fn start(follower: Arc<Follower>) -> Result<JoinHandle<()>, Error> {
        let thread = std::thread::Builder::new().name("retold-follower".into());
        let run = move || {
            loop {
                if let Err(error) = follower.look() {
                    tracing::warn!(%error, "could not follow the log; trying again");
                }
                let is_stopped = follower
                    .is_stopped
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let waited = follower.stopped.wait_timeout(is_stopped, LOOK);
                if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                    return;
                }
            }
        };
        thread
            .spawn(run)
            .map_err(|error| Error::io("start the thread that follows the log", error))
    }

    pub(crate) fn stop(&self) {
        *self
            .is_stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.stopped.notify_all();
    }

    /// Takes in what has become certain since the last look.
    fn look(&self) -> Result<(), Error> {
        let mut kept = self.survey.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(survey) = kept.as_mut() else {
            *kept = self.read_all()?;
            return Ok(());
        };
        let segment = survey.segments.last().map(|segment| segment.first_position);
        let segment = segment.expect("a survey has at least one segment");
        let mut pieces = Vec::new();
        let scanned = survey.last.run(&mut |piece| pieces.push(piece));
        if scanned.is_err()
            || pieces.iter().any(|piece| !piece.is_frame_of_events())
            || self.has_next(segment)?
        {
            // A new segment, a decision about the log, or damage: read everything anew.
            *kept = None;
            *kept = self.read_all()?;
            return Ok(());
        }
        for piece in pieces {
            self.visible.publish(piece.into_events());
        }
        Ok(())
    }

    fn has_next(&self, segment: u64) -> Result<bool, Error> {
        let names = self
            .disk
            .list(&crate::log::segment::log_folder(&self.folder));
        let names = match names {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(Error::io("read the log's folder", error)),
        };
        let positions = names
            .iter()
            .filter_map(|name| crate::log::segment::position_of(name));
        Ok(positions.max() != Some(segment))
    }

    fn read_all(&self) -> Result<Option<Survey>, Error> {
        let mut survey = opening::survey_beside_writer(&*self.disk, &self.folder)?;
        let segments = survey.segments.clone();
        self.visible.replace_all(&mut survey.state, segments);
        Ok(Some(survey))
    }
}
