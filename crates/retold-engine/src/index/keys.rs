//! Keys of the index: SipHash-2-4 with 128 bits (Aumasson and Bernstein, 2012) under a secret
//! that is drawn when the first run is made, so that nobody can choose ids that collide.

use std::hash::Hasher as _;

use retold_core::{EventId, NewEvent, StreamId, Text};
use siphasher::sip128::{Hasher128 as _, SipHasher};

use crate::few::Few;

/// Bytes of the secret.
pub(crate) const SECRET_BYTES: usize = 16;

/// The key of a stream: long enough to stand for its name. Two of 2^32 streams share one with
/// a chance of 2^-65.
pub(crate) type StreamKey = u128;

/// The 48 highest bits of a hash: a hit is confirmed against the record.
pub(crate) type ShortHash = u64;

/// Bits of a [`ShortHash`].
pub(crate) const SHORT_BITS: u32 = 48;

/// The keys of an event: made once, by whoever hands it in.
#[derive(Debug, Clone)]
pub(crate) struct EventKeys {
    pub(crate) event: ShortHash,
    pub(crate) stream: StreamKey,
    pub(crate) correlation: ShortHash,
    pub(crate) tags: Vec<ShortHash>,
}

/// Bytes that are hashed in one go; longer ones piece by piece.
const ONE_GO_BYTES: usize = 128;

/// What can be looked up besides event ids and streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term<'a> {
    Correlation(&'a str),
    Tag(&'a str),
}

/// Makes keys.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    secret: [u8; SECRET_BYTES],
    hasher: SipHasher,
}

impl Keys {
    pub(crate) fn new(secret: [u8; SECRET_BYTES]) -> Keys {
        Keys {
            secret,
            hasher: SipHasher::new_with_key(&secret),
        }
    }

    pub(crate) fn secret(&self) -> [u8; SECRET_BYTES] {
        self.secret
    }

    pub(crate) fn event(&self, event_id: &EventId) -> ShortHash {
        short(self.hash(0, event_id.as_bytes(), b""))
    }

    pub(crate) fn stream(&self, stream: &StreamId) -> StreamKey {
        let aggregate_type = stream.aggregate_type().as_bytes();
        self.hash(1, aggregate_type, stream.aggregate_id().as_bytes())
    }

    pub(crate) fn term(&self, term: Term<'_>) -> ShortHash {
        short(match term {
            Term::Correlation(text) => self.hash(2, text.as_bytes(), b""),
            Term::Tag(text) => self.hash(3, text.as_bytes(), b""),
        })
    }

    /// All keys of an event, whose stream's is known.
    pub(crate) fn of(
        &self,
        event_id: &EventId,
        stream: StreamKey,
        correlation_id: &str,
        tags: &[Text],
    ) -> EventKeys {
        EventKeys {
            event: self.event(event_id),
            stream,
            correlation: self.term(Term::Correlation(correlation_id)),
            tags: tags.iter().map(|tag| self.term(Term::Tag(tag))).collect(),
        }
    }

    /// The keys of events in their order. Neighbours are often of one stream.
    pub(crate) fn of_all(&self, events: &[NewEvent]) -> Few<EventKeys> {
        let mut last: Option<(&StreamId, StreamKey)> = None;
        let keys = events.iter().map(|event| {
            let stream = match last {
                Some((stream, key)) if *stream == event.stream => key,
                _ => self.stream(&event.stream),
            };
            last = Some((&event.stream, stream));
            let metadata = &event.metadata;
            self.of(
                &metadata.event_id,
                stream,
                &metadata.correlation_id,
                &event.tags,
            )
        });
        keys.collect()
    }

    /// Over the kind of key, the length of the first part, and both parts.
    fn hash(&self, kind: u8, first: &[u8], second: &[u8]) -> u128 {
        let length = u8::try_from(first.len()).unwrap_or(u8::MAX);
        let (middle, end) = (2 + first.len(), 2 + first.len() + second.len());
        if end <= ONE_GO_BYTES {
            let mut bytes = [0; ONE_GO_BYTES];
            bytes[..2].copy_from_slice(&[kind, length]);
            bytes[2..middle].copy_from_slice(first);
            bytes[middle..end].copy_from_slice(second);
            return self.hasher.hash(&bytes[..end]).as_u128();
        }
        let mut hasher = self.hasher;
        hasher.write(&[kind, length]);
        hasher.write(first);
        hasher.write(second);
        hasher.finish128().as_u128()
    }
}

/// The highest bits of a key of a stream, for its filter.
pub(crate) fn short(key: u128) -> ShortHash {
    (key >> (u128::BITS - SHORT_BITS)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_however_it_is_hashed() {
        let keys = Keys::new([7; SECRET_BYTES]);
        for length in [0, 1, 16, 124, 125, 126, 127, 300] {
            let text = "x".repeat(length);
            let mut hasher = keys.hasher;
            hasher.write(&[2, u8::try_from(length).unwrap_or(u8::MAX)]);
            hasher.write(text.as_bytes());
            let expected = short(hasher.finish128().as_u128());
            assert_eq!(keys.term(Term::Correlation(&text)), expected);
        }
    }
}
