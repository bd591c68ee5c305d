//! One of the events that an event is split into.

use retold_core::{Json, JsonError};
use serde::Serialize;

use super::EventVersion;

/// One of the events that an event is split into: [`Upcasters::split`](super::Upcasters::split).
#[derive(Debug, Clone)]
pub struct Part {
    pub(super) event: EventVersion,
    pub(super) payload: Result<Json, JsonError>,
}

impl Part {
    /// An event of that type and version. A payload that cannot be written as JSON fails the
    /// upcaster that returns the part.
    pub fn new(event: impl Into<EventVersion>, payload: &(impl Serialize + ?Sized)) -> Part {
        Part {
            event: event.into(),
            payload: Json::from_value(payload),
        }
    }
}
