//! Taking a transition: find the current state, judge, append with the stream's sequence number
//! as expectation, and begin again when the race was lost.

use std::sync::Arc;

use retold_core::{
    Append, Expected, Json, NewEvent, PointInTime, RecordedEvent, StreamConflict, StreamId,
};

use super::TRANSITION_ATTEMPTS_MAX;
use super::record::{MACHINE_KEY, is_transition, to_state};
use super::request::{Transition, Transitioned};
use crate::Error;
use crate::error::IllegalTransition;
use crate::fold::{Folded, start};
use crate::machine::{Machine, Refusal};
use crate::retold::Inner;
use crate::state::{MachineReducer, MachineState};

/// Takes a transition, or says why not.
pub(super) async fn transition(
    inner: &Arc<Inner>,
    transition: &Transition,
    expected: Expected,
) -> Result<Transitioned, Error> {
    let stream = transition.stream()?;
    let machine = inner.machines.get(stream.aggregate_type());
    let attempt = Attempt {
        inner,
        transition,
        expected,
        stream: &stream,
        requested: requested_event(transition, machine.as_deref())?,
    };
    // An id that was made with the transition is known only if the same value was sent before.
    // The store finds that out when it appends, and `known` before a refusal, so that a new
    // transition does not pay for a look-up.
    if transition.is_id_given
        && let Some(known) = attempt.known().await?
    {
        return Ok(known);
    }
    let Some(machine) = machine else {
        if let Some(known) = attempt.known().await? {
            return Ok(known);
        }
        return Err(Error::UnknownMachine {
            aggregate_type: stream.aggregate_type().to_string(),
        });
    };
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt.run(&machine).await? {
            Round::Done(transitioned) => return Ok(*transitioned),
            Round::LostRace(conflict) if attempts >= TRANSITION_ATTEMPTS_MAX => {
                return Err(Error::Store(conflict));
            }
            Round::LostRace(_) => {}
        }
    }
}

/// What one attempt came to.
enum Round {
    Done(Box<Transitioned>),
    /// Another writer was faster; nothing was written.
    LostRace(retold_core::Error),
}

/// The event as it will be recorded if the transition is allowed, but for what the machine adds:
/// the first name and the fingerprint. A `from` that is allowed is the current state, so it need
/// not be known yet.
fn requested_event(
    transition: &Transition,
    machine: Option<&Machine>,
) -> Result<NewEvent, retold_core::Error> {
    let from = transition.from.as_deref();
    let from = from.or(machine.map(Machine::initial)).unwrap_or_default();
    let event = transition.to_event(from, transition.event_name()?)?;
    // Checked without the right to use names that start with `$`: what the caller gives must
    // not pass for Retold's own.
    let append = Append::new(vec![event]);
    append.check()?;
    let event = append.into_events().pop();
    Ok(event.expect("the append was made of one event"))
}

struct Attempt<'a> {
    inner: &'a Arc<Inner>,
    transition: &'a Transition,
    expected: Expected,
    stream: &'a StreamId,
    requested: NewEvent,
}

