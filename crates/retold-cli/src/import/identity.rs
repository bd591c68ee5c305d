//! Names that a file does not give: the same for the same file, so that importing it again
//! adds nothing.
//!
//! Both are UUIDv5 (RFC 9562, section 5.5) of texts joined by U+0000, which neither an aggregate
//! type nor a case can hold:
//!
//! | name | namespace | text |
//! |---|---|---|
//! | event id | [`EVENT_NAMESPACE`] | aggregate type, case, ordinal |
//! | correlation id | [`CASE_NAMESPACE`] | aggregate type, case |
//!
//! The *ordinal* is the place of the event among those of its case in the file, from 1, in
//! decimal digits. It is needed because real logs hold events that are equal in every field. A
//! refused event has its ordinal too, so that mending a line does not rename those behind it;
//! unless the line is so broken that its case cannot be told.

use std::collections::HashMap;

use retold::{EventId, StreamId, Text};
use uuid::Uuid;

/// The namespace of event ids. It never changes: files imported before would be added again.
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x5c1f_0c6e_3a52_4f0e_9d53_70b1_c1a3_e701);

/// The namespace of correlation ids. It never changes either.
const CASE_NAMESPACE: Uuid = Uuid::from_u128(0x5c1f_0c6e_3a52_4f0e_9d53_70b1_c1a3_e702);

/// How many events of each case were seen: what grows with the cases of a file. A case may come
/// again at any place.
#[derive(Default)]
pub(super) struct Ordinals(HashMap<StreamId, u64>);

impl Ordinals {
    /// The ordinal of the next event of a case.
    pub(super) fn next(&mut self, stream: &StreamId) -> u64 {
        if let Some(last) = self.0.get_mut(stream) {
            *last += 1;
            return *last;
        }
        self.0.insert(stream.detached(), 1);
        1
    }
}

/// The id of an event that has none.
pub(super) fn event_id(stream: &StreamId, ordinal: u64) -> EventId {
    let (aggregate_type, case) = (stream.aggregate_type(), stream.aggregate_id());
    let name = format!("{aggregate_type}\0{case}\0{ordinal}");
    Uuid::new_v5(&EVENT_NAMESPACE, name.as_bytes())
}

/// What the events of one case have in common.
pub(super) fn correlation_id(stream: &StreamId) -> Text {
    let (aggregate_type, case) = (stream.aggregate_type(), stream.aggregate_id());
    let name = format!("{aggregate_type}\0{case}");
    Text::from(Uuid::new_v5(&CASE_NAMESPACE, name.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `uuid.uuid5`. If this fails, every file would be imported twice.
    #[test]
    fn the_ids_are_those_they_have_always_been() {
        let stream = StreamId::new("Ticket", "Case 1").unwrap();
        assert_eq!(
            event_id(&stream, 1).to_string(),
            "7b3e8500-5b3c-580e-822f-e5a726dbaf93"
        );
        assert_eq!(
            event_id(&stream, 12).to_string(),
            "77298d50-520c-556b-ad11-299b1ef43899"
        );
        assert_eq!(
            &*correlation_id(&stream),
            "63de2c12-44ba-580a-bd29-9a432814cd3f"
        );
    }

    #[test]
    fn ordinals_are_counted_for_each_case() {
        let mut ordinals = Ordinals::default();
        let seen = ["a", "b", "a", "a", "b"].map(|case| {
            let stream = StreamId::new("T", case).unwrap();
            ordinals.next(&stream)
        });
        assert_eq!(seen, [1, 1, 2, 3, 2]);
    }
}
