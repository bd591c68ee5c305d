//! The log: the truth. Records in frames, frames in segments; how they are read back after
//! anything may have happened, and how the end of the log grows.

pub(crate) mod coding;
pub(crate) mod control;
pub(crate) mod frame;
pub(crate) mod prepare;
pub(crate) mod record;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod tail;
pub(crate) mod window;
