//! What the log must hold and answer: a vector of events and two maps, with no disk, no
//! frames and no recovery. Events in flight stand behind the durable ones until they are
//! durable, or taken back.

use std::collections::{BTreeMap, HashMap, HashSet};

use retold_core::{
    Append, Condition, Entry, Error, EventId, Identity, Lost, NewEvent, Position, RecordedEvent,
    SequenceNumber, StreamConflict, StreamHead, StreamId, Timestamp,
};

/// Stands for a date that is not known yet.
const UNDATED: Timestamp = Timestamp::MIN;

#[derive(Clone, Default)]
pub(super) struct Model {
    entries: Vec<Entry>,
    /// Everything up to here was acknowledged, or seen by somebody.
    durable: Position,
    ids: HashMap<EventId, Position>,
    lost_ids: HashSet<EventId>,
    streams: BTreeMap<StreamId, Stream>,
}

/// The positions of a stream's events; 0 for one that is missing.
#[derive(Clone, Default)]
pub(super) struct Stream {
    positions: Vec<Position>,
    is_damaged: bool,
}

/// How an append is to be answered.
pub(super) enum Verdict {
    Repeated(Vec<RecordedEvent>),
    IdentityConflict,
    Corrupt,
    Conflict {
        conflicts: Vec<StreamConflict>,
        rests_on: Position,
    },
    /// An id is in flight: to be looked at again once this position is durable.
    Known {
        at: Position,
    },
    New(Vec<RecordedEvent>),
}

impl Model {
    pub(super) fn durable(&self) -> Position {
        self.durable
    }

    pub(super) fn encoded(&self) -> Position {
        self.entries.len() as Position
    }

    /// What is durable.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries[..self.durable as usize]
    }

    pub(super) fn event(&self, position: Position) -> Option<&RecordedEvent> {
        let at = usize::try_from(position.checked_sub(1)?).ok()?;
        match self.entries.get(at)? {
            Entry::Event(event) => Some(event),
            _ => None,
        }
    }

    /// The durable position of an id.
    pub(super) fn position_of(&self, event_id: EventId) -> Option<Position> {
        let position = self.ids.get(&event_id).copied();
        position.filter(|position| *position <= self.durable)
    }

    pub(super) fn has_lost(&self, event_id: EventId) -> bool {
        self.lost_ids.contains(&event_id)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lost_ids.is_empty()
            && self
                .entries
                .iter()
                .all(|entry| matches!(entry, Entry::Event(_)))
            && self.streams.values().all(|stream| !stream.is_damaged)
    }

    pub(super) fn is_damaged(&self, stream: &StreamId) -> bool {
        let stream = self.streams.get(stream);
        stream.is_some_and(|stream| stream.is_damaged)
    }

    /// The streams that have a durable event, with their durable heads.
    pub(super) fn heads(&self) -> impl Iterator<Item = (&StreamId, StreamHead)> {
        let head = |(stream, kept): (_, &Stream)| Some((stream, kept.head(self.durable)?));
        self.streams.iter().filter_map(head)
    }

    pub(super) fn head_of(&self, stream: &StreamId) -> Option<StreamHead> {
        self.streams.get(stream)?.head(self.durable)
    }

    /// The sequence number of a stream's newest event, also of one that is in flight.
    pub(super) fn newest_of(&self, stream: &StreamId) -> SequenceNumber {
        self.newest(stream).0
    }

    fn newest(&self, stream: &StreamId) -> (SequenceNumber, Position) {
        let positions = self.streams.get(stream).map(|stream| &stream.positions[..]);
        let positions = positions.unwrap_or_default();
        (
            positions.len() as SequenceNumber,
            positions.last().copied().unwrap_or(0),
        )
    }

    /// What a store must make of an append: first by what is durable, then by what is in flight.
    pub(super) fn judge(&self, append: &Append) -> Verdict {
        match self.look_up(append) {
            Some(verdict) => verdict,
            None => self.judge_in_flight(append),
        }
    }

    /// What is decided by durable events alone; none where that is not enough.
    pub(super) fn look_up(&self, append: &Append) -> Option<Verdict> {
        let events = append.events();
        if events
            .iter()
            .any(|event| self.has_lost(event.metadata.event_id))
        {
            return Some(Verdict::Corrupt);
        }
        let kept = |event: &NewEvent| self.event(self.position_of(event.metadata.event_id)?);
        let recorded: Vec<_> = events.iter().map(|event| kept(event).cloned()).collect();
        match append.identify(&recorded) {
            Err(_) => Some(Verdict::IdentityConflict),
            Ok(Identity::Repeated) => {
                Some(Verdict::Repeated(recorded.into_iter().flatten().collect()))
            }
            Ok(Identity::New) => {
                let is_damaged = streams_of(append).any(|stream| self.is_damaged(stream));
                is_damaged.then_some(Verdict::Corrupt)
            }
        }
    }

    fn judge_in_flight(&self, append: &Append) -> Verdict {
        let known = append.events().iter();
        let known = known.filter_map(|event| self.ids.get(&event.metadata.event_id));
        if let Some(at) = known.max() {
            return Verdict::Known { at: *at };
        }
        if let Err(Error::Conflict { conflicts, .. }) =
            append.check_conditions(|stream| self.newest(stream).0)
        {
            let newest = streams_of(append).map(|stream| self.newest(stream).1);
            return Verdict::Conflict {
                conflicts,
                rests_on: newest.filter(|at| *at > self.durable).max().unwrap_or(0),
            };
        }
        let mut heads: HashMap<&StreamId, SequenceNumber> = HashMap::new();
        let events = append.events().iter().zip(self.encoded() + 1..);
        let record = |(event, position): (&'_ NewEvent, Position)| (event.clone(), position);
        let mut recorded = Vec::new();
        for (event, position) in events {
            let head = heads
                .entry(&event.stream)
                .or_insert_with(|| self.newest(&event.stream).0);
            *head += 1;
            let (event, position) = record((event, position));
            recorded.push(event.record(*head, position, UNDATED));
        }
        Verdict::New(recorded)
    }

    /// Takes in an event behind all others.
    pub(super) fn push(&mut self, event: RecordedEvent) {
        assert_eq!(event.position, self.encoded() + 1, "the model has no holes");
        self.ids.insert(event.metadata.event_id, event.position);
        let stream = self.streams.entry(event.stream.clone()).or_default();
        stream.put(event.sequence_number, event.position);
        self.entries.push(Entry::Event(event));
    }

    /// Everything up to a position is durable from now on.
    pub(super) fn settle(&mut self, head: Position) {
        self.durable = self.durable.max(head);
    }

    /// Takes back everything behind a position, and hands it out.
    pub(super) fn take_behind(&mut self, position: Position) -> Vec<RecordedEvent> {
        let taken = self.entries.split_off(position as usize);
        self.durable = self.durable.min(position);
        let taken: Vec<_> = taken
            .into_iter()
            .filter_map(|entry| entry.into_event().ok())
            .collect();
        for event in &taken {
            self.ids.remove(&event.metadata.event_id);
            if let Some(stream) = self.streams.get_mut(&event.stream) {
                let kept = stream.positions.partition_point(|at| *at <= position);
                stream.positions.truncate(kept);
            }
        }
        taken
    }

    /// Notes when an event was recorded, once that is known.
    pub(super) fn date(&mut self, position: Position, date: Timestamp) {
        if let Some(Entry::Event(event)) = self.entries.get_mut(position as usize - 1)
            && event.persisted_at == UNDATED
        {
            event.persisted_at = date;
        }
    }

    /// The model of a log that holds these entries, all of them durable.
    pub(super) fn of(entries: Vec<Entry>) -> Model {
        let mut model = Model {
            durable: entries.len() as Position,
            ..Model::default()
        };
        for entry in &entries {
            if let Entry::Event(event) = entry {
                model.ids.insert(event.metadata.event_id, event.position);
                let stream = model.streams.entry(event.stream.clone()).or_default();
                stream.put(event.sequence_number, event.position);
            }
        }
        for entry in &entries {
            let Entry::Lost(lost) = entry else { continue };
            model.lost_ids.extend(lost.event_id);
            if let (Some(stream), Some(sequence)) = (&lost.stream, lost.sequence_number) {
                let stream = model.streams.entry(stream.clone()).or_default();
                stream.lose(sequence, lost.position);
            }
        }
        model.entries = entries;
        model
    }
}

