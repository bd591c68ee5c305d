//! The scenarios of aggregates on a real store: the same text, with one switch.

use std::thread;

use retold_core::{NewEvent, StreamId, limits};

use super::aggregate::Written;
use super::diff::{assert_same, pretty};
use crate::aggregate::Aggregate;
use crate::{Error, ExecuteError, Retold};

/// The environment variable that is the switch.
const SWITCH: &str = "RETOLD_SCENARIOS";

/// The id of the aggregate of a scenario.
const AGGREGATE_ID: &str = "scenario";

/// Whether scenarios run on a store.
#[track_caller]
pub(super) fn is_switched_on() -> bool {
    match std::env::var(SWITCH).as_deref() {
        Err(_) => false,
        Ok("store") => true,
        Ok(other) => panic!("{SWITCH} is {other:?}; it must be `store`, or not be set"),
    }
}

/// Records what happened before in a new store, executes the command there, and gives what the
/// log holds of it. The state that the command led to must be the one that the log leads to.
#[track_caller]
pub(super) fn execute<A: Aggregate>(
    happened: &[Written],
    command: A::Command,
) -> Result<Vec<Written>, A::Error> {
    // A test may run in a runtime of its own, in which another cannot be waited for.
    let outcome = thread::scope(|scope| {
        let run = || -> Result<Result<Vec<Written>, A::Error>, Error> {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().build();
            let runtime = runtime.map_err(|error| retold_core::Error::io("start", error))?;
            runtime.block_on(execute_on_new_store::<A>(happened, command))
        };
        scope.spawn(run).join()
    });
    match outcome {
        Ok(Ok(decided)) => decided,
        Ok(Err(error)) => panic!("failed to {error}"),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

async fn execute_on_new_store<A: Aggregate>(
    happened: &[Written],
    command: A::Command,
) -> Result<Result<Vec<Written>, A::Error>, Error> {
    let folder = tempfile::tempdir().map_err(|error| retold_core::Error::io("start", error))?;
    let location = if cfg!(feature = "engine") {
        folder.path().join("data")
    } else {
        "memory:".into()
    };
    let retold = Retold::open(&location).await?;
    let stream = StreamId::new(A::TYPE, AGGREGATE_ID)?;
    for chunk in happened.chunks(limits::EVENTS_PER_APPEND_MAX) {
        let events = chunk.iter().map(|written| {
            let event_type = written.event_type.as_str();
            let payload = written.payload.clone();
            NewEvent::from_json(stream.clone(), event_type, payload)
                .version(written.version.as_str())
        });
        retold.append(events.collect::<Vec<_>>()).await?;
    }
    let outcome = match retold.execute::<A>(AGGREGATE_ID, command).await {
        Ok(executed) => {
            // A handle that has nothing in memory derives the state from the log alone.
            let cold = Retold::builder().store(retold.store().clone());
            let derived = cold.build().await?.load::<A>(AGGREGATE_ID).await?;
            let [derived, answered] =
                [&derived.state, &executed.state].map(|state| pretty(&**state));
            assert_same("the state that the log leads to", &answered, &derived);
            let recorded = executed.recorded.into_iter().map(|event| Written {
                event_type: event.event_type.to_string(),
                version: event.metadata.version.to_string(),
                payload: event.payload,
            });
            Ok(recorded.collect())
        }
        Err(ExecuteError::Rejected(rejected)) => Err(rejected),
        Err(ExecuteError::Failed(error)) => return Err(error),
    };
    retold.close().await?;
    Ok(outcome)
}
