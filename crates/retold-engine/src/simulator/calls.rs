//! The appends that the simulator makes: new ones, repetitions, conflicts, expectations that
//! hold and that do not, over a few streams.

use retold_core::{Append, Expected, Json, NewEvent, Position, StreamId, Text, Timestamp};
use uuid::Uuid;

use super::model::Model;
use crate::disk::sim::dice::Dice;

/// Few streams, so that appends meet.
const STREAMS: [(&str, &str); 5] = [
    ("Issue", "1"),
    ("Issue", "2"),
    ("Issue", "10"),
    ("Order", "018f4e1c-7a2b-7c3d-8e4f-5a6b7c8d9e0f"),
    ("$machine", "Issue"),
];

/// Words that events carry and filters ask for.
pub(super) const WORDS: [&str; 3] = ["a", "b", "c"];

/// Calls that may be made again.
const SENT_MAX: usize = 24;

/// Makes appends, and remembers some.
pub(super) struct Caller {
    streams: Vec<StreamId>,
    sent: Vec<Append>,
    /// Calls whose events are gone, the first one last: they are made again.
    gone: Vec<Append>,
}

impl Caller {
    pub(super) fn new() -> Caller {
        let stream = |(kind, id)| StreamId::new(kind, id).expect("the ids above are well formed");
        Caller {
            streams: STREAMS.map(stream).to_vec(),
            sent: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Makes the calls again that lie behind a position of a log whose older copy took its
    /// place. The log then often has the same lengths as it had, and another history.
    pub(super) fn send_again(&mut self, gone: &Model, behind: Position) {
        let events = (behind + 1..=gone.durable()).rev();
        let events = events.filter_map(|position| gone.event(position));
        self.gone = events
            .map(|event| Append::new(vec![event.clone().into_new()]).by_retold())
            .collect();
    }

    pub(super) fn stream(&self, dice: &mut Dice) -> StreamId {
        dice.pick(&self.streams).clone()
    }

    pub(super) fn event(&self, dice: &mut Dice) -> NewEvent {
        let stream = self.stream(dice);
        self.event_of(stream, dice)
    }

    fn event_of(&self, stream: StreamId, dice: &mut Dice) -> NewEvent {
        // Few lengths, so that segments of different histories often begin alike.
        let length = *dice.pick(&[1, 1, 1, 30, 30, 90, 700]);
        let payload = match length {
            1 => Json::parse("1"),
            _ => Json::parse(format!("\"{}\"", "x".repeat(length))),
        };
        let seconds = dice.below(12) as i64;
        let timestamp = Timestamp::from_micros(seconds * 1_000_000).unwrap_or(Timestamp::MIN);
        let word = |dice: &mut Dice| Text::from_static(dice.pick::<&str>(&WORDS));
        let mut event = NewEvent::from_json(
            stream,
            word(dice),
            payload.expect("the payloads above are JSON"),
        )
        .event_id(Uuid::from_u64_pair(dice.next(), dice.next()))
        .timestamp(timestamp)
        .correlation_id(word(dice));
        if dice.percent(30) {
            event = event.tag(word(dice));
        }
        event
    }

    /// An append: new, or one that was made before, as it was or changed.
    pub(super) fn append(&mut self, dice: &mut Dice, model: &Model) -> Append {
        if dice.percent(80)
            && let Some(append) = self.gone.pop()
        {
            return append;
        }
        if !self.sent.is_empty() && dice.percent(25) {
            return self.again(dice, model);
        }
        let count = *dice.pick(&[1, 1, 1, 2, 3]);
        let mut stream = self.stream(dice);
        let mut events = Vec::with_capacity(count);
        for _ in 0..count {
            events.push(self.event_of(stream.clone(), dice));
            if dice.percent(30) {
                stream = self.stream(dice);
            }
        }
        let append = self.with_expectations(Append::new(events).by_retold(), dice, model);
        if self.sent.len() == SENT_MAX {
            self.sent.swap_remove(dice.index(SENT_MAX));
        }
        self.sent.push(append.clone());
        append
    }

    fn again(&self, dice: &mut Dice, model: &Model) -> Append {
        let sent = dice.pick(&self.sent);
        let mut events = sent.events().to_vec();
        match dice.below(8) {
            // The very same call, as a caller repeats it whose answer was lost.
            0..4 => return sent.clone(),
            4 => events.reverse(),
            5 => events[0].event_type = Text::from_static("changed"),
            6 => events.push(self.event(dice)),
            _ => events.truncate(1),
        }
        self.with_expectations(Append::new(events).by_retold(), dice, model)
    }

    fn with_expectations(&self, mut append: Append, dice: &mut Dice, model: &Model) -> Append {
        for _ in 0..*dice.pick(&[0, 0, 1, 1, 2]) {
            let stream = match dice.flip() {
                true => append.events()[0].stream.clone(),
                false => self.stream(dice),
            };
            let head = model.newest_of(&stream);
            let expected = match dice.below(10) {
                0 => Expected::NoStream,
                1 => Expected::StreamExists,
                2 => Expected::Sequence(head + 1),
                3 => Expected::Any,
                _ => Expected::Sequence(head),
            };
            append = append.expect(stream, expected);
        }
        append
    }
}
