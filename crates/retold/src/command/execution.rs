//! Carrying a command out: look at the state, decide, append with the sequence numbers that the
//! decision rests on, and begin again when another writer was faster.

use retold_core::{Error as StoreError, Expected, NewEvent, RecordedEvent, StreamId};

use super::facts::Facts;
use super::key::Key;
use super::member::AnyMember;
use super::together::Together;
use super::{COMMAND_ATTEMPTS_MAX, ExecuteError};
use crate::{Error, Retold};

/// Carries a command over one aggregate or several out, or says why not.
pub(super) async fn execute<G: Together, E>(
    retold: &Retold,
    ids: G::Ids,
    facts: &Facts,
    mut decide: impl FnMut(&G::States) -> Result<G::Events, E> + Send,
) -> Result<G::Executed, ExecuteError<E>> {
    let mut members = G::members(retold, ids)?;
    let streams = streams(&mut G::each(&mut members))?;
    let key = match &facts.key {
        Some(key) => Some(Key::new(&streams[0], key)?),
        None => None,
    };
    let _turns = retold.inner().turns.wait(streams).await;
    let mut is_certain = !recall(&mut G::each(&mut members));
    if is_certain {
        settle(retold, &mut G::each(&mut members)).await?;
    }
    for _ in 0..COMMAND_ATTEMPTS_MAX {
        let mut new = loop {
            // After the state was read: what another process has recorded under the key by then
            // is in the state, and must not be decided over once more.
            if let Some(recorded) = known(retold, key.as_ref()).await? {
                return repeated::<G, E>(retold, members, &recorded).await;
            }
            let writes_nothing = match decide(&G::states(&members)) {
                Ok(events) => {
                    let new = G::to_new(retold, &members, events)?;
                    if !new.is_empty() {
                        break new;
                    }
                    Ok(())
                }
                Err(rejected) => Err(rejected),
            };
            if is_certain {
                return match writes_nothing {
                    Ok(()) => Ok(G::executed(retold, members, true, &[])?),
                    Err(rejected) => Err(ExecuteError::Rejected(rejected)),
                };
            }
            // A state from memory may only accept: another process may have written.
            settle(retold, &mut G::each(&mut members)).await?;
            is_certain = true;
        };
        facts.write_into(&mut new, key.as_ref())?;
        match append(retold, new, &mut G::each(&mut members)).await {
            Ok(appended) if appended.is_new => {
                for member in G::each(&mut members) {
                    member.record(retold, &appended.events)?;
                }
                return Ok(G::executed(retold, members, true, &appended.events)?);
            }
            // Another process has used the key in the meantime. What was decided here may be no
            // more than the beginning of what it has recorded, so that is looked up as a whole.
            Ok(appended) => {
                let recorded = known(retold, key.as_ref()).await?;
                let recorded = recorded.unwrap_or(appended.events);
                return repeated::<G, E>(retold, members, &recorded).await;
            }
            Err(error @ Error::Store(StoreError::IdentityConflict { .. })) => {
                return match known(retold, key.as_ref()).await? {
                    Some(recorded) => repeated::<G, E>(retold, members, &recorded).await,
                    None => Err(error.into()),
                };
            }
            Err(Error::Store(StoreError::Conflict { .. })) => {
                settle(retold, &mut G::each(&mut members)).await?;
                is_certain = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(&mut G::each(&mut members)).into())
}

/// The streams of the members, each another one.
fn streams(members: &mut [&mut dyn AnyMember]) -> Result<Vec<StreamId>, StoreError> {
    let mut streams: Vec<StreamId> = Vec::with_capacity(members.len());
    for member in members {
        if streams.contains(member.stream()) {
            return Err(StoreError::invalid(
                "aggregateId",
                format!("must not name {} twice in one command", member.stream()),
            ));
        }
        streams.push(member.stream().clone());
    }
    Ok(streams)
}

/// Takes the states from memory, and gives whether all of them were there. Those of several
/// aggregates may be of different moments, which is found out when they are appended to.
fn recall(members: &mut [&mut dyn AnyMember]) -> bool {
    let mut all = true;
    for member in members {
        all &= member.recall();
    }
    all
}

/// Reads the states as they are. Those of several aggregates are read until nothing was new in
/// any of them: then there was a moment at which all of them held.
async fn settle(retold: &Retold, members: &mut [&mut dyn AnyMember]) -> Result<(), Error> {
    let is_alone = members.len() == 1;
    for _ in 0..COMMAND_ATTEMPTS_MAX {
        let mut is_settled = true;
        for member in members.iter_mut() {
            let is_changed = member.refresh(retold).await?;
            is_settled &= !is_changed;
        }
        if is_settled || is_alone {
            return Ok(());
        }
    }
    Err(contended(members))
}

async fn append(
    retold: &Retold,
    events: Vec<NewEvent>,
    members: &mut [&mut dyn AnyMember],
) -> Result<retold_core::Appended, Error> {
    let mut append = retold.append(events);
    for member in members {
        let expected: Expected = member.expected();
        append = append.expect_stream(member.stream().clone(), expected);
    }
    append.await
}

/// What was recorded under the key before.
async fn known(
    retold: &Retold,
    key: Option<&Key>,
) -> Result<Option<Vec<RecordedEvent>>, StoreError> {
    let Some(key) = key else { return Ok(None) };
    let recorded = key.look_up(&**retold.store()).await?;
    Ok((!recorded.is_empty()).then_some(recorded))
}

/// The first answer: the events of then, and the state that they led to.
async fn repeated<G: Together, E>(
    retold: &Retold,
    mut members: G::Members,
    recorded: &[RecordedEvent],
) -> Result<G::Executed, ExecuteError<E>> {
    let last = recorded.last().map_or(0, |event| event.position);
    for member in G::each(&mut members) {
        member.go_back(retold, last).await?;
    }
    Ok(G::executed(retold, members, false, recorded)?)
}

fn contended(members: &mut [&mut dyn AnyMember]) -> Error {
    Error::Contended {
        streams: members
            .iter()
            .map(|member| member.stream().clone())
            .collect(),
        attempts: COMMAND_ATTEMPTS_MAX,
    }
}
