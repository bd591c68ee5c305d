//! What is decided about a projection, as events of its own stream: which version is read, which
//! is being built, which pauses. Of a projection about which nothing was ever decided, there is
//! no stream.

use std::collections::{BTreeMap, BTreeSet};

use retold_core::{
    Append, Entry, Error, EventStore, NewEvent, RecordedEvent, StreamId, StreamQuery, Text,
};
use serde::{Deserialize, Serialize};

/// The type of the streams; the id is the projection's name.
const STREAM_TYPE: &str = "$projection";

/// What may be decided. The payload of an event whose type is `projection.` and the name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "decision",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum Decision {
    /// A version is built beside the one that is read.
    BuildStarted {
        version: String,
        /// The one that is read.
        current: String,
        /// Whether it waits to be told before it takes the place of the other.
        is_held: bool,
    },
    /// A version took the place of the one that was read before, which is kept.
    Promoted { version: String, previous: String },
    /// The build was given up.
    Cancelled { version: String },
    /// A version is not carried on.
    Paused { version: String, reason: String },
    /// It is again.
    Resumed { version: String },
    /// The version that was read before is not kept any more.
    Discarded { version: String },
}

impl Decision {
    fn event_type(&self) -> &'static str {
        match self {
            Decision::BuildStarted { .. } => "projection.buildStarted",
            Decision::Promoted { .. } => "projection.promoted",
            Decision::Cancelled { .. } => "projection.cancelled",
            Decision::Paused { .. } => "projection.paused",
            Decision::Resumed { .. } => "projection.resumed",
            Decision::Discarded { .. } => "projection.discarded",
        }
    }
}

/// What the decisions come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Definition {
    /// The version that is read; none where nothing was decided.
    pub(super) current: Option<Text>,
    /// The one that is being built, and whether it waits to be told before it takes over.
    pub(super) building: Option<(Text, bool)>,
    /// The one that was read before.
    pub(super) previous: Option<Text>,
    /// Why versions are not carried on.
    pub(super) paused: BTreeMap<Text, String>,
    /// All that there ever were.
    pub(super) used: BTreeSet<Text>,
}

impl Definition {
    pub(super) fn apply(&mut self, decision: Decision) {
        match decision {
            Decision::BuildStarted {
                version,
                current,
                is_held,
            } => {
                let version = Text::from(version);
                self.current = Some(current.into());
                self.used.extend(self.current.clone());
                self.used.insert(version.clone());
                self.building = Some((version, is_held));
            }
            Decision::Promoted { version, previous } => {
                let version = Text::from(version);
                self.building.take_if(|(building, _)| *building == version);
                self.current = Some(version);
                self.previous = Some(previous.into());
            }
            Decision::Cancelled { version } => {
                self.building.take_if(|(building, _)| *building == version);
                self.paused.remove(&Text::from(version));
            }
            Decision::Paused { version, reason } => {
                self.paused.insert(version.into(), reason);
            }
            Decision::Resumed { version } => {
                self.paused.remove(&Text::from(version));
            }
            Decision::Discarded { version } => {
                self.previous.take_if(|previous| *previous == version);
                self.paused.remove(&Text::from(version));
            }
        }
    }

    /// A name for a further build of a declared version: `2`, then `2.2`, `2.3`.
    pub(super) fn next_version(&self, declared: u32, known: &BTreeSet<Text>) -> Text {
        let declared = declared.to_string();
        let taken = |version: &str| self.used.contains(version) || known.contains(version);
        let mut versions = std::iter::once(declared.clone())
            .chain((2u64..).map(|nth| format!("{declared}.{nth}")));
        let free = versions.find(|version| !taken(version));
        free.expect("there is always a higher number").into()
    }
}

fn stream_of(name: &str) -> Result<StreamId, Error> {
    StreamId::new(STREAM_TYPE, name)
}

/// Reads what was decided.
pub(super) async fn read(store: &dyn EventStore, name: &str) -> Result<Definition, Error> {
    let mut query = StreamQuery::new(stream_of(name)?);
    let mut definition = Definition::default();
    loop {
        let page = store.read_stream(query.clone()).await?;
        for entry in page.entries {
            if let Entry::Event(event) = entry {
                definition.apply(decoded(&event)?);
            }
        }
        match page.next {
            Some(next) => query = query.continued(next),
            None => return Ok(definition),
        }
    }
}

fn decoded(event: &RecordedEvent) -> Result<Decision, Error> {
    let decision = event.payload.decode();
    decision.map_err(|error| Error::invalid("payload", error.to_string()))
}

/// Notes a decision.
pub(super) async fn decide(
    store: &dyn EventStore,
    name: &str,
    decision: &Decision,
) -> Result<(), Error> {
    let event = NewEvent::new(stream_of(name)?, decision.event_type(), decision)?;
    store.append(Append::new(vec![event]).by_retold()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_come_to_what_is_read_built_and_kept() {
        let mut definition = Definition::default();
        assert_eq!(definition.next_version(1, &BTreeSet::new()), "1");
        let known = BTreeSet::from([Text::from("1")]);
        assert_eq!(definition.next_version(1, &known), "1.2");
        let build = |version: &str, current: &str| Decision::BuildStarted {
            version: version.into(),
            current: current.into(),
            is_held: true,
        };
        let promoted = |version: &str, previous: &str| Decision::Promoted {
            version: version.into(),
            previous: previous.into(),
        };
        definition.apply(build("1.2", "1"));
        assert_eq!(definition.building, Some(("1.2".into(), true)));
        definition.apply(Decision::Paused {
            version: "1.2".into(),
            reason: "it is noon".into(),
        });
        assert_eq!(definition.paused["1.2"], "it is noon");
        definition.apply(Decision::Cancelled {
            version: "1.2".into(),
        });
        assert!(definition.paused.is_empty() && definition.building.is_none());
        // A name is never given twice.
        assert_eq!(definition.next_version(1, &known), "1.3");
        definition.apply(build("1.3", "1"));
        definition.apply(promoted("1.3", "1"));
        assert_eq!(definition.current.as_deref(), Some("1.3"));
        assert_eq!(definition.previous.as_deref(), Some("1"));
        definition.apply(promoted("1", "1.3"));
        assert_eq!(definition.previous.as_deref(), Some("1.3"));
        definition.apply(Decision::Discarded {
            version: "1.3".into(),
        });
        assert_eq!((definition.building, definition.previous), (None, None));
    }
}
