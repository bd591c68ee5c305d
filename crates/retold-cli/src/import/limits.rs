//! The limits of reading a file, with their reasons. Those of an event are `retold::limits`.

/// Bytes of one line, of one CSV record, of one XML tag, and of all attributes of one XES event:
/// as long as the body of a call may be. Any event that keeps its own limits fits, however many
/// escapes and how much white space it is written with.
pub(super) const LINE_BYTES_MAX: usize = retold::limits::APPEND_BYTES_MAX;

/// Lines of one CSV record: a quote that is never closed must not swallow the rest of the file.
pub(super) const RECORD_LINES_MAX: usize = 10_000;

/// Elements of an XML file within each other: twice what a payload may be nested, so that an
/// event which is nested too deep is refused alone, while the parser's memory stays bounded.
pub(super) const XML_DEPTH_MAX: usize = 2 * retold::limits::JSON_DEPTH_MAX;

/// Characters of a value that an error shows: enough to find it, short enough for one line.
pub(super) const SHOWN_CHARS_MAX: usize = 64;

/// Characters of a reason that an error gives: parsers put whole names of the file into theirs.
pub(super) const REASON_CHARS_MAX: usize = 400;

/// Columns that an error lists: enough for a table that a person made.
pub(super) const COLUMNS_SHOWN_MAX: usize = 50;

/// Bytes of a file that are asked for at once: few system calls, and still a small buffer.
pub(super) const READ_BUFFER_BYTES: usize = 64 * 1024;
