//! Pages of a stream and of the log, from what is visible.

use retold_core::{
    Direction, Entry, Error, EventId, Filter, LogPage, LogQuery, Position, RecordedEvent,
    SequenceNumber, StreamHead, StreamId, StreamPage, StreamQuery, limits,
};

use crate::index::{Fault, Term, View};
use crate::planted::{self, Bug};
use crate::probe::{self, Probe};
use crate::state::damaged_stream;
use crate::visible::{Budget, Visible};

/// Records looked at between two looks at the clock.
const STEP_RECORDS: usize = 256;

/// Entries that a page has room for from the start.
const ENTRIES_AT_ONCE: usize = 10_000;

impl Visible {
    /// One event by its id.
    pub(crate) fn read_event(&self, event_id: EventId) -> Result<Option<RecordedEvent>, Error> {
        let candidates = self.ask(|view| view.positions_of(&event_id))?;
        if let Some(event) = self.event_of(event_id, &candidates)? {
            return Ok(Some(event));
        }
        match self.lost_position(&event_id) {
            Some(position) => Err(self.unreadable(position)),
            None => Ok(None),
        }
    }

    /// A page of a stream.
    pub(crate) fn read_stream(&self, query: &StreamQuery) -> Result<StreamPage, Error> {
        let mut step = Step::default();
        let mut page = self.stream_page(query, &mut step)?;
        step.next(&mut page.entries);
        Ok(page)
    }

    fn stream_page(&self, query: &StreamQuery, step: &mut Step) -> Result<StreamPage, Error> {
        query.check()?;
        let (log_head, head, from, mut to) = self.ask(|view| stream_range(view, query))?;
        let most = usize::try_from((to + 1).saturating_sub(from)).unwrap_or(usize::MAX);
        let mut page = StreamPage {
            entries: Vec::with_capacity(most.min(query.limit).min(ENTRIES_AT_ONCE)),
            next: None,
            complete_through: log_head.min(query.through_position),
            head,
        };
        if query.direction == Direction::Backward {
            page.complete_through = log_head;
        }
        let mut budget = Budget::new(self.clock());
        let mut from = from;
        let mut examined = query.after_position;
        while from <= to {
            // A page that is half full needs half the steps; matching events may be rare.
            let wanted = (query.limit - page.entries.len()).clamp(1, STEP_RECORDS) as u64;
            let (first, last) = match query.direction {
                Direction::Forward => (from, to.min(from + wanted - 1)),
                Direction::Backward => (from.max(to.saturating_sub(wanted - 1)), to),
            };
            let listed = |view: &View| view.stream_positions(&query.stream, first, last);
            let mut sequences = self.ask(listed)?;
            if query.direction == Direction::Backward {
                sequences.reverse();
            }
            let positions = sequences.iter().filter_map(|(_, position)| *position);
            let positions: Vec<Position> = positions.collect();
            step.next(&mut page.entries);
            let mut events = self.events(&positions);
            for (sequence, position) in sequences {
                let event = match position {
                    Some(_) => events.next().expect("one answer for each position"),
                    None => Err(damaged_stream(&query.stream, sequence)),
                };
                let lost = |position: Option<Position>| self.lost().get(&position?).cloned();
                let entry = match event {
                    Ok(event) => Entry::Event(event),
                    Err(error) => match lost(position) {
                        Some(lost) => Entry::Lost(lost),
                        // What was read so far is answered; the next page meets the damage.
                        None if !page.entries.is_empty() => {
                            return Ok(stopped(page, query, sequence, examined));
                        }
                        None => return Err(of_stream(error, &query.stream)),
                    },
                };
                budget.look();
                step.records += 1;
                let is_wanted = match &entry {
                    Entry::Event(event) => query.admits(event),
                    Entry::Lost(_) => true,
                };
                if is_wanted && !budget.keep(&entry) {
                    return Ok(stopped(page, query, sequence, examined));
                }
                examined = entry.position();
                if is_wanted {
                    page.entries.push(entry);
                }
                let is_last = match query.direction {
                    Direction::Forward => sequence >= to,
                    Direction::Backward => sequence <= from,
                };
                if !is_last && (page.entries.len() >= query.limit || budget.is_spent()) {
                    let next = match query.direction {
                        Direction::Forward => sequence + 1,
                        Direction::Backward => sequence - 1,
                    };
                    return Ok(stopped(page, query, next, examined));
                }
            }
            match query.direction {
                Direction::Forward => from = last + 1,
                Direction::Backward => to = first - 1,
            }
        }
        Ok(page)
    }

