//! What frames other than those of events hold: decisions about the log itself, as JSON.

use retold_core::{Checkpoint, EventId, LogId, Lost, Position, SequenceNumber, StreamId};
use serde::{Deserialize, Serialize};

use super::frame::Kind;

/// What a frame says besides holding events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    /// Nothing.
    Silent,
    Fork(Fork),
    Damage(AcceptedDamage),
    RestoreBegun(RestoreBegun),
    RestoreDone,
}

impl Control {
    /// Reads the JSON of a frame whose checksums fit; none where a newer version wrote it.
    pub(crate) fn parse(kind: Kind, json: &[u8]) -> Option<Control> {
        match kind {
            Kind::Events | Kind::Mark => Some(Control::Silent),
            Kind::Fork => serde_json::from_slice(json).ok().map(Control::Fork),
            Kind::Damage => serde_json::from_slice(json).ok().map(Control::Damage),
            Kind::RestoreBegun => serde_json::from_slice(json).ok().map(Control::RestoreBegun),
            Kind::RestoreDone => Some(Control::RestoreDone),
        }
    }
}

/// The acceptance of a lost tail: from the next position on, the log has another id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fork {
    pub(crate) log_id: LogId,
    /// The newest position that was left.
    pub(crate) position: Position,
    pub(crate) reason: String,
    /// What was derived from the lost part, and is ignored from now on.
    pub(crate) ignored: Vec<KnownPlace>,
}

/// A [`Checkpoint`] in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KnownPlace {
    pub(crate) log_id: LogId,
    pub(crate) position: Position,
    pub(crate) event_id: EventId,
}

impl From<Checkpoint> for KnownPlace {
    fn from(checkpoint: Checkpoint) -> Self {
        KnownPlace {
            log_id: checkpoint.log_id,
            position: checkpoint.position,
            event_id: checkpoint.event_id,
        }
    }
}

/// The acceptance of damage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcceptedDamage {
    pub(crate) places: Vec<Place>,
    pub(crate) lost: Vec<LostEvent>,
}

/// Where bytes of the log are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    /// The segment, by its first position.
    pub(crate) segment: Position,
    pub(crate) offset: u64,
    /// Where the damage ends, where that can be said: damage that grows is new damage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) end: Option<u64>,
}

/// One event, or a run of events of which nothing else is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LostEvent {
    pub(crate) first: Position,
    pub(crate) last: Position,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) aggregate_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) aggregate_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sequence_number: Option<SequenceNumber>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event_id: Option<EventId>,
}

impl LostEvent {
    /// The event, where the run has one.
    pub(crate) fn at(&self, position: Position) -> Lost {
        let stream = self.aggregate_type.as_ref().zip(self.aggregate_id.as_ref());
        Lost {
            position,
            stream: stream.and_then(|(kind, id)| StreamId::new(kind.as_str(), id.as_str()).ok()),
            sequence_number: self.sequence_number,
            event_id: self.event_id,
        }
    }

    /// Whether nothing but positions is known.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.aggregate_type.is_none() && self.sequence_number.is_none() && self.event_id.is_none()
    }

    pub(crate) fn from_lost(lost: &Lost) -> LostEvent {
        let stream = lost.stream.as_ref();
        LostEvent {
            first: lost.position,
            last: lost.position,
            aggregate_type: stream.map(|stream| stream.aggregate_type().to_string()),
            aggregate_id: stream.map(|stream| stream.aggregate_id().to_string()),
            sequence_number: lost.sequence_number,
            event_id: lost.event_id,
        }
    }
}

/// The beginning of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestoreBegun {
    pub(crate) origin: LogId,
}
