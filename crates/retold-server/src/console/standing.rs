//! Where an aggregate stands at a moment, and what one event says about it.

use std::collections::BTreeMap;

use retold::{
    Json, MachineReducer, Position, RecordedEvent, Reducer, Retold, SequenceNumber, State,
    Timestamp,
};

use super::failure::Failure;

/// The state of an aggregate at a moment, as far as a page shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) status: Option<String>,
    pub(super) transition_count: u64,
    pub(super) last_transition_at: Option<Timestamp>,
    pub(super) sequence_number: SequenceNumber,
    pub(super) position: Position,
}

impl From<State> for Standing {
    fn from(state: State) -> Standing {
        Standing {
            status: state.status,
            transition_count: state.transition_count,
            last_transition_at: state.last_transition_at,
            sequence_number: state.sequence_number,
            position: state.position,
        }
    }
}

impl Standing {
    /// After an event. Before the first event nothing is there.
    pub(super) async fn after(
        retold: &Retold,
        event: Option<&RecordedEvent>,
    ) -> Result<Standing, Failure> {
        let Some(event) = event else {
            return Ok(Standing::default());
        };
        let (aggregate_type, aggregate_id) =
            (event.stream.aggregate_type(), event.stream.aggregate_id());
        if retold.machines().get(aggregate_type).is_none() {
            return Ok(Standing::without_machine(event));
        }
        let state = retold
            .state(aggregate_type.clone(), aggregate_id.clone())
            .at_sequence(event.sequence_number)
            .await?;
        Ok(state.into())
    }

    /// What is said of a type without a machine: it takes the last event only. Asking for the
    /// state would replay the stream, of which there may be no snapshots.
    fn without_machine(event: &RecordedEvent) -> Standing {
        Standing {
            status: Some(event.event_type.to_string()),
            transition_count: event.sequence_number,
            last_transition_at: Some(event.metadata.timestamp),
            sequence_number: event.sequence_number,
            position: event.position,
        }
    }
}

/// What a transition tells about itself.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) to: Option<String>,
    pub(super) reason: Option<String>,
}

impl Told {
    /// Nothing where the event is no transition.
    pub(super) fn by(event: &RecordedEvent) -> Told {
        let mut state = MachineReducer.initial();
        let to = match MachineReducer.apply(&mut state, event) {
            Ok(()) => state.status,
            Err(_) => None,
        };
        if to.is_none() {
            return Told::default();
        }
        // The context is the caller's and may hold what no decoder of ours can read, such as
        // 1e400, so only the texts are decoded.
        let fields: BTreeMap<String, Json> = event.payload.decode().unwrap_or_default();
        let text = |name: &str| fields.get(name).and_then(|value| value.decode().ok());
        Told {
            reason: text("reason"),
            to,
        }
    }
}
