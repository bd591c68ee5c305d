//! What is asked for: a transition, the call that asks for it, and the answer.

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{
    EventId, Expected, Json, JsonError, Metadata, NewEvent, RecordedEvent, StreamId, Text,
    Timestamp,
};
use serde::Serialize;

use super::execution;
use super::record::Payload;
use crate::{Error, Retold};

/// A transition of one aggregate from a state to another.
///
/// ```
/// use retold::Transition;
///
/// let transition = Transition::new("Issue", "42")
///     .from("TODO")
///     .to("IN_PROGRESS")
///     .event("start_work")
///     .actor("user-123")
///     .reason("Starting implementation")
///     .context(&serde_json::json!({"sprint": 7}));
/// # let _ = transition;
/// ```
///
/// Its event id and timestamp are made here, before the first attempt: asking for the same
/// value again after an unknown outcome records it once.
#[derive(Debug, Clone)]
pub struct Transition {
    aggregate_type: Text,
    aggregate_id: Text,
    pub(super) from: Option<Text>,
    to: Option<Text>,
    event: Option<Text>,
    context: Option<Result<Json, JsonError>>,
    reason: Option<Text>,
    tags: Vec<Text>,
    metadata: Metadata,
    extra_error: Option<(Text, JsonError)>,
    pub(super) is_id_given: bool,
}

impl Transition {
    /// A transition of an aggregate; where to and by which name are still to be said.
    pub fn new(aggregate_type: impl Into<Text>, aggregate_id: impl Into<Text>) -> Transition {
        Transition {
            aggregate_type: aggregate_type.into(),
            aggregate_id: aggregate_id.into(),
            from: None,
            to: None,
            event: None,
            context: None,
            reason: None,
            tags: Vec::new(),
            metadata: Metadata::default(),
            extra_error: None,
            is_id_given: false,
        }
    }

    /// The state that the caller believes it to be in. Left out, it stands for "no transition
    /// yet" and is recorded as the machine's initial state.
    pub fn from(mut self, state: impl Into<Text>) -> Self {
        self.from = Some(state.into());
        self
    }

    /// The state that it leads to. Required.
    pub fn to(mut self, state: impl Into<Text>) -> Self {
        self.to = Some(state.into());
        self
    }

    /// The name of the transition, or an alias. Required.
    pub fn event(mut self, name: impl Into<Text>) -> Self {
        self.event = Some(name.into());
        self
    }

    /// Anything to keep with it, as JSON.
    pub fn context(mut self, context: &(impl Serialize + ?Sized)) -> Self {
        self.context = Some(Json::from_value(context));
        self
    }

    /// Why it is taken.
    pub fn reason(mut self, reason: impl Into<Text>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Who takes it.
    pub fn actor(mut self, actor: impl Into<Text>) -> Self {
        self.metadata.actor = Some(actor.into());
        self
    }

    /// What it belongs together with; an id of its own unless given.
    pub fn correlation_id(mut self, correlation_id: impl Into<Text>) -> Self {
        self.metadata.correlation_id = correlation_id.into();
        self
    }

    /// The event or the command that causes it.
    pub fn causation_id(mut self, causation_id: impl Into<Text>) -> Self {
        self.metadata.causation_id = Some(causation_id.into());
        self
    }

    /// The id by which a retry is recognised: where it is known already with the same content,
    /// the first result is the answer, whatever the state is by now.
    pub fn event_id(mut self, event_id: EventId) -> Self {
        self.metadata.event_id = event_id;
        self.is_id_given = true;
        self
    }

    /// When it happened; now unless given.
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.metadata.timestamp = timestamp;
        self
    }

    /// A word to find it by.
    pub fn tag(mut self, tag: impl Into<Text>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// A further key of the metadata; keys that start with `$` are Retold's own.
    pub fn extra(mut self, key: impl Into<Text>, value: &(impl Serialize + ?Sized)) -> Self {
        let key = key.into();
        match Json::from_value(value) {
            Ok(value) => self.metadata.extra.push((key, value)),
            Err(error) => self.extra_error = Some((key, error)),
        }
        self
    }

    /// Identity and context, as they will be recorded.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(super) fn stream(&self) -> Result<StreamId, retold_core::Error> {
        StreamId::new(self.aggregate_type.clone(), self.aggregate_id.clone())
    }

    pub(super) fn to_state(&self) -> Result<&Text, retold_core::Error> {
        required("toState", &self.to)
    }

    pub(super) fn event_name(&self) -> Result<&Text, retold_core::Error> {
        required("event", &self.event)
    }

    /// The event that records it as a transition out of `from` under the name `event_type`.
    pub(super) fn to_event(
        &self,
        from: &str,
        event_type: &str,
    ) -> Result<NewEvent, retold_core::Error> {
        let invalid = |field: String, error: &JsonError| {
            retold_core::Error::invalid(field, error.to_string())
        };
        if let Some((key, error)) = &self.extra_error {
            return Err(invalid(format!("metadata.{key}"), error));
        }
        let context = self.context.as_ref().map(Result::as_ref).transpose();
        let payload = Payload {
            from_state: from,
            to_state: self.to_state()?,
            event: self.event_name()?,
            context: context.map_err(|error| invalid("context".into(), error))?,
            reason: self.reason.as_deref(),
        };
        let mut event = NewEvent::new(self.stream()?, event_type, &payload)?;
        event.tags.clone_from(&self.tags);
        event.metadata.clone_from(&self.metadata);
        Ok(event)
    }
}

fn required<'a>(
    field: &'static str,
    value: &'a Option<Text>,
) -> Result<&'a Text, retold_core::Error> {
    value
        .as_ref()
        .ok_or_else(|| retold_core::Error::invalid(field, "must be given"))
}

/// A [`Transition`] asked for, to be awaited: [`Retold::transition`].
#[must_use = "a transition is not taken until it is awaited"]
pub struct TransitionCall {
    retold: Retold,
    transition: Transition,
    expected: Expected,
}

impl TransitionCall {
    pub(crate) fn new(retold: Retold, transition: Transition) -> TransitionCall {
        TransitionCall {
            retold,
            transition,
            expected: Expected::Any,
        }
    }

    /// Takes it only if its stream is as expected. That an illegal transition is illegal is said
    /// first.
    pub fn expect(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }
}

impl IntoFuture for TransitionCall {
    type Output = Result<Transitioned, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move { execution::transition(self.retold.inner(), &self.transition, self.expected).await }
            .boxed()
    }
}

/// What a transition did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transitioned {
    /// False when the same transition had been recorded before; nothing was written then.
    pub is_new: bool,
    /// The event that records it.
    pub event: RecordedEvent,
    /// The state that it led to. Of a repeated one the stream may have left it since.
    pub status: String,
}
