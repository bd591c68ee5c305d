//! The file of a machine: its TOML form and the rules that it must keep.

use std::collections::HashSet;

use retold_core::{Json, NewEvent, StreamId};
use serde::Deserialize;

use super::definition::{Machine, TransitionRule};
use super::{MachineError, SNAPSHOT_EVERY_DEFAULT};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    r#type: String,
    initial: String,
    states: Vec<String>,
    #[serde(default, rename = "final")]
    final_states: Vec<String>,
    #[serde(default = "snapshot_every_default")]
    snapshot_every: u64,
    #[serde(default, rename = "transition")]
    transitions: Vec<TransitionRule>,
}

fn snapshot_every_default() -> u64 {
    SNAPSHOT_EVERY_DEFAULT
}

/// Reads and checks a file. The fingerprint is left to the caller.
pub(super) fn parse(text: &str) -> Result<Machine, MachineError> {
    let file: File = toml::from_str(text).map_err(|error| MachineError::Malformed {
        reason: error.to_string(),
    })?;
    let machine = Machine {
        aggregate_type: file.r#type,
        initial: file.initial,
        states: file.states,
        final_states: file.final_states,
        snapshot_every: file.snapshot_every,
        transitions: file.transitions,
        toml: text.to_owned(),
        fingerprint: String::new(),
    };
    check_type(&machine.aggregate_type)?;
    check_states(&machine)?;
    machine
        .transitions
        .iter()
        .try_for_each(|rule| check_rule(&machine, rule))?;
    check_unambiguous(&machine)?;
    check_reachable(&machine)?;
    Ok(machine)
}

fn check_type(aggregate_type: &str) -> Result<(), MachineError> {
    let refuse = |reason: String| MachineError::Name {
        field: "type",
        name: aggregate_type.to_owned(),
        reason,
    };
    let stream = StreamId::new(aggregate_type, "1").map_err(|error| refuse(reason_of(error)))?;
    if stream.is_reserved() {
        return Err(refuse(
            "must not start with $: such types are Retold's own".into(),
        ));
    }
    Ok(())
}

fn check_states(machine: &Machine) -> Result<(), MachineError> {
    if machine.states.is_empty() {
        return Err(MachineError::NoStates);
    }
    if machine.snapshot_every == 0 {
        return Err(MachineError::SnapshotEvery);
    }
    for state in &machine.states {
        check_name("states", state)?;
    }
    check_once("states", &machine.states)?;
    check_once("final", &machine.final_states)?;
    check_known(machine, "initial", &machine.initial)?;
    let mut final_states = machine.final_states.iter();
    final_states.try_for_each(|state| check_known(machine, "final", state))
}

fn check_rule(machine: &Machine, rule: &TransitionRule) -> Result<(), MachineError> {
    check_name("transition.name", &rule.name)?;
    for alias in &rule.aliases {
        check_name("transition.aliases", alias)?;
    }
    let names: Vec<String> = rule.names().map(str::to_owned).collect();
    check_once("transition.aliases", &names)?;
    check_once("transition.from", &rule.from)?;
    if rule.from.is_empty() {
        return Err(MachineError::NoFrom {
            name: rule.name.clone(),
        });
    }
    for state in &rule.from {
        check_known(machine, "transition.from", state)?;
        if machine.final_states.contains(state) {
            return Err(MachineError::LeavesFinal {
                name: rule.name.clone(),
                state: state.clone(),
            });
        }
    }
    check_known(machine, "transition.to", &rule.to)
}

/// A name of a transition becomes an event type, and a state stands beside it: both keep the
/// form of an event type.
fn check_name(field: &'static str, name: &str) -> Result<(), MachineError> {
    let stream = StreamId::new("Name", "1").expect("a well-formed name");
    NewEvent::from_json(stream, name, Json::null())
        .check()
        .map_err(|error| MachineError::Name {
            field,
            name: name.to_owned(),
            reason: reason_of(error),
        })
}

fn reason_of(error: retold_core::Error) -> String {
    match error {
        retold_core::Error::Invalid { reason, .. } => reason,
        other => other.to_string(),
    }
}

fn check_once(field: &'static str, names: &[String]) -> Result<(), MachineError> {
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(MachineError::Duplicate {
            field,
            name: name.clone(),
        }),
    }
}

fn check_known(machine: &Machine, field: &'static str, state: &str) -> Result<(), MachineError> {
    if machine.states.iter().any(|known| known == state) {
        return Ok(());
    }
    Err(MachineError::UnknownState {
        field,
        state: state.to_owned(),
    })
}

fn check_unambiguous(machine: &Machine) -> Result<(), MachineError> {
    let mut seen = HashSet::new();
    for rule in &machine.transitions {
        for state in &rule.from {
            for name in rule.names() {
                if !seen.insert((state, name)) {
                    return Err(MachineError::Ambiguous {
                        state: state.clone(),
                        name: name.to_owned(),
                    });
                }
            }
        }
    }
    Ok(())
}

fn check_reachable(machine: &Machine) -> Result<(), MachineError> {
    let mut reached = HashSet::from([machine.initial.as_str()]);
    let mut to_visit = vec![machine.initial.as_str()];
    while let Some(state) = to_visit.pop() {
        for rule in &machine.transitions {
            if rule.from.iter().any(|from| from == state) && reached.insert(&rule.to) {
                to_visit.push(&rule.to);
            }
        }
    }
    match machine
        .states
        .iter()
        .find(|s| !reached.contains(s.as_str()))
    {
        None => Ok(()),
        Some(state) => Err(MachineError::Unreachable {
            state: state.clone(),
        }),
    }
}