    /// A page of the log.
    pub(crate) fn read_log(&self, query: &LogQuery) -> Result<LogPage, Error> {
        let mut step = Step::default();
        let mut page = self.log_page(query, &mut step)?;
        step.next(&mut page.entries);
        Ok(page)
    }

    fn log_page(&self, query: &LogQuery, step: &mut Step) -> Result<LogPage, Error> {
        let head = self.head().position;
        query.check(head)?;
        let end = query.through.min(head).max(query.after);
        let mut budget = Budget::new(self.clock());
        let most = usize::try_from(end - query.after).unwrap_or(usize::MAX);
        let room = match query.filter == Filter::default() {
            true => most.min(query.limit).min(ENTRIES_AT_ONCE),
            false => 0,
        };
        let mut page = LogPage {
            entries: Vec::with_capacity(room),
            next: None,
            complete_through: query.after,
        };
        while page.complete_through < end {
            let room = (query.limit - page.entries.len()).clamp(1, STEP_RECORDS);
            let (positions, complete) =
                self.candidates(&query.filter, page.complete_through, end, room)?;
            step.next(&mut page.entries);
            let events = self.events(&positions);
            for (position, event) in positions.into_iter().zip(events) {
                let entry = match event {
                    Ok(event) => Some(event)
                        .filter(|event| query.filter.admits(event))
                        .map(Entry::Event),
                    Err(error) => match self.lost().get(&position) {
                        Some(_) if planted::is(Bug::LostSkipped) => None,
                        Some(lost) => {
                            probe::hit(Probe::LostDelivered);
                            Some(Entry::Lost(lost.clone()))
                        }
                        None if position - 1 > query.after => {
                            // What was read so far is answered; the next page meets the damage.
                            page.complete_through = position - 1;
                            page.next = Some(position - 1);
                            return Ok(page);
                        }
                        None => return Err(error),
                    },
                };
                budget.look();
                step.records += 1;
                if entry.as_ref().is_some_and(|entry| !budget.keep(entry)) {
                    page.next = Some(page.complete_through);
                    return Ok(page);
                }
                page.entries.extend(entry);
                page.complete_through = position;
                let is_full = page.entries.len() >= query.limit || budget.is_spent();
                if is_full && position < end {
                    page.next = Some(position);
                    return Ok(page);
                }
            }
            page.complete_through = complete;
            budget.look_at_clock();
            if budget.is_spent() && complete < end {
                page.next = Some(complete);
                return Ok(page);
            }
        }
        Ok(page)
    }

    /// The next positions behind `after` whose events may be asked for, at most about `room`,
    /// and the position through which that is all of them. Lost events are always among them:
    /// what they were is not known.
    fn candidates(
        &self,
        filter: &Filter,
        after: Position,
        end: Position,
        room: usize,
    ) -> Result<(Vec<Position>, Position), Error> {
        let terms = terms(filter);
        let (mut positions, mut complete) = self.ask(|view| match &terms {
            Some(terms) => indexed(view, terms, after, end, room),
            None => scanned(view, filter, after, end, room),
        })?;
        let missing = self.missing();
        let behind = missing.partition_point(|(_, last)| *last <= after);
        let runs = missing[behind..].iter();
        let all = runs.flat_map(|(first, last)| (*first).max(after + 1)..=*last);
        let lost: Vec<Position> = all
            .take_while(|position| *position <= complete)
            .take(room)
            .collect();
        if lost.len() == room
            && let Some(last) = lost.last()
        {
            complete = *last;
            positions.retain(|position| *position <= complete);
        }
        positions.extend(lost);
        positions.sort_unstable();
        positions.dedup();
        Ok((positions, complete))
    }
}

