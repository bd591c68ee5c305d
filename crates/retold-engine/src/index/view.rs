//! The index as it stands at one moment: a look-up asks its parts, the newest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::Guard;
use retold_core::{
    EventId, LogHead, Position, SequenceNumber, StreamHead, StreamId, StreamSummary, Timestamp,
};

use super::keys::{ShortHash, StreamKey, Term};
use super::part::{AskedId, AskedStream, BLOCK_POSITIONS, Block, Fault, Part, Reach, Span};
use super::run::{FilterKey, Held};
use super::set::Current;
use super::{Location, StreamInfo};
use crate::few::Few;
use crate::state::Facts;

/// Event ids that are looked up in one part after the other, so that all parts are told of them
/// first; more are told to each part by itself.
const FEW_IDS: usize = 4;

/// Which parts are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// All but the table that events are added to.
    Sealed,
}

/// What is known of streams of which an event is missing. Few, and kept in memory.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// The first sequence number that is missing.
    pub(crate) holes: BTreeMap<StreamId, SequenceNumber>,
    /// The positions of lost events whose stream is known.
    pub(crate) lost: BTreeMap<StreamId, BTreeMap<SequenceNumber, Position>>,
}

impl Losses {
    pub(crate) fn new(facts: &Facts) -> Losses {
        let mut losses = Losses {
            holes: facts.holes.clone(),
            lost: BTreeMap::new(),
        };
        for (position, lost) in &facts.lost {
            let (Some(stream), Some(sequence)) = (&lost.stream, lost.sequence_number) else {
                continue;
            };
            let hole = losses.holes.entry(stream.clone()).or_insert(sequence);
            *hole = sequence.min(*hole);
            let positions = losses.lost.entry(stream.clone()).or_default();
            positions.insert(sequence, *position);
        }
        losses
    }
}

/// The parts of the index at one moment. Nothing behind its head is answered.
pub(crate) struct View {
    pub(super) current: Guard<Arc<Current>>,
    pub(super) head: LogHead,
    pub(super) reach: Reach,
}

impl View {
    /// The newest position and the date of the newest event.
    pub(crate) fn head(&self) -> LogHead {
        self.head
    }

    /// The last position before the table that events are added to.
    pub(crate) fn sealed(&self) -> Position {
        self.current.sealed
    }

    /// The parts that are asked about what an append rests on, the newest first: without the
    /// table that events are added to where those are known from elsewhere.
    fn asked_parts(&self, scope: Scope) -> impl Iterator<Item = &Part> + Clone {
        let skipped = usize::from(scope == Scope::Sealed);
        self.current.parts.iter().rev().skip(skipped)
    }

    /// Where the record of a position lies; none where it is lost or past the head.
    pub(crate) fn location(&self, position: Position) -> Result<Option<Location>, Fault> {
        Ok(self.locations(&[position])?[0])
    }

    /// The same for many positions; neighbours are found together.
    pub(crate) fn locations(&self, positions: &[Position]) -> Result<Vec<Option<Location>>, Fault> {
        let mut locations = Vec::with_capacity(positions.len());
        let mut last: Option<(&Part, Position, Position)> = None;
        let mut held = Held::default();
        for position in positions {
            if *position > self.head.position {
                locations.push(None);
                continue;
            }
            let part = match last {
                Some((part, first, last)) if (first..=last).contains(position) => Some(part),
                _ => {
                    let part = self.part_of(*position);
                    held = part.map(Part::hold).unwrap_or_default();
                    last = part.map(|part| (part, part.first(), part.last()));
                    part
                }
            };
            let location = part.map(|part| part.location(*position, self.reach, &mut held));
            locations.push(location.transpose()?.flatten());
        }
        Ok(locations)
    }

    /// The same for all positions from one to another, none of which is past the head.
    pub(crate) fn stretch(
        &self,
        first: Position,
        last: Position,
    ) -> Result<Vec<Option<Location>>, Fault> {
        let mut locations = Vec::new();
        let mut next = first;
        while next <= last {
            let Some(part) = self.part_of(next) else {
                locations.push(None);
                next += 1;
                continue;
            };
            let end = part.last().min(last);
            part.locations(next, end, self.reach, &mut locations)?;
            // A table may begin behind positions that no part covers.
            next = end.max(next) + 1;
            locations.resize((next - first) as usize, None);
        }
        Ok(locations)
    }

