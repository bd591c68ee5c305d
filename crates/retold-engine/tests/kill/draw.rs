//! What is drawn from a seed: event ids, and the events that follow from them.

use retold_core::{EventId, Json, NewEvent, StreamId, Timestamp};
use uuid::Uuid;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// An event id whose last byte names the stream.
    pub(crate) fn id(&mut self, stream: u64) -> EventId {
        Uuid::from_u64_pair(self.next(), self.next() & !0xff | stream)
    }
}

pub(crate) fn stream(number: u64) -> StreamId {
    StreamId::new("Account", number.to_string()).unwrap()
}

/// All of an event follows from its id, so that both processes know what it must be.
pub(crate) fn event(id: EventId) -> NewEvent {
    let (_, bits) = id.as_u64_pair();
    let scale = if (bits >> 16) % 64 == 0 { 64 } else { 1 };
    let filler = "x".repeat(((bits >> 8) % 256 * scale) as usize);
    let payload = Json::parse(format!(r#"{{"id":"{id}","filler":"{filler}"}}"#)).unwrap();
    NewEvent::from_json(stream(bits & 0xff), "account.changed", payload)
        .event_id(id)
        .timestamp(Timestamp::from_micros((bits >> 16) as i64).unwrap())
        .correlation_id(format!("request-{}", bits >> 60))
}
