//! Marks the branches of the engine that a simulated run must have taken. Without the feature
//! `simulator` nothing of it is left.

use crate::listed::listed;

listed! {
    /// A branch that is rarely taken, and that a simulated run counts.
    pub enum Probe {
        LogMade = "log made",
        SegmentBegun = "segment begun",
        RoomPrepared = "room ahead of the end prepared",
        GroupShared = "several appends in one frame",
        AnswerWaited = "answer waited for what it rests on",
        LookedAgain = "look-up repeated",
        MarkWritten = "mark frame written",
        RoomMissing = "no room, appends rewound",
        WritePoisoned = "write failed, store poisoned",
        OpenedWhole = "opened, nothing to mend",
        FramesRewritten = "whole frames rewritten",
        TailCut = "torn tail cut",
        WholeFrameCut = "whole frame behind a torn one cut",
        StaleHead = "stale HEAD replaced",
        MendFailed = "end not made durable, open for reading",
        OpenedWithoutRoom = "opened on a full disk",
        SegmentMissing = "segment missing",
        SegmentHeaderDamaged = "segment header damaged",
        SegmentOfOtherHistory = "segment of another history",
        SegmentEndMissing = "end of a sealed segment missing",
        RecordsSalvaged = "records salvaged from a gap",
        RecordDamaged = "record damaged, its frame kept",
        HeaderDamaged = "frame header damaged",
        SectorUnreadable = "sector unreadable while opening",
        HeadMissing = "HEAD missing",
        HeadDamaged = "HEAD damaged",
        HeadAhead = "segment named by HEAD missing",
        EvidenceAhead = "derived state ahead of the log",
        EvidenceOfOtherHistory = "derived state of another history",
        Forked = "fork frame taken in",
        DamageAccepted = "accepted damage taken in",
        LostDelivered = "lost event delivered as lost",
        RestoreTakenUp = "unfinished restore taken up",
        RunMade = "run made of a table",
        RunsMerged = "runs merged",
        FiltersKept = "filters of a run kept in memory",
        RunFound = "run found on opening",
        RunRejected = "file of the index rejected on opening",
        RunsUsed = "log read on from where runs end",
        RunGapRead = "gap between runs read",
        IndexMadeAnew = "index does not fit, log read as a whole",
        RunMended = "damaged run mended from the log",
        FollowerEnteredSegment = "follower entered a segment",
        FollowerReadAnew = "follower read everything anew",
    }
}

#[cfg(feature = "simulator")]
mod counting {
    use std::cell::RefCell;

    use super::Probe;

    thread_local! {
        static HITS: RefCell<[u64; Probe::ALL.len()]> =
            const { RefCell::new([0; Probe::ALL.len()]) };
    }

    /// Notes that a branch was taken.
    pub(crate) fn hit(probe: Probe) {
        HITS.with_borrow_mut(|hits| hits[probe as usize] += 1);
    }

    /// How often each was taken on this thread since this was last asked.
    pub(crate) fn take() -> [u64; Probe::ALL.len()] {
        HITS.with_borrow_mut(|hits| std::mem::replace(hits, [0; Probe::ALL.len()]))
    }
}

#[cfg(feature = "simulator")]
pub(crate) use counting::{hit, take};

/// Without the simulator nobody counts.
#[cfg(not(feature = "simulator"))]
pub(crate) const fn hit(_: Probe) {}
