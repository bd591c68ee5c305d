//! What an append came to, written without making values of what is JSON already.

use retold::{EventRef, RecordedEvent};

/// About what the largest part of events takes as JSON.
const EVENT_BYTES: usize = 640;

/// What one event came to.
pub(crate) struct AppendedOne<'a> {
    pub(crate) is_new: bool,
    pub(crate) event: &'a RecordedEvent,
}

impl AppendedOne<'_> {
    /// Adds it as JSON.
    pub(crate) fn write_json(&self, json: &mut Vec<u8>) {
        begin(json, self.is_new);
        json.extend_from_slice(br#","event":"#);
        EventRef::from(self.event).write_json(json);
        json.push(b'}');
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(EVENT_BYTES);
        self.write_json(&mut json);
        json
    }
}

/// What several events came to.
pub(crate) struct AppendedSeveral<'a> {
    pub(crate) is_new: bool,
    pub(crate) events: &'a [RecordedEvent],
}

impl AppendedSeveral<'_> {
    /// As JSON.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(self.events.len() * EVENT_BYTES);
        begin(&mut json, self.is_new);
        json.extend_from_slice(br#","events":["#);
        for (nth, event) in self.events.iter().enumerate() {
            if nth > 0 {
                json.push(b',');
            }
            EventRef::from(event).write_json(&mut json);
        }
        json.extend_from_slice(b"]}");
        json
    }
}

fn begin(json: &mut Vec<u8>, is_new: bool) {
    json.extend_from_slice(br#"{"isNew":"#);
    json.extend_from_slice(if is_new { b"true" } else { b"false" });
}
