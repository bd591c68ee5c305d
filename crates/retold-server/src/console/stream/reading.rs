//! Everything that the page of a stream shows, read once and in bounded steps: no read grows
//! with the length of the stream.

use retold::{
    AvailableTransition, Entry, EventId, RecordedEvent, Retold, SequenceNumber, StreamId,
};

use crate::console::failure::Failure;
use crate::console::standing::{self, Standing, status_after};

/// Events of the timeline on either side of the one that is shown.
pub(super) const NEIGHBOURS_MAX: u64 = 12;

/// A stream at one of its events.
pub(super) struct Reading {
    pub(super) stream: StreamId,
    /// The newest event.
    pub(super) head: SequenceNumber,
    /// The event that is shown.
    pub(super) event: RecordedEvent,
    pub(super) before: Standing,
    pub(super) after: Standing,
    /// The status after the newest event; none for a type without a machine.
    pub(super) status_now: Option<String>,
    /// What is allowed now; none for a type without a machine.
    pub(super) available: Option<Vec<AvailableTransition>>,
    /// The event that caused the one shown, where the log holds it.
    pub(super) cause: Option<RecordedEvent>,
    /// The events around the one shown, oldest first.
    pub(super) around: Vec<Entry>,
}

impl Reading {
    /// Reads a stream at an event, the newest unless told otherwise.
    ///
    /// Everything is read as of the head that is seen first, so that the page fits together
    /// while others append.
    pub(super) async fn of(
        retold: &Retold,
        stream: StreamId,
        at: Option<SequenceNumber>,
    ) -> Result<Reading, Failure> {
        let Some(head) = retold.store().stream_head(&stream).await? else {
            return Err(Failure::not_found(format!("There is no stream {stream}.")));
        };
        let head = head.sequence_number;
        let at = at.unwrap_or(head).clamp(1, head);
        let event = event_at(retold, &stream, at).await?;
        let machine = retold.machines().get(stream.aggregate_type());
        let before = match at {
            1 => Standing::default(),
            at => Standing::after(retold, &event_at(retold, &stream, at - 1).await?).await?,
        };
        let after = before.followed_by(&event, machine.as_deref())?;
        let status_now = match at == head {
            true => after.status.clone().filter(|_| machine.is_some()),
            false => status_after(retold, &event_at(retold, &stream, head).await?).await?,
        };
        let available = machine
            .zip(status_now.as_deref())
            .map(|(machine, status)| machine.available_from(status));
        Ok(Reading {
            cause: cause_of(retold, &event).await?,
            around: around(retold, &stream, at, head).await?,
            stream,
            head,
            event,
            before,
            after,
            status_now,
            available,
        })
    }

    /// The place of the event that is shown.
    pub(super) fn at(&self) -> SequenceNumber {
        self.event.sequence_number
    }

    /// Whether the newest event is shown.
    pub(super) fn is_now(&self) -> bool {
        self.at() == self.head
    }
}

async fn event_at(
    retold: &Retold,
    stream: &StreamId,
    at: SequenceNumber,
) -> Result<RecordedEvent, Failure> {
    let event = standing::event_at(retold, stream, at).await?;
    event.ok_or_else(|| Failure::not_found(format!("There is no event {at} in {stream}.")))
}

/// The cause may be a command, or an event of another log: then there is nothing to lead to.
async fn cause_of(
    retold: &Retold,
    event: &RecordedEvent,
) -> Result<Option<RecordedEvent>, Failure> {
    let causation_id = event.metadata.causation_id.as_ref();
    match causation_id.and_then(|id| id.parse::<EventId>().ok()) {
        Some(event_id) => Ok(retold.event(event_id).await?),
        None => Ok(None),
    }
}

/// A page may end early where events are very large; the timeline then shows fewer.
async fn around(
    retold: &Retold,
    stream: &StreamId,
    at: SequenceNumber,
    head: SequenceNumber,
) -> Result<Vec<Entry>, Failure> {
    let (first, last) = window(at, head);
    let page = retold
        .events(
            stream.aggregate_type().clone(),
            stream.aggregate_id().clone(),
        )
        .from_sequence(first)
        .to_sequence(last)
        .await?;
    Ok(page.entries)
}

/// The events to show around one: as many on both sides, and at the ends more on the other side.
fn window(at: SequenceNumber, head: SequenceNumber) -> (SequenceNumber, SequenceNumber) {
    let size = 2 * NEIGHBOURS_MAX + 1;
    let first = at.saturating_sub(NEIGHBOURS_MAX);
    let first = first.min((head + 1).saturating_sub(size)).max(1);
    (first, head.min(first + size - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_full_wherever_there_are_enough_events() {
        for (at, head, expected) in [
            (1, 1, (1, 1)),
            (3, 10, (1, 10)),
            (1, 100, (1, 25)),
            (13, 100, (1, 25)),
            (14, 100, (2, 26)),
            (50, 100, (38, 62)),
            (88, 100, (76, 100)),
            (100, 100, (76, 100)),
        ] {
            assert_eq!(window(at, head), expected, "event {at} of {head}");
        }
    }
}
