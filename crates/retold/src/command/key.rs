//! Idempotency keys. The ids of a command's events follow from its key, so what a repetition
//! would write is found in the log, and nothing else needs to be kept.
//!
//! An event id is the UUIDv5 (RFC 9562, section 5.5) in [`NAMESPACE`] of the aggregate type, the
//! aggregate id, the key and the ordinal of the event among those of the command (from 0, in
//! decimal digits), joined by U+0000, which none of them can hold. Where a command concerns
//! several aggregates, the first one names the key.

use retold_core::{Error, EventId, EventStore, RecordedEvent, StreamId, Text};
use uuid::Uuid;

/// The namespace of the ids. It never changes: commands would be carried out again.
const NAMESPACE: Uuid = Uuid::from_u128(0x5c1f_0c6e_3a52_4f0e_9d53_70b1_c1a3_e703);

/// Bytes of a key: as long as an aggregate id, since callers make keys of ids.
const KEY_BYTES_MAX: usize = 512;

/// A key and the aggregate that it belongs to.
pub(crate) struct Key {
    name: String,
}

impl Key {
    /// # Errors
    /// [`Error::Invalid`] when the key is empty, too long, or holds control characters.
    pub(super) fn new(stream: &StreamId, key: &Text) -> Result<Key, Error> {
        let invalid = |reason: String| Err(Error::invalid("idempotencyKey", reason));
        if key.is_empty() {
            return invalid("must not be empty".into());
        }
        if key.len() > KEY_BYTES_MAX {
            return invalid(format!(
                "must be at most {KEY_BYTES_MAX} bytes, not {}",
                key.len()
            ));
        }
        if key.chars().any(char::is_control) {
            return invalid("must not hold control characters".into());
        }
        let (aggregate_type, aggregate_id) = (stream.aggregate_type(), stream.aggregate_id());
        Ok(Key {
            name: format!("{aggregate_type}\0{aggregate_id}\0{key}\0"),
        })
    }

    /// The id of the event with that ordinal.
    pub(super) fn event_id(&self, ordinal: usize) -> EventId {
        let name = format!("{}{ordinal}", self.name);
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }

    /// What was recorded under the key, in order; nothing where it is new.
    ///
    /// # Errors
    /// [`Error::IdentityConflict`] when the events are not those of one append, which no command
    /// leaves behind: somebody else has used these ids.
    pub(super) async fn look_up(
        &self,
        store: &dyn EventStore,
    ) -> Result<Vec<RecordedEvent>, Error> {
        let mut recorded: Vec<RecordedEvent> = Vec::new();
        while let Some(event) = store.read_event(self.event_id(recorded.len())).await? {
            recorded.push(event);
        }
        let follows = |pair: &[RecordedEvent]| pair[0].position + 1 == pair[1].position;
        if recorded.windows(2).all(follows) {
            return Ok(recorded);
        }
        let ids = recorded.iter().map(|event| event.metadata.event_id);
        Err(Error::IdentityConflict {
            event_ids: ids.collect(),
            reason: "the events under the idempotency key are not those of one command".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `uuid.uuid5`. If this fails, every command would be carried out
    /// again under its key.
    #[test]
    fn the_ids_are_those_they_have_always_been() {
        let stream = StreamId::new("Account", "alice").unwrap();
        let key = Key::new(&stream, &Text::from("order-7")).unwrap();
        assert_eq!(
            [0, 12].map(|ordinal| key.event_id(ordinal).to_string()),
            [
                "c65c85e6-27da-59b1-890e-298c03a49b09",
                "e69af18c-e5ed-5eb9-a837-154dffcec650"
            ]
        );
    }

    #[test]
    fn a_malformed_key_is_refused() {
        let stream = StreamId::new("Account", "alice").unwrap();
        for key in ["", "a\0b", &"k".repeat(513)] {
            match Key::new(&stream, &Text::from(key)) {
                Err(Error::Invalid { field, .. }) => assert_eq!(field, "idempotencyKey"),
                _ => panic!("{key:?} was accepted"),
            }
        }
        assert!(Key::new(&stream, &Text::from("k".repeat(512))).is_ok());
    }
}
