//! What somebody decides about an event that is parked.

use std::time::Duration;

use retold_core::{Blocked, StreamId};

use super::Desk;
use super::lane::Stage;

impl Desk {
    /// Tries a parked event again; false where none is parked in the stream.
    pub(crate) fn replay(&mut self, stream: &StreamId, now: Duration) -> bool {
        let Some(obstacle) = self.obstacle(stream) else {
            return false;
        };
        if !matches!(obstacle.stage, Stage::Parked { .. }) {
            return false;
        }
        obstacle.wait_until(now);
        if let Some(failed) = &mut obstacle.failed {
            failed.attempts = 0;
        }
        self.due.insert((now, stream.clone()));
        self.changed.insert(stream.clone());
        self.has_news = true;
        true
    }

    /// The event that is parked in a stream.
    pub(crate) fn parked(&self, stream: &StreamId) -> Option<&Blocked> {
        let obstacle = self.lanes.get(stream)?.obstacle.as_ref()?;
        let is_parked = matches!(obstacle.stage, Stage::Parked { .. }) && !obstacle.is_loaded;
        obstacle.failed.as_ref().filter(|_| is_parked)
    }

    /// Passes a parked event over; gives what it was, none where none is parked in the stream.
    pub(crate) fn skip(&mut self, stream: &StreamId) -> Option<Blocked> {
        let lane = self.lanes.get_mut(stream)?;
        let obstacle = lane.obstacle.as_mut()?;
        if !matches!(obstacle.stage, Stage::Parked { .. }) || obstacle.is_loaded {
            return None;
        }
        let skipped = obstacle.failed.take()?;
        obstacle.stage = Stage::CatchingUp;
        self.waiting -= 1;
        lane.next += 1;
        lane.through = skipped.position;
        self.tally.add(skipped.position);
        self.counts.skipped += 1;
        self.changed.insert(stream.clone());
        self.has_news = true;
        self.want(stream.clone());
        self.hold.released(self.waiting);
        Some(skipped)
    }
}
