//! Ways to be wrong, each of which the simulator must find. They exist only with the feature
//! `planted-bugs`, and there each is off until a thread plants it.

use crate::listed::listed;

listed! {
    /// A bug that can be planted. The label says what the engine then does.
    pub enum Bug {
        SyncForgotten = "a frame is not synced",
        AnsweredBeforeSync = "an append is acknowledged before the sync",
        VisibleBeforeSync = "an event is visible before the sync",
        SyncRetried = "a failed sync is tried again and believed",
        NextWrittenAfterFailure = "appends go on after a failed write",
        FrameZeroed = "room is prepared where the last frame stands",
        FolderSyncForgotten = "the folder is not synced after a rename",
        FolderSyncOnOpeningForgotten = "the folder is not synced on opening",
        HeaderSyncForgotten = "a new segment gets its name before it is synced",
        HeadWrittenFirst = "HEAD names a segment before it is durable",
        EpochReused = "an opening uses the epoch of the last one",
        TailNotRewritten = "whole frames at the end are not written again",
        CutFileNotSynced = "a torn tail is cut before its copy is durable",
        CutForgotten = "a torn tail is overwritten, not moved aside",
        MarksIgnored = "damage behind a durable mark is taken for a torn tail",
        UnreadableIsEnd = "an unreadable sector is taken for the end of the log",
        RecordChecksumIgnored = "the checksum of a record is not checked",
        ChainIgnored = "the chain is not checked",
        EvidenceIgnored = "derived state ahead of the log is not looked at",
        HeadIgnored = "a missing newest segment is not noticed",
        RecentIdsForgotten = "a duplicate check forgets ids above the look-up",
        RecentHeadsForgotten = "an expectation is judged by the look-up alone",
        HeadKeptBack = "a head that is kept for look-ups does not move on",
        FailedStateKept = "an expectation is judged by appends that failed",
        RefusalNotAwaited = "a refusal does not wait for what it rests on",
        RestoreForgotten = "an unfinished restore is forgotten on opening",
        HeadReplacedFirst = "HEAD is replaced before an accepted loss is durable",
        LostSkipped = "a lost event is skipped, not delivered as lost",
        StaleRunAccepted = "a run is accepted that the log does not lead to",
        RunGapIgnored = "a gap between runs is not read again",
        FilterForgets = "a filter forgets some of its keys",
        MergeDropsNewest = "a merge leaves out the ids of its newest run",
        PageChecksumIgnored = "the checksum of a page is not checked",
        UnvouchedFollowed = "a follower shows what nothing vouches for",
    }
}

#[cfg(feature = "planted-bugs")]
mod planting {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug on this thread, or none.
    pub(crate) fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether a bug is planted.
    pub(crate) fn is(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub(crate) use planting::{is, plant};

/// Without the feature there is none.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
