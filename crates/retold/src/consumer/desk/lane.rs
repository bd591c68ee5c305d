//! What a consumer knows of one stream.

use std::collections::VecDeque;
use std::time::Duration;

use retold_core::{Blocked, Position, RecordedEvent, SequenceNumber, StreamId, StreamProgress};

use super::Fence;

/// One stream, of which an event is under way, waits, or is finished ahead of the position.
#[derive(Default)]
pub(super) struct Lane {
    /// What is to be handed out, in order; the first one may be under way.
    pub(super) queue: VecDeque<RecordedEvent>,
    /// Everything before this is finished; 0 while nothing is known.
    pub(super) next: SequenceNumber,
    /// Where the last event is that was finished.
    pub(super) through: Position,
    pub(super) flight: Option<Fence>,
    pub(super) obstacle: Option<Obstacle>,
    /// Whether the side store has something of it.
    pub(super) is_kept: bool,
}

/// Why a stream has left the order of the log.
pub(super) struct Obstacle {
    pub(super) stage: Stage,
    /// The event that failed; none while the stream catches up.
    pub(super) failed: Option<Blocked>,
    /// The last event of the stream that the reader of the log passed over.
    pub(super) passed_through: Position,
    /// Whether a part of the stream is being read, or was read and is being handed out.
    pub(super) is_loaded: bool,
}

/// What a stream that has left the order of the log waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// To be tried again.
    Waiting { due: Duration },
    /// For somebody to say what is to be done; `at` is none where another process parked it.
    Parked { at: Option<Duration> },
    /// For its turn: what it waited for is finished.
    CatchingUp,
}

impl Lane {
    /// As it was kept.
    pub(super) fn resumed(kept: StreamProgress, position: Position, now: Duration) -> Lane {
        let obstacle = kept.blocked.map(|blocked| {
            let stage = match (blocked.is_parked, blocked.attempts) {
                (true, _) => Stage::Parked { at: None },
                (false, 0) => Stage::CatchingUp,
                (false, _) => Stage::Waiting { due: now },
            };
            Obstacle {
                stage,
                failed: Some(blocked).filter(|_| stage != Stage::CatchingUp),
                // All that was offered may have been passed over.
                passed_through: position,
                is_loaded: false,
            }
        });
        Lane {
            next: kept.next,
            through: kept.through,
            obstacle,
            is_kept: true,
            ..Lane::default()
        }
    }

    /// Whether nothing of it is to be handed out.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flight.is_none() && self.obstacle.is_none()
    }

    /// What is kept of it.
    pub(super) fn progress(&self, stream: StreamId) -> StreamProgress {
        let catching_up = || Blocked {
            position: self.through,
            event_id: uuid::Uuid::nil(),
            attempts: 0,
            is_parked: false,
            error: retold_core::Text::new(),
            failed_at: retold_core::Timestamp::MIN,
        };
        StreamProgress {
            stream,
            next: self.next,
            through: self.through,
            blocked: self.obstacle.as_ref().map(|obstacle| {
                let mut blocked = obstacle.failed.clone().unwrap_or_else(catching_up);
                blocked.is_parked = matches!(obstacle.stage, Stage::Parked { .. });
                // Tried again by hand: another process must not take it for caught up.
                if obstacle.is_waiting() && !blocked.is_parked {
                    blocked.attempts = blocked.attempts.max(1);
                }
                blocked
            }),
        }
    }
}

impl Obstacle {
    pub(super) fn catching_up(passed_through: Position) -> Obstacle {
        Obstacle {
            stage: Stage::CatchingUp,
            failed: None,
            passed_through,
            is_loaded: false,
        }
    }

    pub(super) fn attempts(&self) -> u32 {
        self.failed.as_ref().map_or(0, |failed| failed.attempts)
    }

    /// Whether an event failed that is not finished.
    pub(super) fn is_waiting(&self) -> bool {
        self.stage != Stage::CatchingUp
    }

    pub(super) fn park(&mut self, now: Duration) {
        self.stage = Stage::Parked { at: Some(now) };
        if let Some(failed) = &mut self.failed {
            failed.is_parked = true;
        }
    }

    pub(super) fn wait_until(&mut self, due: Duration) {
        self.stage = Stage::Waiting { due };
        if let Some(failed) = &mut self.failed {
            failed.is_parked = false;
        }
    }
}
