//! What makes a machine's file invalid, one kind for each rule.

/// Why a machine is not accepted. Each message finishes the sentence "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// Not TOML, or not the keys of a machine.
    #[error("read the machine: {reason}")]
    Malformed {
        /// What the parser says, with the line.
        reason: String,
    },
    /// A name that cannot be used as what it is for.
    #[error("accept the machine: {field} {name:?} {reason}")]
    Name {
        /// The key that holds it, such as `transition.name`.
        field: &'static str,
        /// The name.
        name: String,
        /// What it must be.
        reason: String,
    },
    /// No states.
    #[error("accept the machine: it has no states; list them in `states`")]
    NoStates,
    /// A snapshot after every 0 events.
    #[error("accept the machine: snapshot_every must be at least 1")]
    SnapshotEvery,
    /// A list names the same thing twice.
    #[error("accept the machine: {field} names {name:?} twice")]
    Duplicate {
        /// The key that holds the list.
        field: &'static str,
        /// What it names twice.
        name: String,
    },
    /// A state that `states` does not list.
    #[error("accept the machine: {field} names the state {state:?}, which `states` does not list")]
    UnknownState {
        /// The key that names it.
        field: &'static str,
        /// The state.
        state: String,
    },
    /// A transition without a state to lead out of.
    #[error("accept the machine: the transition {name:?} has no state in `from`")]
    NoFrom {
        /// The transition.
        name: String,
    },
    /// A transition that leads out of a final state.
    #[error("accept the machine: the transition {name:?} leads out of {state:?}, which is final")]
    LeavesFinal {
        /// The transition.
        name: String,
        /// The final state.
        state: String,
    },
    /// A name that means two transitions in one state.
    #[error("accept the machine: in the state {state:?} the name {name:?} means two transitions")]
    Ambiguous {
        /// The state.
        state: String,
        /// The name.
        name: String,
    },
    /// A state that no path leads to.
    #[error("accept the machine: no path leads from the initial state to {state:?}")]
    Unreachable {
        /// The state.
        state: String,
    },
}