impl Attempt<'_> {
    /// One round: the current state, the judgement, the append.
    async fn run(&self, machine: &Machine) -> Result<Round, Error> {
        let hot = self.inner.hot.look_up(self.stream);
        let mut is_certain = hot.is_none();
        let mut current = match hot {
            Some(hot) => hot,
            None => self.replay().await?,
        };
        loop {
            let judged = self.judge(machine, &current);
            match judged {
                Ok(event_type) => return self.append(machine, current, event_type).await,
                Err(refused) if is_certain => {
                    return match self.known().await? {
                        Some(known) => Ok(Round::Done(Box::new(known))),
                        None => Err(refused),
                    };
                }
                // A state from the cache may only accept: another process may have written.
                Err(_) => {
                    let head = self.inner.store.stream_head(self.stream).await?;
                    if head.map_or(0, |head| head.sequence_number) != current.sequence_number() {
                        self.inner.hot.remove(self.stream);
                        current = self.replay().await?;
                    }
                    is_certain = true;
                }
            }
        }
    }

    async fn replay(&self) -> Result<Folded<MachineState>, Error> {
        let reading = self.inner.reading(self.stream, PointInTime::Head);
        let begin = start(&reading, &*self.inner.side_store, &MachineReducer).await?;
        Ok(reading.fold_reducer(begin, &MachineReducer).await?.folded)
    }

    /// The type of the event to append, or why there is none.
    fn judge<'m>(
        &self,
        machine: &'m Machine,
        current: &Folded<MachineState>,
    ) -> Result<&'m str, Error> {
        let (to, event) = (self.transition.to_state()?, self.transition.event_name()?);
        let status = current.state.status.as_deref();
        let rule = machine
            .check(status, self.transition.from.as_deref(), to, event)
            .map_err(|refusal| self.illegal(machine, status, refusal))?;
        let actual = current.sequence_number();
        if !self.expected.admits(actual) {
            return Err(Error::Store(retold_core::Error::Conflict {
                conflicts: vec![StreamConflict {
                    stream: self.stream.clone(),
                    expected: self.expected,
                    actual,
                }],
                event_ids: vec![self.requested.metadata.event_id],
            }));
        }
        Ok(&rule.name)
    }

    fn illegal(&self, machine: &Machine, status: Option<&str>, refusal: Refusal) -> Error {
        let current = status.unwrap_or(machine.initial());
        let text = |text: &retold_core::Text| text.to_string();
        Error::IllegalTransition(Box::new(IllegalTransition {
            stream: self.stream.clone(),
            current_state: current.to_owned(),
            from_state: self.transition.from.as_ref().map(text),
            to_state: self.transition.to_state().map(text).unwrap_or_default(),
            event: self.transition.event_name().map(text).unwrap_or_default(),
            refusal,
            available_transitions: machine.available_from(current),
        }))
    }

    async fn append(
        &self,
        machine: &Machine,
        mut current: Folded<MachineState>,
        event_type: &str,
    ) -> Result<Round, Error> {
        let fingerprint = Json::from_value(machine.fingerprint())
            .map_err(|error| retold_core::Error::invalid("machine", error.to_string()))?;
        let mut event = self.requested.clone().extra(MACHINE_KEY, fingerprint);
        event.event_type = event_type.into();
        let append = Append::new(vec![event])
            .expect(
                self.stream.clone(),
                Expected::Sequence(current.sequence_number()),
            )
            .by_retold();
        let mut appended = match self.inner.store.append(append).await {
            Ok(appended) => appended,
            Err(conflict @ retold_core::Error::Conflict { .. }) => {
                self.inner.hot.remove(self.stream);
                return Ok(Round::LostRace(conflict));
            }
            Err(error) => return Err(error.into()),
        };
        let event = appended.events.pop();
        let event = event.expect("a store answers with the events of the call");
        if appended.is_new {
            match current.apply(&MachineReducer, &self.inner.upcasters, &event) {
                Ok(()) => self.inner.took_transition(self.stream, current),
                // It is written, and an error would say that it is not. Whoever reads the state
                // is told.
                Err(error) => {
                    tracing::warn!(stream = %self.stream, %error, "failed to fold a transition");
                    self.inner.hot.remove(self.stream);
                }
            }
        }
        let transitioned = transitioned(appended.is_new, event);
        Ok(Round::Done(Box::new(transitioned)))
    }

    /// The first result, where the event id is known already.
    async fn known(&self) -> Result<Option<Transitioned>, Error> {
        let event_id = self.requested.metadata.event_id;
        let Some(recorded) = self.inner.store.read_event(event_id).await? else {
            return Ok(None);
        };
        // The payload holds the name as it was sent, from which the event type followed by the
        // machine of that time; today's machine is not asked.
        let is_same = recorded.stream == *self.stream
            && (is_transition(&recorded) || recorded.event_type == self.requested.event_type)
            && recorded.payload == self.requested.payload;
        if is_same {
            return Ok(Some(transitioned(false, recorded)));
        }
        Err(Error::Store(retold_core::Error::IdentityConflict {
            event_ids: vec![event_id],
            reason: "the event id is known already with another stream, event type or payload"
                .into(),
        }))
    }
}

fn transitioned(is_new: bool, event: RecordedEvent) -> Transitioned {
    Transitioned {
        is_new,
        status: to_state(&event.payload).unwrap_or_default(),
        event,
    }
}