    /// The positions at which an event id may stand: whoever reads the record knows.
    pub(crate) fn positions_of(&self, event_id: &EventId) -> Result<Vec<Position>, Fault> {
        let asked = [(*event_id, self.current.keys.event(event_id))];
        let found = self.positions_of_all(asked.into_iter(), Scope::All)?;
        Ok(found.into_iter().map(|(_, position)| position).collect())
    }

    /// The same for many event ids, each with its hash: places in their order, with positions.
    pub(crate) fn positions_of_all(
        &self,
        ids: impl Iterator<Item = (EventId, ShortHash)>,
        scope: Scope,
    ) -> Result<Vec<(usize, Position)>, Fault> {
        let asked = ids.enumerate().map(|(place, (event_id, hash))| AskedId {
            key: FilterKey::new(hash),
            event_id,
            place,
        });
        let mut asked: Few<AskedId> = asked.collect();
        asked.sort_unstable();
        let parts = self.asked_parts(scope);
        if asked.len() <= FEW_IDS {
            parts.clone().for_each(|part| part.touch_ids(&asked));
        }
        let mut found = Vec::new();
        for part in parts {
            part.find_ids(&asked, self.head.position, self.reach, &mut found)?;
        }
        Ok(found)
    }

    /// What is known of a stream.
    pub(crate) fn stream(&self, stream: &StreamId) -> Result<Option<StreamInfo>, Fault> {
        let head = self.kept_head(stream)?;
        Ok(self.with_losses(stream, head))
    }

    /// What is known of a stream, whose newest event that is not lost is known.
    fn with_losses(&self, stream: &StreamId, mut head: Option<StreamHead>) -> Option<StreamInfo> {
        let lost = self.current.losses.lost.get(stream);
        if let Some((sequence, position)) = lost.and_then(BTreeMap::last_key_value)
            && head.is_none_or(|head| head.sequence_number < *sequence)
        {
            head = Some(StreamHead {
                sequence_number: *sequence,
                position: *position,
            });
        }
        head.map(|head| StreamInfo {
            head,
            hole: self.current.losses.holes.get(stream).copied(),
        })
    }

    /// Whether no stream is known to miss an event.
    pub(crate) fn has_no_losses(&self) -> bool {
        self.current.losses.lost.is_empty() && self.current.losses.holes.is_empty()
    }

    /// The first sequence number of a stream whose event is missing, if one is.
    pub(crate) fn hole(&self, stream: &StreamId) -> Option<SequenceNumber> {
        self.current.losses.holes.get(stream).copied()
    }

    /// The newest sequence number of a stream whose event is lost; zero where none is.
    pub(crate) fn lost_head(&self, stream: &StreamId) -> SequenceNumber {
        let lost = self.current.losses.lost.get(stream);
        let newest = lost.and_then(BTreeMap::last_key_value);
        newest.map_or(0, |(sequence, _)| *sequence)
    }

    /// The newest event of a stream that is not lost.
    pub(crate) fn kept_head(&self, stream: &StreamId) -> Result<Option<StreamHead>, Fault> {
        let asked = [self.current.keys.stream(stream)];
        Ok(self.kept_heads(&asked, Scope::All)?[0])
    }

    /// The sequence numbers of the newest events of many streams, by their keys; zero for none.
    /// They hold at least as far as the view does.
    pub(crate) fn newest(
        &self,
        streams: &[StreamKey],
        scope: Scope,
    ) -> Result<Few<SequenceNumber>, Fault> {
        let known = streams.iter().map(|key| self.current.newest.head(*key));
        let known: Few<Option<SequenceNumber>> = known.collect();
        let unknown = streams
            .iter()
            .zip(&known)
            .filter(|(_, head)| head.is_none());
        let asked: Few<StreamKey> = unknown.map(|(key, _)| *key).collect();
        let mut found = self.kept_heads(&asked, scope)?.into_iter();
        let mut asked = || {
            found
                .next()
                .flatten()
                .map_or(0, |head| head.sequence_number)
        };
        Ok(known
            .into_iter()
            .map(|head| head.unwrap_or_else(&mut asked))
            .collect())
    }

    /// The newest events of many streams, by their keys.
    fn kept_heads(
        &self,
        streams: &[StreamKey],
        scope: Scope,
    ) -> Result<Few<Option<StreamHead>>, Fault> {
        let mut heads = Few::from_elem(None, streams.len());
        let asked = streams.iter().enumerate();
        let asked = asked.map(|(place, key)| AskedStream { key: *key, place });
        let mut asked: Few<AskedStream> = asked.collect();
        asked.sort_unstable();
        for part in self.asked_parts(scope) {
            if asked.is_empty() {
                break;
            }
            part.find_heads(&mut asked, self.head.position, self.reach, &mut heads)?;
        }
        Ok(heads)
    }

