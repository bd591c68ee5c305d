//! How a consumer stands, whether it is open in this process or not.

use retold_core::{
    ConsumerProgress, EventId, EventStore, Position, SequenceNumber, StreamId, Text, Timestamp,
};

use super::definition::Definition;
use super::desk::{Counts, Desk, HoldReason};
use super::running::{Running, State};
use super::settings::ConsumerSettings;
use crate::{Error, checkpoint};

/// An event that is not tried any more until somebody says so, and for which the rest of its
/// stream waits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedEvent {
    /// The stream that waits.
    pub stream: StreamId,
    /// The event's place in it.
    pub sequence_number: SequenceNumber,
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt came to.
    pub error: Text,
    /// When that was.
    pub failed_at: Timestamp,
}

/// How a consumer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// Its name.
    pub name: Text,
    /// What it is given, and how patient it is.
    pub settings: ConsumerSettings,
    /// Whether it is open in this process. Where it is not, nothing is handed out.
    pub is_open: bool,
    /// Everything at or before it is finished, but for the streams that wait.
    pub position: Position,
    /// The newest position of the log.
    pub head: Position,
    /// When the first event behind the position was recorded; none at the head of the log.
    pub behind_since: Option<Timestamp>,
    /// Deliveries under way.
    pub in_flight: usize,
    /// Streams of which less is finished than the position says: their event is tried again or is
    /// parked, or they catch up behind one that was.
    pub waiting_streams: usize,
    /// Streams whose event is parked.
    pub parked_streams: usize,
    /// When the oldest event that is parked was last tried.
    pub oldest_parked_at: Option<Timestamp>,
    /// Why it pauses, where somebody has paused it.
    pub paused: Option<String>,
    /// Why it holds as a whole, where it does: one event is tried now and then.
    pub held: Option<&'static str>,
    /// Why it does not go on in this process.
    pub ended: Option<String>,
    /// The newest error of a delivery, or of reading.
    pub last_error: Option<String>,
    /// Events finished or passed over since it began.
    pub acknowledged: u64,
    /// Events handed out since it was opened, repeated attempts included.
    pub delivered: u64,
    /// Events finished since it was opened.
    pub finished: u64,
    /// Attempts that failed since it was opened.
    pub failed: u64,
    /// Events that were passed over since they were lost to damage that was accepted.
    pub lost: u64,
}

/// What is known of a consumer at one moment.
pub(super) struct Standing {
    name: Text,
    settings: ConsumerSettings,
    is_open: bool,
    progress: ConsumerProgress,
    position: Position,
    in_flight: usize,
    waiting_streams: usize,
    paused: Option<String>,
    held: Option<HoldReason>,
    ended: Option<String>,
    last_error: Option<String>,
    counts: Counts,
    lost: u64,
}

impl Standing {
    /// Of one that is open.
    pub(super) fn of(running: &Running, state: &State, settings: ConsumerSettings) -> Standing {
        Standing {
            is_open: !running.has_stopped(),
            paused: state.paused.clone(),
            ended: state.ended.clone(),
            last_error: state.last_error.clone(),
            lost: state.lost,
            ..Standing::of_desk(running.name.clone(), settings, &state.desk)
        }
    }

    /// Of one that is not, as it was kept; `refused` says why it could not be opened.
    pub(super) fn closed(
        name: Text,
        definition: Definition,
        desk: Desk,
        refused: Option<String>,
    ) -> Standing {
        Standing {
            paused: definition.paused,
            ended: refused,
            ..Standing::of_desk(name, definition.settings, &desk)
        }
    }

    fn of_desk(name: Text, settings: ConsumerSettings, desk: &Desk) -> Standing {
        Standing {
            name,
            settings,
            is_open: false,
            progress: ConsumerProgress {
                checkpoint: None,
                streams: desk.progress(),
                tally: desk.tally(),
            },
            position: desk.position(),
            in_flight: desk.in_flight(),
            waiting_streams: desk.behind(),
            paused: None,
            held: desk.held(),
            ended: None,
            last_error: None,
            counts: desk.counts,
            lost: 0,
        }
    }

    /// Where it is, and the streams of which more or less is finished.
    pub(super) fn progress(&self) -> (Position, &ConsumerProgress) {
        (self.position, &self.progress)
    }

    /// The events that are parked, by stream.
    pub(super) fn parked(&self) -> Vec<ParkedEvent> {
        let streams = self.progress.streams.iter();
        let parked = streams.filter_map(|stream| {
            let blocked = stream.blocked.as_ref().filter(|b| b.is_parked)?;
            Some(ParkedEvent {
                stream: stream.stream.clone(),
                sequence_number: stream.next,
                position: blocked.position,
                event_id: blocked.event_id,
                attempts: blocked.attempts,
                error: blocked.error.clone(),
                failed_at: blocked.failed_at,
            })
        });
        parked.collect()
    }

    /// The same with what the log says.
    pub(super) async fn status(self, store: &dyn EventStore) -> Result<ConsumerStatus, Error> {
        let parked = self.parked();
        let head = store.head().await?.position;
        let next = checkpoint::event_at(store, self.position + 1).await?;
        Ok(ConsumerStatus {
            position: self.position,
            head,
            behind_since: next.map(|event| event.persisted_at),
            in_flight: self.in_flight,
            waiting_streams: self.waiting_streams,
            parked_streams: parked.len(),
            oldest_parked_at: parked.iter().map(|event| event.failed_at).min(),
            is_open: self.is_open,
            held: self.held.map(|reason| match reason {
                HoldReason::WaitingStreams => "too many streams wait",
                HoldReason::Outage => "every delivery has failed for a while",
            }),
            acknowledged: self.progress.tally.events,
            delivered: self.counts.delivered,
            finished: self.counts.finished,
            failed: self.counts.failed,
            lost: self.lost,
            name: self.name,
            settings: self.settings,
            paused: self.paused,
            ended: self.ended,
            last_error: self.last_error,
        })
    }
}
