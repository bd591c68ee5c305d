//! A process that follows the log without a lock, beside the one that writes it.

use std::sync::Arc;

use retold_core::{Entry, EventStore, Position};

use super::engine::FOLDER;
use super::model::is_same;
use super::world::World;
use crate::follower::Follower;
use crate::{EngineStore, Options};

pub(super) struct Following {
    store: EngineStore,
    follower: Arc<Follower>,
    seen: Position,
}

impl World {
    /// Begins to follow, looks for what is new, or ends it.
    pub(super) fn follow(&mut self) {
        // Beside damage a follower may be told of it at any time.
        if self.is_lossy {
            return;
        }
        match self.following.take() {
            None => self.begin_to_follow(),
            Some(_) if self.dice.percent(10) => self.note(|| "the follower ends".to_owned()),
            Some(following) => self.look_as_follower(following),
        }
    }

    fn begin_to_follow(&mut self) {
        let disk = Arc::new(self.another_process());
        let options = Options {
            read_only: true,
            ..self.options()
        };
        let opened = EngineStore::open_read_only_unstarted(disk, FOLDER.into(), options);
        match opened {
            Ok((store, follower)) => {
                let following = Following {
                    store,
                    follower,
                    seen: 0,
                };
                self.compare_followed(following);
            }
            Err(error) => assert!(
                self.disk.is_disturbed() || self.excuse_is_there(),
                "a follower cannot begin: {error}"
            ),
        }
    }

    fn look_as_follower(&mut self, following: Following) {
        let looked = following.follower.look();
        if let Err(error) = looked {
            assert!(
                self.disk.is_disturbed() || self.excuse_is_there(),
                "a follower cannot go on: {error}"
            );
        }
        self.compare_followed(following);
    }

    fn excuse_is_there(&mut self) -> bool {
        self.excuse() == super::engine::Excuse::Unreadable
    }

    /// What a follower shows must be durable, and may be late.
    fn compare_followed(&mut self, mut following: Following) {
        let visible = &following.store.shared().visible;
        let head = visible.head().position;
        let durable = self.model.durable();
        assert!(
            head <= durable,
            "a follower shows {head}, but only {durable} are durable"
        );
        let may_fail = self.disk.is_disturbed() || self.excuse_is_there();
        assert!(
            head >= following.seen || may_fail,
            "a follower goes back from {} to {head}",
            following.seen
        );
        let visible = &following.store.shared().visible;
        for position in following.seen + 1..=head {
            let found = match visible.event(position) {
                Ok(event) => Entry::Event(event),
                Err(error) => {
                    assert!(may_fail, "a follower cannot read {position}: {error}");
                    continue;
                }
            };
            let kept = &self.model.entries()[position as usize - 1];
            assert!(
                is_same(&found, kept),
                "a follower shows {found:?}, not {kept:?}"
            );
        }
        self.report.reads += head.saturating_sub(following.seen);
        self.note(|| format!("a follower sees {head} of {durable}"));
        following.seen = head;
        debug_assert!(following.store.capabilities().durable);
        self.following = Some(following);
    }
}
