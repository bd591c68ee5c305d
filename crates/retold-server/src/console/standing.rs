//! Where an aggregate stands at a moment, and what one event says about it.

use std::collections::BTreeMap;

use retold::{
    Error, Json, Machine, MachineReducer, MachineState, Position, RecordedEvent, Reducer, Retold,
    SequenceNumber, State, StreamId, Timestamp,
};

/// The state of an aggregate at a moment, as far as a page shows it. Before the first event
/// nothing is there.
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
    /// After an event that was read already.
    pub(super) async fn after(retold: &Retold, event: &RecordedEvent) -> Result<Standing, Error> {
        let stream = &event.stream;
        match retold.machines().get(stream.aggregate_type()) {
            None => Ok(Standing::without_machine(event)),
            Some(_) => Ok(state_after(retold, event).await?.into()),
        }
    }

    /// The same for the event behind this moment, without replaying the stream once more.
    pub(super) fn followed_by(
        &self,
        event: &RecordedEvent,
        machine: Option<&Machine>,
    ) -> Result<Standing, Error> {
        let Some(machine) = machine else {
            return Ok(Standing::without_machine(event));
        };
        let mut state = MachineState::default();
        state.status.clone_from(&self.status);
        state.transition_count = self.transition_count;
        state.last_transition_at = self.last_transition_at;
        let applied = MachineReducer.apply(&mut state, event);
        applied.map_err(|source| Error::Reducer {
            reducer: MachineReducer.name().to_owned(),
            stream: event.stream.clone(),
            sequence_number: event.sequence_number,
            source: source.into(),
        })?;
        Ok(Standing {
            status: Some(state.status.unwrap_or_else(|| machine.initial().to_owned())),
            transition_count: state.transition_count,
            last_transition_at: state.last_transition_at,
            sequence_number: event.sequence_number,
            position: event.position,
        })
    }

    /// What is said of a type without a machine: it takes the last event only. Asking for the
    /// state would replay the stream, of which there are no snapshots.
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

/// One event of a stream, where it is there.
pub(super) async fn event_at(
    retold: &Retold,
    stream: &StreamId,
    at: SequenceNumber,
) -> Result<Option<RecordedEvent>, Error> {
    let events = retold.events(
        stream.aggregate_type().clone(),
        stream.aggregate_id().clone(),
    );
    let page = events.from_sequence(at).to_sequence(at).await?;
    Ok(page.into_events()?.pop())
}

/// The status after an event; none for a type without a machine.
///
/// Mostly the event is a transition and says so itself, which spares a replay.
pub(super) async fn status_after(
    retold: &Retold,
    event: &RecordedEvent,
) -> Result<Option<String>, Error> {
    if retold
        .machines()
        .get(event.stream.aggregate_type())
        .is_none()
    {
        return Ok(None);
    }
    match led_to(event) {
        Some(status) => Ok(Some(status)),
        None => Ok(state_after(retold, event).await?.status),
    }
}

async fn state_after(retold: &Retold, event: &RecordedEvent) -> Result<State, Error> {
    let stream = &event.stream;
    retold
        .state(
            stream.aggregate_type().clone(),
            stream.aggregate_id().clone(),
        )
        .at_sequence(event.sequence_number)
        .await
}

/// The state that an event led to, if it is a transition.
fn led_to(event: &RecordedEvent) -> Option<String> {
    let mut state = MachineReducer.initial();
    MachineReducer.apply(&mut state, event).ok()?;
    state.status
}

/// What a transition tells about itself. Of one recorded unchecked, only `to` is certain.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) reason: Option<String>,
}

impl Told {
    /// Nothing where the event is no transition.
    pub(super) fn by(event: &RecordedEvent) -> Told {
        let Some(to) = led_to(event) else {
            return Told::default();
        };
        // The context is the caller's and may hold what no decoder of ours can read, such as
        // 1e400, so only the texts are decoded.
        let fields: BTreeMap<String, Json> = event.payload.decode().unwrap_or_default();
        let text = |name: &str| fields.get(name).and_then(|value| value.decode().ok());
        Told {
            from: text("fromState"),
            reason: text("reason"),
            to: Some(to),
        }
    }
}
