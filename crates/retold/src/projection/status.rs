//! How a projection stands, for those who look after it.

use std::time::Duration;

use retold_core::{EventId, Position, StreamId, Text};

/// How a projection stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProjectionStatus {
    /// Its name.
    pub name: Text,
    /// The head of the log.
    pub head: Position,
    /// Its versions: the one that is read first.
    pub versions: Vec<VersionStatus>,
}

impl ProjectionStatus {
    /// The version in a role.
    pub fn version(&self, role: VersionRole) -> Option<&VersionStatus> {
        self.versions.iter().find(|version| version.role == role)
    }
}

/// What a version is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionRole {
    /// It is the one that is read.
    Current,
    /// It is built, and takes the place of the current one.
    Building,
    /// It was read before, and can be brought back.
    Previous,
}

impl VersionRole {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            VersionRole::Current => "current",
            VersionRole::Building => "building",
            VersionRole::Previous => "previous",
        }
    }
}

/// Whether a version goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionState {
    /// It reads what there is and follows the log.
    Running,
    /// Somebody paused it.
    Paused {
        /// Why.
        reason: String,
    },
    /// It stopped in front of an event.
    Failed(ProjectionFailure),
    /// It cannot go on now, and tries again by itself.
    Waiting {
        /// Why.
        reason: String,
    },
    /// No code that is registered makes it, or nothing is written in this process: it stays as it
    /// is and may be read.
    Frozen,
}

impl VersionState {
    /// Its name in lower case.
    pub fn name(&self) -> &'static str {
        match self {
            VersionState::Running => "running",
            VersionState::Paused { .. } => "paused",
            VersionState::Failed(_) => "failed",
            VersionState::Waiting { .. } => "waiting",
            VersionState::Frozen => "frozen",
        }
    }
}

/// The event that a projection failed on, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectionFailure {
    /// Where the event is in the log.
    pub position: Position,
    /// Its stream.
    pub stream: StreamId,
    /// Its type.
    pub event_type: Text,
    /// Its id.
    pub event_id: EventId,
    /// What the projection said.
    pub error: String,
}

/// How a version of a projection stands.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VersionStatus {
    /// The version.
    pub version: Text,
    /// What it is there for.
    pub role: VersionRole,
    /// Whether it goes on.
    pub state: VersionState,
    /// Whether it has once been at the head of the log; before that it is not read.
    pub has_caught_up: bool,
    /// Everything at or before this position is in its rows.
    pub complete_through: Position,
    /// Whether it waits to be told before it takes the place of the current one.
    pub is_held: bool,
    /// Events applied since it was opened here.
    pub events: u64,
    /// Events that were lost to damage that was accepted, since it was opened here.
    pub lost: u64,
    /// Batches applied since it was opened here.
    pub batches: u64,
    /// How long they took together.
    pub batch_time: Duration,
    /// Positions that it advanced per second, while it has been behind.
    pub per_second: Option<f64>,
    /// In how long it will have caught up, at that rate.
    pub remaining: Option<Duration>,
}

impl From<&super::applying::Failed> for ProjectionFailure {
    fn from(failed: &super::applying::Failed) -> ProjectionFailure {
        ProjectionFailure {
            position: failed.position,
            stream: failed.stream.clone(),
            event_type: failed.event_type.clone(),
            event_id: failed.event_id,
            error: failed.error.clone(),
        }
    }
}
