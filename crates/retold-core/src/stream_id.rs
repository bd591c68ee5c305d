//! The name of a stream: the aggregate it belongs to.

use std::fmt;

use crate::{Error, Text, limits};

/// What the types of Retold's own streams begin with.
pub(crate) const RESERVED: char = '$';

/// Names the stream of one aggregate: its type and its id.
///
/// A type matches `[A-Za-z$][A-Za-z0-9._-]{0,127}`; types that start with `$` are written by
/// Retold only. An id is 1–512 bytes of UTF-8 without control characters, and neither `.` nor
/// `..`, which libraries that handle URLs remove from a path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    aggregate_type: Text,
    aggregate_id: Text,
}

impl StreamId {
    /// Names a stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field that is not as described above.
    pub fn new(
        aggregate_type: impl Into<Text>,
        aggregate_id: impl Into<Text>,
    ) -> Result<StreamId, Error> {
        let (aggregate_type, aggregate_id) = (aggregate_type.into(), aggregate_id.into());
        check_aggregate_type(&aggregate_type)?;
        check_text("aggregateId", &aggregate_id, limits::AGGREGATE_ID_BYTES_MAX)?;
        if matches!(&*aggregate_id, "." | "..") {
            return Err(Error::invalid("aggregateId", "must not be . or .."));
        }
        Ok(StreamId {
            aggregate_type,
            aggregate_id,
        })
    }

    /// Takes names that were a [`StreamId`] before, read back from where they were kept under a
    /// checksum. They are not checked again.
    pub fn from_stored(aggregate_type: Text, aggregate_id: Text) -> StreamId {
        StreamId {
            aggregate_type,
            aggregate_id,
        }
    }

    /// The aggregate's type, such as `Issue`.
    pub fn aggregate_type(&self) -> &Text {
        &self.aggregate_type
    }

    /// The aggregate's id, unique within its type.
    pub fn aggregate_id(&self) -> &Text {
        &self.aggregate_id
    }

    /// Whether the stream is one of Retold's own, which only Retold writes.
    pub fn is_reserved(&self) -> bool {
        self.aggregate_type.starts_with(RESERVED)
    }

    /// The same name in memory of its own, for keeping it longer than the buffer it came from.
    pub fn detached(&self) -> StreamId {
        StreamId {
            aggregate_type: Text::from(&*self.aggregate_type),
            aggregate_id: Text::from(&*self.aggregate_id),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate_type, self.aggregate_id)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Checks the form of an aggregate type.
pub(crate) fn check_aggregate_type(text: &str) -> Result<(), Error> {
    let field = "aggregateType";
    check_text(field, text, limits::AGGREGATE_TYPE_BYTES_MAX)?;
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$');
    let goes_on_well = text
        .bytes()
        .skip(1)
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if starts_well && goes_on_well {
        Ok(())
    } else {
        Err(Error::invalid(
            field,
            "must be a letter or $, then letters, digits, dots, underscores or hyphens",
        ))
    }
}

/// Checks a name, an id or a tag: 1 to `bytes_max` bytes, no control characters.
pub(crate) fn check_text(field: &str, text: &str, bytes_max: usize) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    if text.len() > bytes_max {
        return Err(Error::invalid(
            field,
            format!("must be at most {bytes_max} bytes, not {}", text.len()),
        ));
    }
    if has_control(text) {
        return Err(Error::invalid(field, "must not hold control characters"));
    }
    Ok(())
}

/// Whether a text holds control characters.
pub(crate) fn has_control(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, 0x20..0x7f);
    // Almost every text is plain, and whole words of bytes can be compared at once.
    !text.bytes().all(is_plain) && text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_names_are_kept_as_they_are() {
        for (aggregate_type, id) in [
            ("Issue", "42"),
            ("$machine", "Issue"),
            ("a.b_c-d9", "a/b %\"'\u{1F980}"),
            (&"A".repeat(128), &"i".repeat(512)),
        ] {
            let stream = StreamId::new(aggregate_type, id).unwrap();
            assert_eq!(stream.to_string(), format!("{aggregate_type}/{id}"));
        }
    }

    #[test]
    fn each_malformed_name_is_refused_with_its_field() {
        let long_type = "A".repeat(129);
        let long_id = "i".repeat(513);
        for (aggregate_type, id, wrong) in [
            ("", "1", "aggregateType"),
            ("1ssue", "1", "aggregateType"),
            ("Is sue", "1", "aggregateType"),
            ("Isue\u{e9}", "1", "aggregateType"),
            ("a$", "1", "aggregateType"),
            (&long_type, "1", "aggregateType"),
            ("Issue", "", "aggregateId"),
            ("Issue", ".", "aggregateId"),
            ("Issue", "..", "aggregateId"),
            ("Issue", "a\nb", "aggregateId"),
            ("Issue", "a\u{0}b", "aggregateId"),
            ("Issue", "a\u{7f}b", "aggregateId"),
            ("Issue", "a\u{85}b", "aggregateId"),
            ("Issue", &long_id, "aggregateId"),
        ] {
            match StreamId::new(aggregate_type, id) {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, wrong),
                other => panic!("{aggregate_type:?}/{id:?} gave {other:?}"),
            }
        }
    }
}
