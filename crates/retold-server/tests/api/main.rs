//! The HTTP API, from the outside: every route, every row of the error table.

#![allow(clippy::unwrap_used)]

mod append;
mod bad_input;
mod bulk;
mod consumers;
mod document;
mod errors;
mod guard;
mod ids;
mod live;
mod machines;
mod projections;
mod reads;
mod restore;
mod snapshots;
mod state;
mod support;
mod writes;
