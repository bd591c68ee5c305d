//! Room ahead of the end of the log that zeros were written to. What was only reserved costs
//! every sync an entry in the journal of the file system, the first time it is written to; where
//! zeros stand already, a sync takes about two thirds of that. They are written in the background,
//! and only a little ahead of small groups: large ones would wait for them.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::disk::File;
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};

/// A group that is longer gains nothing.
const GROUP_BYTES_MAX: u64 = 128 * 1024;

/// Groups for which nothing is prepared behind a longer one.
const GROUPS_RESTED: u32 = 16;

/// What file systems count in.
const BLOCK_BYTES: u64 = 4096;

/// What is prepared of the newest segment.
pub(crate) struct Preparing {
    /// Zeros are written from and up to multiples of this.
    block: u64,
    /// How much is written in one step.
    step: u64,
    /// How far ahead of the end.
    ahead: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// None while nothing is to be prepared.
    file: Option<Arc<dyn File>>,
    /// The end of the last frame.
    end: u64,
    /// From here on nothing was written yet, neither zeros nor frames.
    fresh_from: u64,
    /// Up to here there is room.
    reserved: u64,
    /// Groups until anything is prepared again.
    rests: u32,
    /// Zeros are being written from `fresh_from` on.
    is_busy: bool,
    is_closed: bool,
}

impl Preparing {
    /// Shares of what is reserved at once.
    pub(crate) fn new(reserve_bytes: u64) -> Preparing {
        let block = (reserve_bytes / 8).clamp(1, BLOCK_BYTES);
        Preparing {
            block,
            step: (reserve_bytes / 16 / block).max(1) * block,
            ahead: reserve_bytes / 4,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Works until it is told to close.
    pub(crate) fn run(&self) {
        loop {
            while self.step() {}
            let state = self.state();
            let is_idle = |state: &mut State| !state.is_closed && self.next(state).is_none();
            let waited = self.changed.wait_while(state, is_idle);
            if waited.unwrap_or_else(PoisonError::into_inner).is_closed {
                return;
            }
        }
    }

    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    /// Prepares the next stretch, if one is wanted.
    pub(crate) fn step(&self) -> bool {
        let mut state = self.state();
        let Some((file, from, to)) = self.next(&state) else {
            return false;
        };
        state.is_busy = true;
        drop(state);
        let _busy = Busy(self);
        let outcome = file.write_zeros(from, to);
        let mut state = self.state();
        match outcome {
            Ok(()) => {
                probe::hit(Probe::RoomPrepared);
                state.fresh_from = to;
            }
            Err(error) => {
                // A log that grows without is slower, no more.
                if error.kind() != io::ErrorKind::Unsupported {
                    tracing::debug!(%error, "could not prepare room for the log");
                }
                state.file = None;
            }
        }
        true
    }

    /// The stretch that is to be prepared next.
    fn next(&self, state: &State) -> Option<(Arc<dyn File>, u64, u64)> {
        let file = state.file.as_ref()?;
        let from = match planted::is(Bug::FrameZeroed) {
            true => state.end.saturating_sub(1) / self.block * self.block,
            false => state.fresh_from,
        };
        let to = (from + self.step).min(state.reserved / self.block * self.block);
        let is_wanted = state.rests == 0 && from < state.end + self.ahead && from < to;
        let is_free = !state.is_busy && !state.is_closed;
        (is_wanted && is_free).then(|| (Arc::clone(file), from, to))
    }

    /// The end of the block that a place lies in. Up to there nothing is written by this.
    pub(crate) fn end_of_block(&self, end: u64) -> u64 {
        end.next_multiple_of(self.block)
    }

    /// Nothing more is written to the segment by this.
    pub(crate) fn leave(&self) {
        let mut state = self.idle(|_| true);
        *state = State {
            is_closed: state.is_closed,
            ..State::default()
        };
    }

    /// Goes on in a segment, behind a place, once something was written there.
    pub(crate) fn enter(&self, file: Arc<dyn File>, end: u64, reserved: u64) {
        let mut state = self.idle(|_| true);
        state.file = Some(file);
        state.end = end;
        state.fresh_from = self.end_of_block(end);
        state.reserved = reserved;
        state.rests = state.rests.max(1);
    }

    /// Takes a stretch for a frame: no zeros are written there from now on.
    pub(crate) fn take(&self, end: u64, reserved: u64) {
        let mut state = self.idle(|state| end > state.fresh_from);
        let begin = state.end;
        state.end = end;
        state.fresh_from = state.fresh_from.max(self.end_of_block(end));
        state.reserved = reserved;
        state.rests = match end.saturating_sub(begin) {
            ..=GROUP_BYTES_MAX => state.rests.saturating_sub(1),
            _ => GROUPS_RESTED,
        };
        let is_wanted = self.next(&state).is_some();
        drop(state);
        if is_wanted {
            self.changed.notify_all();
        }
    }

    /// The state, once no zeros are being written where that would be in the way.
    fn idle(&self, is_in_the_way: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let is_busy = |state: &mut State| state.is_busy && is_in_the_way(state);
        let waited = self.changed.wait_while(self.state(), is_busy);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets go of those who wait for zeros to be written, also where that panics.
struct Busy<'a>(&'a Preparing);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_busy = false;
        if std::thread::panicking() {
            state.file = None;
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;

    use super::*;
    use crate::disk::sim::SimDisk;
    use crate::disk::{Access, Disk, RealDisk};

    /// Frames of many lengths, while zeros are written ahead of them.
    fn write_frames(disk: &dyn Disk, path: &Path) {
        const RESERVE_BYTES: u64 = 64 * 4096;
        let file = disk.open(path, Access::Replace).unwrap();
        let preparing = Arc::new(Preparing::new(RESERVE_BYTES));
        let beside = Arc::clone(&preparing);
        let thread = thread::spawn(move || beside.run());
        let (mut end, mut reserved) = (100, 0);
        preparing.enter(Arc::clone(&file), end, reserved);
        for nth in 0..2_000_u64 {
            let length = 1 + nth * 7_919 % 20_000;
            let begin = end;
            end += length;
            if end > reserved {
                reserved = end.next_multiple_of(RESERVE_BYTES);
                file.reserve(reserved).unwrap();
            }
            preparing.take(end, reserved);
            file.write_at(&vec![1; length as usize], begin).unwrap();
        }
        preparing.leave();
        preparing.close();
        thread.join().unwrap();
        let mut bytes = vec![0; end as usize - 100];
        assert_eq!(file.read_at(&mut bytes, 100).unwrap(), bytes.len());
        assert_eq!(bytes.iter().position(|byte| *byte == 0), None);
    }

    #[test]
    fn no_frame_is_zeroed_however_the_two_interleave() {
        let folder = tempfile::tempdir().unwrap();
        write_frames(&RealDisk, &folder.path().join("log"));
        write_frames(&SimDisk::default(), Path::new("/log"));
    }
}
