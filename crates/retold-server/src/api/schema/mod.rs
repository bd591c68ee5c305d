//! The shapes of requests and answers as the OpenAPI document describes them. They are read by
//! nobody else: what is sent is written by `answer` and `routes`, and a test compares the two.
// Nothing is ever made of these types, so neither their fields nor their sizes matter.
#![allow(dead_code, clippy::large_enum_variant)]

mod answers;
mod consumers;
mod parameters;
mod projections;
mod requests;

pub(crate) use answers::*;
pub(crate) use consumers::*;
pub(crate) use parameters::*;
pub(crate) use projections::*;
pub(crate) use requests::*;
