//! Transitions: what is asked for, how it is judged and appended, and how it is recorded.

mod execution;
mod record;
mod request;

pub(crate) use record::{MACHINE_KEY, RecordedTransition, TRUSTED, is_transition, to_state};
pub use request::{Transition, TransitionCall, Transitioned};

/// How often a transition is tried while others write to its stream. Each round one of them
/// wins, so this many writers of one stream at a time are served; more get the conflict.
pub const TRANSITION_ATTEMPTS_MAX: usize = 100;