impl Stream {
    fn put(&mut self, sequence: SequenceNumber, position: Position) {
        let missing = sequence as usize - 1;
        self.is_damaged |= missing != self.positions.len();
        if missing < self.positions.len() {
            return;
        }
        self.positions.resize(missing, 0);
        self.positions.push(position);
    }

    fn lose(&mut self, sequence: SequenceNumber, position: Position) {
        let at = sequence as usize - 1;
        match self.positions.get_mut(at) {
            Some(kept) if *kept == 0 => *kept = position,
            Some(_) => return,
            None => self.put(sequence, position),
        }
        self.is_damaged = true;
    }

    fn head(&self, durable: Position) -> Option<StreamHead> {
        let count = self.positions.partition_point(|at| *at <= durable);
        let position = *self.positions[..count].last()?;
        Some(StreamHead {
            sequence_number: count as SequenceNumber,
            position,
        })
    }
}

/// Whether an event that was read is the one that is kept; a date that is not known yet fits. Of a
/// lost event less may be told than before, with the decision that told it, but nothing else.
pub(super) fn is_same(found: &Entry, kept: &Entry) -> bool {
    match (found, kept) {
        (Entry::Event(found), Entry::Event(kept)) if kept.persisted_at == UNDATED => {
            let mut kept = kept.clone();
            kept.persisted_at = found.persisted_at;
            *found == kept
        }
        (Entry::Lost(found), Entry::Lost(kept)) => {
            let says_nothing = Lost {
                stream: None,
                sequence_number: None,
                event_id: None,
                ..kept.clone()
            };
            found == kept || *found == says_nothing
        }
        _ => found == kept,
    }
}

/// The streams that an append writes or has conditions on.
fn streams_of(append: &Append) -> impl Iterator<Item = &StreamId> {
    let conditions = append.conditions().iter();
    let conditions = conditions.filter_map(|condition| match condition {
        Condition::Stream { stream, .. } => Some(stream),
        _ => None,
    });
    append
        .events()
        .iter()
        .map(|event| &event.stream)
        .chain(conditions)
}
