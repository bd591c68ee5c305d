//! What a bulk append reads: the lines that are at hand, by their streams.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use axum::body::Body;
use bytes::Bytes;
use foldhash::fast::RandomState;
use retold::{EventId, Expected, NewEvent, StreamId};

use crate::api::answer::Problem;
use crate::api::limits::{BULK_BYTES_AT_ONCE, BULK_LINES_AT_ONCE, SMALL_BODY_BYTES_MAX};
use crate::api::request::{EventFields, Fields, Line, Lines, Trace, new_event, text};

/// A line that is an event.
pub(super) struct Parsed {
    /// Its place among the lines that were gathered with it.
    pub(super) at: usize,
    /// The line, for a second attempt. Memory of its own: a line that waits must not keep all of
    /// what was read with it.
    text: Box<[u8]>,
    pub(super) expected: Expected,
    pub(super) event_id: EventId,
    /// None once it was handed to the log.
    event: Option<NewEvent>,
}

impl Parsed {
    fn new(at: usize, text: &[u8], trace: &Trace) -> Result<Parsed, Problem> {
        let (event, expected) = parse(text, trace)?;
        Ok(Parsed {
            at,
            text: text.into(),
            expected,
            event_id: event.metadata.event_id,
            event: Some(event),
        })
    }

    /// The event, for an attempt to append it. A second attempt is rare: the line is parsed again
    /// then, which costs less than a copy for every attempt.
    pub(super) fn take_event(&mut self, trace: &Trace) -> Result<NewEvent, Problem> {
        if let Some(event) = self.event.take() {
            return Ok(event);
        }
        let (event, _) = parse(&self.text, trace)?;
        self.event_id = event.metadata.event_id;
        Ok(event)
    }
}

/// The event of a line, and what it expects of its stream.
fn parse(line: &[u8], trace: &Trace) -> Result<(NewEvent, Expected), Problem> {
    let mut fields = Fields::of_body(text(line)?)?;
    let expected = fields.expected()?.unwrap_or(Expected::Any);
    let event = new_event(&mut fields, None, trace)?;
    fields.finish()?;
    Ok((event, expected))
}

/// Lines that were gathered.
#[derive(Default)]
pub(super) struct Gathered {
    /// The number of each line in the body.
    pub(super) numbers: Vec<u64>,
    /// Lines that are no events, by their places.
    pub(super) refused: Vec<(usize, Problem)>,
    /// Those of each stream, in their order.
    pub(super) chains: Vec<Vec<Parsed>>,
    /// By the hashes of the streams' names.
    chain_of_stream: HashMap<u64, usize, RandomState>,
    /// Filled once there are several chains.
    chain_of_id: HashMap<EventId, usize, RandomState>,
    /// The chain of the last line that is an event.
    last_chain: usize,
    bytes: usize,
}

impl Gathered {
    /// Adds an event to the chain of its stream; false where it has to wait for what was gathered
    /// before.
    fn add(&mut self, parsed: Parsed) -> bool {
        let event = parsed.event.as_ref();
        let Some(chain) = event.and_then(|event| self.chain_of(&event.stream)) else {
            return false;
        };
        // Streams are appended side by side; the same id in two of them must be judged in the
        // order of the lines.
        if self.chain_of_id(parsed.event_id, chain) != chain {
            return false;
        }
        if chain == self.chains.len() {
            self.chains.push(Vec::new());
        }
        self.chains[chain].push(parsed);
        self.last_chain = chain;
        true
    }

    /// The chain of a stream, which may be one that is yet to be begun; none where another stream
    /// has the same hash.
    fn chain_of(&mut self, stream: &StreamId) -> Option<usize> {
        let is_of = |chain: &Vec<Parsed>| {
            let event = chain[0].event.as_ref();
            event.is_some_and(|event| event.stream == *stream)
        };
        // Neighbours are often of one stream.
        if self.chains.get(self.last_chain).is_some_and(is_of) {
            return Some(self.last_chain);
        }
        let unused = self.chains.len();
        let hash = self.chain_of_stream.hasher().hash_one(stream);
        let chain = *self.chain_of_stream.entry(hash).or_insert(unused);
        self.chains.get(chain).is_none_or(is_of).then_some(chain)
    }

    /// The chain that an id stands in; the one given where it is met for the first time.
    fn chain_of_id(&mut self, id: EventId, chain: usize) -> usize {
        if chain == 0 && self.chains.len() <= 1 {
            return chain;
        }
        if self.chain_of_id.is_empty() {
            let ids = self.chains[0].iter();
            self.chain_of_id.extend(ids.map(|line| (line.event_id, 0)));
        }
        *self.chain_of_id.entry(id).or_insert(chain)
    }
}

/// Gathers lines.
pub(super) struct Gatherer {
    trace: Trace,
    lines: Lines,
    gathered: Gathered,
    /// A line that must wait for those before it.
    put_back: Option<Line>,
    /// How the body ended.
    ended: Option<Result<(), Problem>>,
}

impl Gatherer {
    pub(super) fn new(trace: Trace, body: Body) -> Gatherer {
        Gatherer {
            trace,
            lines: Lines::new(body),
            gathered: Gathered::default(),
            put_back: None,
            ended: None,
        }
    }

    /// Whether nothing can be added to what was gathered.
    pub(super) fn is_full(&self) -> bool {
        let Gathered { numbers, bytes, .. } = &self.gathered;
        self.put_back.is_some()
            || self.ended.is_some()
            || numbers.len() >= BULK_LINES_AT_ONCE
            || *bytes >= BULK_BYTES_AT_ONCE
    }

    /// Waits for a line, and gathers it and all that are at hand behind it. Nothing is lost where
    /// this is dropped while it waits.
    pub(super) async fn gather(&mut self) {
        let mut next = match self.lines.next().await {
            Ok(Some(line)) => Some(line),
            ended => {
                self.ended = Some(ended.map(drop));
                return;
            }
        };
        while let Some(line) = next {
            self.add(line);
            next = match self.is_full() {
                true => None,
                false => self.lines.next_at_hand(),
            };
        }
    }

    /// What was gathered; none where nothing was.
    pub(super) fn take(&mut self) -> Option<Gathered> {
        if self.gathered.numbers.is_empty() {
            return None;
        }
        let gathered = std::mem::take(&mut self.gathered);
        if let Some(line) = self.put_back.take() {
            self.add(line);
        }
        Some(gathered)
    }

    /// How the body ended.
    pub(super) fn end(&mut self) -> Result<(), Problem> {
        self.ended.take().unwrap_or(Ok(()))
    }

    fn add(&mut self, line: Line) {
        let parsed = self.parse(&line);
        let gathered = &mut self.gathered;
        match parsed {
            Ok(parsed) => {
                if !gathered.add(parsed) {
                    self.put_back = Some(line);
                    return;
                }
            }
            Err(problem) => gathered.refused.push((gathered.numbers.len(), problem)),
        }
        gathered.numbers.push(line.number);
        gathered.bytes += line.text.as_ref().map_or(0, Bytes::len);
    }

    fn parse(&self, line: &Line) -> Result<Parsed, Problem> {
        let text = line.text.as_ref();
        let text = text.ok_or_else(|| Problem::too_large("body", SMALL_BODY_BYTES_MAX))?;
        Parsed::new(self.gathered.numbers.len(), text, &self.trace)
    }
}
