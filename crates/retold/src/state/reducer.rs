//! The reducers behind a state: one for types with a machine, one for the others. Neither holds
//! the history, so the size of a snapshot does not grow with the number of events.

use retold_core::{RecordedEvent, Timestamp};
use serde::{Deserialize, Serialize};

use crate::BoxError;
use crate::fold::Reducer;
use crate::transition::{is_transition, to_state};

/// What is derived of every aggregate. As JSON `{status, transitionCount, lastTransitionAt}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MachineState {
    /// The state that the last transition led to; none before the first.
    pub status: Option<String>,
    /// How many transitions there were.
    pub transition_count: u64,
    /// The `timestamp` of the last one.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub last_transition_at: Option<Timestamp>,
}

impl MachineState {
    fn move_to(&mut self, status: String, event: &RecordedEvent) {
        self.status = Some(status);
        self.transition_count += 1;
        self.last_transition_at = Some(event.metadata.timestamp);
    }
}

/// Folds recorded transitions, of any machine, and passes over all other events.
///
/// It takes the state from the transitions themselves and never judges the past by today's
/// machine, so its version does not follow that of a machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct MachineReducer;

impl Reducer for MachineReducer {
    type State = MachineState;

    fn name(&self) -> &str {
        "$machine"
    }

    fn initial(&self) -> MachineState {
        MachineState::default()
    }

    fn apply(&self, state: &mut MachineState, event: &RecordedEvent) -> Result<(), BoxError> {
        if is_transition(event) {
            state.move_to(to_state(&event.payload)?, event);
        }
        Ok(())
    }
}

/// Counts every event and takes its type for the status: what can be said of a type that has no
/// machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventCountReducer;

impl Reducer for EventCountReducer {
    type State = MachineState;

    fn name(&self) -> &str {
        "$events"
    }

    fn initial(&self) -> MachineState {
        MachineState::default()
    }

    fn apply(&self, state: &mut MachineState, event: &RecordedEvent) -> Result<(), BoxError> {
        state.move_to(event.event_type.to_string(), event);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::Shape;

    /// Both reducers fold into this shape under version 1. When it changes, give both a new
    /// version, or snapshots of the shape before would count.
    #[test]
    fn the_version_stands_for_this_shape() {
        let shape = Shape::of(&schemars::schema_for!(MachineState)).to_string();
        assert_eq!(
            (MachineReducer.version(), EventCountReducer.version()),
            ("1", "1")
        );
        insta::assert_snapshot!(shape, @r#"
        properties.lastTransitionAt.type = ["null","string"]
        properties.status.type = ["null","string"]
        properties.transitionCount.format = "uint64"
        properties.transitionCount.minimum = 0
        properties.transitionCount.type = "integer"
        required = ["transitionCount"]
        type = "object"
        "#);
    }
}
