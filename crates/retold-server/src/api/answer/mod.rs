//! What is answered: problems, the one table of errors, pages and streams of events.

mod appended;
mod errors;
mod json;
mod ndjson;
mod problem;
mod sse;

pub(crate) use appended::{
    AppendedOne, AppendedSeveral, applied_minimal, prefers_minimal, write_minimal,
};
pub(crate) use errors::Code;
pub(crate) use json::{etag, json, with_sequence, written};
pub(crate) use ndjson::{EventPages, NDJSON, ndjson, write_line};
pub(crate) use problem::Problem;
pub(crate) use sse::{event_stream, live};
