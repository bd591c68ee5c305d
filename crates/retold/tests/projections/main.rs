//! Projections: rows that follow the log, exactly once; versions that are built beside each other;
//! and the projections that come with the crate.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod builtin;
mod deciding;
mod following;
mod support;
