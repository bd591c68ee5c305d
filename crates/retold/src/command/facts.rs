//! What is recorded with the events of a command beside their payloads, and the builder methods
//! that say so.

use retold_core::{EventId, Json, JsonError, Metadata, NewEvent, Text, Timestamp};
use serde::Serialize;

use super::key::Key;

/// Who, why and when, so far; and the key by which a repetition is recognised.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    actor: Option<Text>,
    correlation_id: Option<Text>,
    causation_id: Option<Text>,
    timestamp: Option<Timestamp>,
    tags: Vec<Text>,
    extra: Vec<(Text, Result<Json, JsonError>)>,
    pub(super) key: Option<Text>,
}

impl Facts {
    pub(super) fn set_actor(&mut self, actor: Text) {
        self.actor = Some(actor);
    }

    pub(super) fn set_correlation_id(&mut self, correlation_id: Text) {
        self.correlation_id = Some(correlation_id);
    }

    pub(super) fn set_causation_id(&mut self, causation_id: Text) {
        self.causation_id = Some(causation_id);
    }

    pub(super) fn set_timestamp(&mut self, timestamp: Timestamp) {
        self.timestamp = Some(timestamp);
    }

    pub(super) fn add_tag(&mut self, tag: Text) {
        self.tags.push(tag);
    }

    pub(super) fn add_extra(&mut self, key: Text, value: &(impl Serialize + ?Sized)) {
        self.extra.push((key, Json::from_value(value)));
    }

    /// Writes them into the events of a call. The events of a command have one timestamp and one
    /// correlation id, also where none was given.
    pub(super) fn write_into(
        &self,
        events: &mut [NewEvent],
        key: Option<&Key>,
    ) -> Result<(), retold_core::Error> {
        let mut shared = Metadata::default();
        shared.actor.clone_from(&self.actor);
        shared.causation_id.clone_from(&self.causation_id);
        if let Some(correlation_id) = &self.correlation_id {
            shared.correlation_id.clone_from(correlation_id);
        }
        if let Some(timestamp) = self.timestamp {
            shared.timestamp = timestamp;
        }
        for (name, value) in &self.extra {
            let invalid = |error: &JsonError| error.clone().of(&format!("metadata.{name}"));
            let value = value.as_ref().map_err(invalid)?;
            shared.extra.push((name.clone(), value.clone()));
        }
        for (ordinal, event) in events.iter_mut().enumerate() {
            let own = &event.metadata;
            let event_id: EventId = key.map_or(own.event_id, |key| key.event_id(ordinal));
            event.metadata = Metadata {
                event_id,
                version: own.version.clone(),
                ..shared.clone()
            };
            event.tags.clone_from(&self.tags);
        }
        Ok(())
    }
}

/// The methods of a builder with a field `facts: Facts`.
macro_rules! facts_methods {
    () => {
        /// Who asks for it.
        pub fn actor(mut self, actor: impl Into<retold_core::Text>) -> Self {
            self.facts.set_actor(actor.into());
            self
        }

        /// What it belongs together with; an id of its own unless given.
        pub fn correlation_id(mut self, correlation_id: impl Into<retold_core::Text>) -> Self {
            self.facts.set_correlation_id(correlation_id.into());
            self
        }

        /// The event or the command that causes it.
        pub fn causation_id(mut self, causation_id: impl Into<retold_core::Text>) -> Self {
            self.facts.set_causation_id(causation_id.into());
            self
        }

        /// When it happened; now unless given.
        pub fn timestamp(mut self, timestamp: retold_core::Timestamp) -> Self {
            self.facts.set_timestamp(timestamp);
            self
        }

        /// A word to find each of its events by.
        pub fn tag(mut self, tag: impl Into<retold_core::Text>) -> Self {
            self.facts.add_tag(tag.into());
            self
        }

        /// A further key of the metadata; keys that start with `$` are Retold's own.
        pub fn extra(
            mut self,
            key: impl Into<retold_core::Text>,
            value: &(impl serde::Serialize + ?Sized),
        ) -> Self {
            self.facts.add_extra(key.into(), value);
            self
        }

        /// The key by which a repetition is recognised, for ever and from any process: the first
        /// result is the answer then, whatever would be decided now. Keys of different aggregates
        /// are independent. 1–512 bytes without control characters.
        ///
        /// A command that yielded no event, or was refused, is not remembered: it is decided
        /// again. What is asked for under a key is not compared.
        pub fn idempotency_key(mut self, key: impl Into<retold_core::Text>) -> Self {
            self.facts.key = Some(key.into());
            self
        }
    };
}

pub(crate) use facts_methods;
