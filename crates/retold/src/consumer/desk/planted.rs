//! Bugs that the simulation must find, each switched on where a test asks for it.

#[cfg(test)]
use std::cell::Cell;

/// A way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// The position moves over what is under way.
    PositionRunsAhead,
    /// What is finished ahead of the position is not kept.
    AheadNotKept,
    /// A stream that waits is not kept.
    BlockedNotKept,
    /// What was passed over while a stream caught up is not read.
    CaughtUpTooEarly,
    /// An event that failed is taken for finished.
    FailedIsFinished,
    /// A lease that has run out leaves the delivery valid.
    LateAnswerTaken,
    /// Fences begin anew with each process.
    FencesBeginAnew,
    /// A stream hands out its next event while one is under way.
    TwoUnderWay,
    /// What could not be kept is forgotten.
    ChangesDropped,
    /// A stream that waits is delivered by the reader of the log, too.
    BlockedStreamOffered,
}

#[cfg(test)]
impl Bug {
    pub(super) const ALL: [Bug; 10] = [
        Bug::PositionRunsAhead,
        Bug::AheadNotKept,
        Bug::BlockedNotKept,
        Bug::CaughtUpTooEarly,
        Bug::FailedIsFinished,
        Bug::LateAnswerTaken,
        Bug::FencesBeginAnew,
        Bug::TwoUnderWay,
        Bug::ChangesDropped,
        Bug::BlockedStreamOffered,
    ];
}

#[cfg(test)]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Whether a bug is planted.
pub(super) fn is(bug: Bug) -> bool {
    #[cfg(test)]
    return PLANTED.get() == Some(bug);
    #[cfg(not(test))]
    {
        let _ = bug;
        false
    }
}

/// Plants a bug in this thread until the value is dropped.
#[cfg(test)]
pub(super) fn plant(bug: Bug) -> impl Drop {
    struct Planted;
    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
    PLANTED.set(Some(bug));
    Planted
}
