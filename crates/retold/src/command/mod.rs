//! Commands: what is asked of an aggregate or of several together, and how it is carried out.
//! `request` is what a caller builds, `execution` the loop that loads, decides and appends.

mod error;
mod execution;
mod facts;
mod key;
mod member;
mod request;
mod together;
mod turns;

pub use error::ExecuteError;
pub use request::{Execute, Executed};
pub use together::{ExecuteTogether, Together};
pub(crate) use turns::Turns;

/// How often a command is tried while others write to its streams. In one process the commands
/// of a stream wait for one another, so this many rounds are lost to other processes or to plain
/// appends, and each of them wrote something.
pub const COMMAND_ATTEMPTS_MAX: usize = 100;
