//! What must be kept of a consumer, so that another process can go on.

use std::collections::HashSet;

use retold_core::{StreamId, StreamProgress};

use super::planted::{self, Bug};
use super::{Changes, Desk};

impl Desk {
    /// Whether something has to be kept.
    pub(crate) fn has_changes(&self) -> bool {
        self.has_news || self.position != self.kept_position
    }

    /// What was to be kept was not.
    pub(crate) fn not_kept(&mut self, changes: Changes) {
        self.has_news = true;
        if planted::is(Bug::ChangesDropped) {
            return;
        }
        self.changed
            .extend(changes.kept.into_iter().map(|kept| kept.stream));
        self.removed.extend(changes.removed);
    }

    /// What has to be kept; none where that is kept already.
    pub(crate) fn changes(&mut self) -> Option<Changes> {
        if !self.has_changes() {
            return None;
        }
        self.has_news = false;
        self.kept_position = self.position;
        let mut changes = Changes {
            position: self.position,
            kept: Vec::new(),
            removed: std::mem::take(&mut self.removed),
            tally: self.tally,
        };
        for stream in std::mem::take(&mut self.changed) {
            let Some(lane) = self.lanes.get_mut(&stream) else {
                continue;
            };
            let is_forgotten = match lane.obstacle.is_some() {
                true => planted::is(Bug::BlockedNotKept),
                false => planted::is(Bug::AheadNotKept),
            };
            if is_forgotten {
                continue;
            }
            if lane.obstacle.is_some() || lane.through > self.position {
                lane.is_kept = true;
                changes.kept.push(lane.progress(stream));
            } else if std::mem::take(&mut lane.is_kept) {
                changes.removed.push(stream);
            }
        }
        // A stream that came back after it was let go of is kept, not removed.
        let kept: HashSet<&StreamId> = changes.kept.iter().map(|kept| &kept.stream).collect();
        changes.removed.retain(|stream| !kept.contains(stream));
        Some(changes)
    }

    /// All that must be kept now.
    pub(crate) fn progress(&self) -> Vec<StreamProgress> {
        let kept = self.lanes.iter().filter(|(_, lane)| {
            let says_something = lane.obstacle.is_some() || lane.through > self.position;
            says_something && lane.next > 0
        });
        let mut progress: Vec<_> = kept
            .map(|(stream, lane)| lane.progress(stream.clone()))
            .collect();
        progress.sort_by(|a, b| a.stream.cmp(&b.stream));
        progress
    }
}