    /// The position of each event of a stream in a range of sequence numbers, from the lowest;
    /// none for one that is missing.
    pub(crate) fn stream_positions(
        &self,
        stream: &StreamId,
        from: SequenceNumber,
        to: SequenceNumber,
    ) -> Result<Vec<(SequenceNumber, Option<Position>)>, Fault> {
        let key = self.current.keys.stream(stream);
        let from = from.max(1);
        let last = self.stream(stream)?;
        let to = to.min(last.map_or(0, |info| info.head.sequence_number));
        let mut listed: Vec<_> = (from..=to).map(|sequence| (sequence, None)).collect();
        for part in self.current.parts.iter().rev() {
            let Some(span) = part.span(key, self.head.position, self.reach)? else {
                continue;
            };
            let (first, last) = (from.max(span.first_sequence), to.min(span.last_sequence()));
            if first <= last {
                let skip = (first - span.first_sequence) as u32;
                let count = (last - first + 1) as u32;
                let found = part.stream_positions(key, &span, skip, count, self.reach)?;
                let places = &mut listed[(first - from) as usize..];
                for ((_, place), found) in places.iter_mut().zip(found) {
                    *place = place.or(found);
                }
            }
            if span.first_sequence <= from {
                break;
            }
        }
        if let Some(lost) = self.current.losses.lost.get(stream) {
            for (sequence, place) in &mut listed {
                *place = place.or(lost.get(sequence).copied());
            }
        }
        Ok(listed)
    }

    /// How many events of a stream stand at or before a position. A missing event has no
    /// position: it counts to what comes after it.
    pub(crate) fn sequence_at(
        &self,
        stream: &StreamId,
        position: Position,
    ) -> Result<SequenceNumber, Fault> {
        let key = self.current.keys.stream(stream);
        let position = position.min(self.head.position);
        let lost = self.current.losses.lost.get(stream).into_iter().flatten();
        let lost = lost.filter(|(_, at)| **at <= position);
        let lost = lost.map(|(sequence, _)| *sequence).max().unwrap_or(0);
        for part in self.current.parts.iter().rev() {
            if part.first() > position {
                continue;
            }
            let Some(span) = part.span(key, self.head.position, self.reach)? else {
                continue;
            };
            let count = part.count_through(key, &span, position, self.reach)?;
            if count > 0 {
                let counted = Span { count, ..span };
                return Ok(lost.max(counted.last_sequence()));
            }
        }
        Ok(lost)
    }

    /// The first positions after `after`, at most `limit`, of events that may carry a term.
    pub(crate) fn postings(
        &self,
        term: Term<'_>,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Position>, Fault> {
        let hash = self.current.keys.term(term);
        let mut positions = Vec::new();
        for part in self.current.parts.iter() {
            if positions.len() >= limit {
                break;
            }
            if part.last() <= after {
                continue;
            }
            let (through, left) = (self.head.position, limit - positions.len());
            positions.extend(part.postings(hash, after, through, left, self.reach)?);
        }
        Ok(positions)
    }

    /// Whether any event in the block of this position may be dated in a range, and the last
    /// position of which that holds.
    pub(crate) fn block(
        &self,
        position: Position,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<(bool, Position), Fault> {
        let may_match = |earliest, latest| {
            from.is_none_or(|from| latest >= from) && to.is_none_or(|to| earliest <= to)
        };
        let last = (Block::number(position) + 1) * BLOCK_POSITIONS;
        let Some(part) = self.part_of(position) else {
            return Ok((true, last));
        };
        if let Part::Run(run, _) = part {
            let (earliest, latest) = run.header.timestamps;
            if !may_match(earliest, latest) {
                return Ok((false, run.last()));
            }
        }
        let block = part.block(position, self.reach)?;
        let last = last.min(part.last().max(position));
        Ok((may_match(block.earliest, block.latest), last))
    }

    /// A stream and its newest event, for listings.
    pub(super) fn summary(&self, stream: StreamId) -> Result<Option<StreamSummary>, Fault> {
        let info = self.stream(&stream)?;
        Ok(info.map(|info| StreamSummary {
            stream,
            head: info.head,
        }))
    }

    fn part_of(&self, position: Position) -> Option<&Part> {
        let mut parts = self.current.parts.iter().rev();
        parts.find(|part| part.first() <= position)
    }
}
