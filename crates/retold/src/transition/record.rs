//! How a transition is recorded: the payload, and the metadata key that tells it from an event
//! of the same name that was appended plainly.

use std::collections::BTreeMap;

use retold_core::{Json, JsonError, RecordedEvent};
use serde::{Deserialize, Serialize};

/// The metadata key of a recorded transition. Its value is the fingerprint of the machine that
/// judged it, or [`TRUSTED`]. Only Retold writes keys that start with `$`, so an event that has
/// it is a transition for ever, whatever machines come later.
pub(crate) const MACHINE_KEY: &str = "$machine";

/// The value of [`MACHINE_KEY`] where a transition was recorded unchecked.
pub(crate) const TRUSTED: &str = "trust";

/// The payload of a transition.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload<'a> {
    pub(super) from_state: &'a str,
    pub(super) to_state: &'a str,
    pub(super) event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
}

/// Whether an event is a transition.
pub(crate) fn is_transition(event: &RecordedEvent) -> bool {
    event.metadata.extra(MACHINE_KEY).is_some()
}

/// The state that the payload of a transition leads to.
pub(crate) fn to_state(payload: &Json) -> Result<String, JsonError> {
    #[derive(Deserialize)]
    struct To {
        #[serde(rename = "toState")]
        to_state: String,
    }
    payload.decode::<To>().map(|to| to.to_state)
}

/// A transition as its event tells it. Of one recorded unchecked, only `to` is certain.
pub(crate) struct RecordedTransition {
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// As it was sent, which may be an alias.
    pub(crate) event: String,
    pub(crate) reason: Option<String>,
    /// As it was sent.
    pub(crate) context: Option<Json>,
}

impl RecordedTransition {
    /// None where the event is not a transition.
    pub(crate) fn of(event: &RecordedEvent) -> Option<RecordedTransition> {
        if !is_transition(event) {
            return None;
        }
        // The context is the caller's and may hold what no decoder of ours can read, such as
        // 1e400, so only the texts are decoded.
        let fields: BTreeMap<String, Json> = event.payload.decode().unwrap_or_default();
        let text = |name: &str| fields.get(name).and_then(|value| value.decode().ok());
        Some(RecordedTransition {
            from: text("fromState"),
            to: text("toState"),
            event: text("event").unwrap_or_else(|| event.event_type.to_string()),
            reason: text("reason"),
            context: fields.get("context").cloned(),
        })
    }
}
