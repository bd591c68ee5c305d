//! NDJSON: one event a line, in the form of the bulk call or of an export, and the export.

mod read;
#[cfg(test)]
mod write;

pub(super) use read::Reader;
#[cfg(test)]
pub(crate) use write::Export;
