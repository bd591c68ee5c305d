//! Consumers of the library: how events are delivered and answered for, how a consumer stands, and
//! the kinds of handlers.

#![allow(clippy::unwrap_used)]

mod delivering;
mod handlers;
mod standing;
mod support;
