//! One shape that events were written in: an event type and a version.

use std::fmt;

use retold_core::Text;

/// An event type in one of its versions: `account.opened 1.0.0`.
///
/// Versions are names, as the metadata of events have them. They are compared letter by letter,
/// and none is before another but by the upcaster that leads from the one to the other: "1.0"
/// and "1.0.0" are two versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct EventVersion {
    /// The event type.
    pub event_type: Text,
    /// The version of its payload's shape.
    pub version: Text,
}

impl EventVersion {
    /// Names a version of an event type.
    pub fn new(event_type: impl Into<Text>, version: impl Into<Text>) -> EventVersion {
        EventVersion {
            event_type: event_type.into(),
            version: version.into(),
        }
    }
}

impl<T: Into<Text>, V: Into<Text>> From<(T, V)> for EventVersion {
    fn from((event_type, version): (T, V)) -> EventVersion {
        EventVersion::new(event_type, version)
    }
}

impl fmt::Display for EventVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.event_type, self.version)
    }
}
