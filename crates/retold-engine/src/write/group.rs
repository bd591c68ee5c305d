//! A group: what is written and synced together, and who waits for it.

use retold_core::{Appended, Error, EventId, LogId, Position, RecordedEvent};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::keyed::KeyedAppend;
use crate::index::{EventKeys, KeyedEntry, Location};
use crate::log::control::Control;
use crate::log::frame::{HEADER_BYTES, Kind};
use crate::log::record;
use crate::log::tail::Draft;

/// Bytes after which a group is closed: longer ones take much longer to sync on growing files.
pub(crate) const GROUP_BYTES: usize = 512 * 1024;

/// What a caller is answered.
pub(crate) enum Answer {
    /// The events are durable.
    Appended(Appended),
    /// The call is not to be done, for this reason.
    Refused(Error),
    /// Something that the look-up rests on has changed: look up again.
    LookAgain(Box<KeyedAppend>),
    /// A decision about the log is durable.
    Decided,
}

/// Somebody who waits for an answer.
pub(crate) struct Waiter {
    pub(crate) reply: oneshot::Sender<Answer>,
    pub(crate) answer: Answer,
    /// The newest event that the answer rests on: it is given once that one is durable.
    pub(crate) rests_on: Position,
    /// The call's share of the queue, given back with the answer.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// How a group that was not written ended.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    Full,
    Unknown(String),
    Poisoned(String),
}

impl Failure {
    pub(crate) fn to_error(&self, event_ids: Vec<EventId>) -> Error {
        match self {
            Failure::Full => Error::Full { event_ids },
            Failure::Unknown(reason) => Error::UnknownOutcome {
                reason: reason.clone(),
                event_ids,
            },
            Failure::Poisoned(cause) => Error::Poisoned {
                cause: cause.clone(),
                event_ids,
            },
        }
    }
}

impl Waiter {
    /// Gives the answer. The caller may be gone: the append stands all the same.
    pub(crate) fn settle(self) {
        drop(self.room);
        let _ = self.reply.send(self.answer);
    }

    /// Answers with a failure, unless the answer rests on durable events only.
    pub(crate) fn fail(self, durable: Position, failure: &Failure) {
        if self.rests_on <= durable {
            return self.settle();
        }
        let event_ids = match &self.answer {
            Answer::Appended(appended) => ids_of(&appended.events),
            Answer::Refused(error) => error.event_ids().to_vec(),
            Answer::LookAgain(keyed) => keyed.append.event_ids(),
            Answer::Decided => Vec::new(),
        };
        let waiter = Waiter {
            answer: Answer::Refused(failure.to_error(event_ids)),
            ..self
        };
        waiter.settle();
    }
}

pub(crate) fn ids_of(events: &[RecordedEvent]) -> Vec<EventId> {
    events.iter().map(|event| event.metadata.event_id).collect()
}

/// Records that become one frame, in the making.
pub(crate) struct Group {
    kind: Kind,
    first_position: Position,
    /// What it decides about the log, where it holds no events.
    pub(crate) control: Control,
    /// Room for the header, then the records.
    bytes: Vec<u8>,
    lengths: Vec<u32>,
    /// Locations are relative to the frame until it is written.
    pub(crate) entries: Vec<KeyedEntry>,
    pub(crate) waiters: Vec<Waiter>,
}

impl Group {
    pub(crate) fn new(kind: Kind, first_position: Position) -> Group {
        Group {
            kind,
            first_position,
            control: Control::Silent,
            bytes: vec![0; HEADER_BYTES],
            lengths: Vec::new(),
            entries: Vec::new(),
            waiters: Vec::new(),
        }
    }

    /// The same memory for other events, unless it is much. Everybody was answered.
    pub(crate) fn emptied(mut self) -> Option<Group> {
        if self.bytes.capacity() > 2 * GROUP_BYTES {
            return None;
        }
        self.bytes.clear();
        self.lengths.clear();
        self.entries.clear();
        self.waiters.clear();
        Some(self)
    }

    /// Begins again with events.
    pub(crate) fn renew(&mut self, first_position: Position) {
        self.kind = Kind::Events;
        self.control = Control::Silent;
        self.first_position = first_position;
        self.bytes.resize(HEADER_BYTES, 0);
    }

    /// Whether more events may join.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        self.kind == Kind::Events && (self.is_empty() || self.bytes.len() + bytes <= GROUP_BYTES)
    }

    /// Whether there is nothing to write: only answers wait for the group before.
    pub(crate) fn is_empty(&self) -> bool {
        self.kind == Kind::Events && self.lengths.is_empty()
    }

    pub(crate) fn push(&mut self, log_id: LogId, event: &RecordedEvent, keys: EventKeys) {
        let offset = self.bytes.len();
        let length = record::encode(&mut self.bytes, log_id, event);
        self.lengths.push(length);
        self.entries.push(KeyedEntry {
            position: event.position,
            location: Location {
                offset: u32::try_from(offset).expect("groups are far smaller than 4 GiB"),
                bytes: length,
            },
            event_id: event.metadata.event_id,
            sequence_number: event.sequence_number,
            keys,
            timestamp: event.metadata.timestamp,
            persisted_at: event.persisted_at,
            begins: (event.sequence_number == 1).then(|| event.stream.clone()),
        });
    }

    pub(crate) fn push_control(&mut self, log_id: LogId, json: &[u8]) {
        let control = Control::parse(self.kind, json);
        self.control = control.expect("a decision that is written can be read");
        let length = record::encode_control(&mut self.bytes, log_id, self.first_position, json);
        self.lengths.push(length);
    }

    /// Takes back the memory of a frame that was written.
    pub(crate) fn give_back(&mut self, draft: Draft) {
        self.bytes = draft.bytes;
    }

    /// The frame, for the tail of the log.
    pub(crate) fn take_draft(&mut self) -> Draft {
        let mut bytes = std::mem::take(&mut self.bytes);
        for length in &self.lengths {
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        Draft {
            kind: self.kind,
            first_position: self.first_position,
            count: u32::try_from(self.lengths.len()).expect("groups hold far fewer records"),
            bytes,
        }
    }
}
