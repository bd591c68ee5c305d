//! NDJSON: one event a line, in the form of the bulk call or of an export, and the export.

mod read;
mod write;

pub(super) use read::Reader;
pub(crate) use write::Export;
