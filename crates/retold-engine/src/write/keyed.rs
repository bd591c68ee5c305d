//! An append with the keys of everything it names: made once, on its caller's side, and used from
//! the look-up to the index.

use retold_core::{
    Append, Condition, Error, Position, RecordedEvent, SequenceNumber, StreamId, Timestamp,
};
use smallvec::SmallVec;

use crate::fast_map::HashedMap;
use crate::few::Few;
use crate::index::{EventKeys, Keys, StreamKey};

/// Streams that are told apart by comparing each with all: a map costs more.
const FEW_STREAMS: usize = 8;

/// An append and its keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyedAppend {
    pub(crate) append: Append,
    /// The keys of each event.
    pub(crate) events: Few<EventKeys>,
    /// Every stream that is written or has a condition, once.
    pub(crate) streams: Few<StreamKey>,
    /// For each event, then for each condition, the place of its stream in `streams`.
    places: SmallVec<[u32; 2]>,
}

impl KeyedAppend {
    pub(crate) fn new(append: Append, keys: &Keys) -> KeyedAppend {
        let events = keys.of_all(append.events());
        let mut places = SmallVec::with_capacity(events.len() + append.conditions().len());
        let mut streams = Streams::default();
        for event in &events {
            places.push(streams.place(event.stream));
        }
        for condition in append.conditions() {
            let stream = conditioned(condition);
            // A condition is most often on the stream of an event, in the same order.
            let event = places.len() - events.len();
            let key = match append.events().get(event) {
                Some(written) if written.stream == *stream => events[event].stream,
                _ => keys.stream(stream),
            };
            places.push(streams.place(key));
        }
        KeyedAppend {
            append,
            events,
            streams: streams.keys,
            places,
        }
    }

    /// The name of a stream of the list.
    pub(crate) fn name(&self, place: usize) -> &StreamId {
        let first = self.places.iter().position(|at| *at as usize == place);
        let first = first.expect("each stream is that of an event or of a condition");
        match self.append.events().get(first) {
            Some(event) => &event.stream,
            None => conditioned(&self.append.conditions()[first - self.events.len()]),
        }
    }

    /// The events as they are recorded behind the heads of their streams, with their keys.
    pub(crate) fn record(
        self,
        mut heads: Few<SequenceNumber>,
        first: Position,
        date: Timestamp,
    ) -> (Vec<RecordedEvent>, Few<EventKeys>) {
        let events = self.append.into_events().into_iter();
        let places = events.zip(first..).zip(&self.places);
        let recorded = places.map(|((event, position), place)| {
            let head = &mut heads[*place as usize];
            *head += 1;
            event.record(*head, position, date)
        });
        (recorded.collect(), self.events)
    }

    /// Checks the conditions against the heads of all streams.
    pub(crate) fn check_conditions(&self, heads: &[SequenceNumber]) -> Result<(), Error> {
        let mut places = self.places[self.events.len()..].iter();
        self.append.check_conditions(|_| {
            let place = places.next().expect("each condition has a place");
            heads[*place as usize]
        })
    }
}

fn conditioned(condition: &Condition) -> &StreamId {
    match condition {
        Condition::Stream { stream, .. } => stream,
        _ => unreachable!("there are no other conditions"),
    }
}

/// Streams in the order in which they were met, each once.
#[derive(Default)]
struct Streams {
    keys: Few<StreamKey>,
    /// Filled once there are more than a few.
    places: HashedMap<StreamKey, u32>,
}

impl Streams {
    fn place(&mut self, key: StreamKey) -> u32 {
        let next = self.keys.len() as u32;
        if self.keys.len() < FEW_STREAMS {
            if let Some(place) = self.keys.iter().position(|known| *known == key) {
                return place as u32;
            }
        } else {
            if self.places.is_empty() {
                self.places.extend(self.keys.iter().copied().zip(0..));
            }
            let place = *self.places.entry(key).or_insert(next);
            if place < next {
                return place;
            }
        }
        self.keys.push(key);
        next
    }
}

#[cfg(test)]
mod tests {
    use retold_core::{Expected, Json, NewEvent};

    use super::*;

    #[test]
    fn every_stream_has_one_place_and_its_name() {
        let stream = |nth: usize| StreamId::new("Issue", nth.to_string()).unwrap();
        for streams in [1, 7, 8, 9, 40] {
            let event = |nth: usize| {
                NewEvent::from_json(stream(nth % streams), "issue.changed", Json::null())
            };
            let append = Append::new((0..80).map(event).collect());
            let conditions = (0..streams + 3).rev();
            let append = conditions.fold(append, |append, nth| {
                append.expect(stream(nth), Expected::Any)
            });
            let keys = Keys::new([1; 16]);
            let keyed = KeyedAppend::new(append, &keys);
            assert_eq!(keyed.streams.len(), streams + 3);
            for (place, key) in keyed.streams.iter().enumerate() {
                assert_eq!(keys.stream(keyed.name(place)), *key);
            }
            let heads = Few::from_elem(0, keyed.streams.len());
            let (recorded, event_keys) = keyed.record(heads, 1, Timestamp::MIN);
            for (nth, (event, of)) in recorded.iter().zip(event_keys).enumerate() {
                assert_eq!(event.sequence_number, (nth / streams) as u64 + 1);
                assert_eq!(keys.stream(&event.stream), of.stream);
            }
        }
    }
}