/// Records that are fetched together: each event that is kept of them keeps the memory of all.
#[derive(Default)]
struct Step {
    /// Where in the page the entries of the step begin.
    from: usize,
    /// Records that were looked at.
    records: usize,
}

impl Step {
    /// Goes on to the next step. Where little was kept of this one, it gets memory of its own: a
    /// filter may let one event of a step through, and a page counts no more than that.
    fn next(&mut self, entries: &mut [Entry]) {
        let kept = &mut entries[self.from..];
        if kept.len() * 2 < self.records {
            for entry in kept {
                if let Entry::Event(event) = entry {
                    *event = event.detached();
                }
            }
        }
        *self = Step {
            from: entries.len(),
            records: 0,
        };
    }
}

/// The terms by which a filter can be looked up; each position has at least one of them.
fn terms(filter: &Filter) -> Option<Vec<Term<'_>>> {
    if let Some(correlation_id) = &filter.correlation_id {
        return Some(vec![Term::Correlation(correlation_id)]);
    }
    let tags = filter.tags.iter().map(|tag| Term::Tag(tag));
    (!filter.tags.is_empty()).then(|| tags.collect())
}

/// The head of the log, the head of the stream, and the sequence numbers to look at.
fn stream_range(
    view: &View,
    query: &StreamQuery,
) -> Result<(Position, Option<StreamHead>, SequenceNumber, SequenceNumber), Fault> {
    let head = view.stream(&query.stream)?.map(|info| info.head);
    let mut from = query.from_sequence.max(1);
    let mut to = query
        .to_sequence
        .min(head.map_or(0, |head| head.sequence_number));
    if query.after_position > 0 {
        from = from.max(view.sequence_at(&query.stream, query.after_position)? + 1);
    }
    if query.through_position < Position::MAX {
        to = to.min(view.sequence_at(&query.stream, query.through_position)?);
    }
    let exists = head.filter(|head| head.sequence_number > 0);
    Ok((view.head().position, exists, from, to))
}

fn indexed(
    view: &View,
    terms: &[Term<'_>],
    after: Position,
    end: Position,
    room: usize,
) -> Result<(Vec<Position>, Position), Fault> {
    let mut complete = end;
    let mut positions = Vec::new();
    for term in terms {
        let postings = view.postings(*term, after, room)?;
        if postings.len() == room
            && let Some(last) = postings.last()
        {
            complete = complete.min(*last);
        }
        positions.extend(postings);
    }
    positions.retain(|position| *position <= complete);
    Ok((positions, complete))
}

fn scanned(
    view: &View,
    filter: &Filter,
    after: Position,
    end: Position,
    room: usize,
) -> Result<(Vec<Position>, Position), Fault> {
    /// Blocks that one step rules out at most, so that the clock is looked at.
    const BLOCKS_MAX: usize = 1_024;
    let mut positions = Vec::new();
    let mut at = after;
    for _ in 0..BLOCKS_MAX {
        if at >= end || positions.len() >= room {
            break;
        }
        let (may_match, block_end) =
            view.block(at + 1, filter.from_timestamp, filter.to_timestamp)?;
        let step_end = block_end.min(end);
        if may_match {
            let room = (room - positions.len()) as Position;
            let step_end = step_end.min(at + room);
            positions.extend(at + 1..=step_end);
            at = step_end;
        } else {
            at = step_end;
        }
    }
    Ok((positions, at))
}

/// A page that ends before the end of the range, behind the event at `examined`.
fn stopped(
    mut page: StreamPage,
    query: &StreamQuery,
    next: SequenceNumber,
    examined: Position,
) -> StreamPage {
    page.next = Some(next);
    if query.direction == Direction::Forward {
        page.complete_through = examined;
    }
    page
}

/// Names the stream in an error about one of its events.
fn of_stream(error: Error, stream: &StreamId) -> Error {
    match error {
        Error::Corrupt { mut damage, advice } => {
            damage.stream = Some(stream.clone());
            Error::Corrupt { damage, advice }
        }
        other => other,
    }
}

const _: () = assert!(STEP_RECORDS as u64 <= limits::READ_RECORDS_MAX);
