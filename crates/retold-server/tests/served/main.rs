//! Against a running server on a folder, over real connections: the usage of the first page,
//! clients that behave badly and what they cost, and made-up requests.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod disconnects;
mod idle;
mod malformed;
mod metrics;
mod refused;
mod schemathesis;
mod seed;
mod slow;
mod stopped;
mod support;
mod webhooks;
