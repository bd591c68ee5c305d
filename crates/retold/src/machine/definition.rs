//! What a machine is, and the one question that is asked of it: may this transition be taken?
//! Pure functions of the definition; reading and writing are left to `transition`.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{MachineError, file};

/// A state machine: which states an aggregate type has, where it starts, and which transitions
/// exist.
///
/// A machine is written as TOML, so that a service in any language can add its own:
///
/// ```
/// let machine = retold::Machine::from_toml(r#"
///     type = "Order"
///     initial = "OPEN"
///     states = ["OPEN", "PAID", "CLOSED"]
///     final = ["CLOSED"]
///     snapshot_every = 100            # 50 unless given
///
///     [[transition]]
///     name = "pay"                    # the event type that is recorded
///     aliases = ["settle"]            # further names that it may be asked for by
///     from = ["OPEN"]
///     to = "PAID"
///
///     [[transition]]
///     name = "close"
///     from = ["OPEN", "PAID"]
///     to = "CLOSED"
/// "#)?;
/// assert_eq!(machine.aggregate_type(), "Order");
/// # Ok::<(), retold::MachineError>(())
/// ```
///
/// As JSON it is `{type, initial, states, final, snapshotEvery, transitions: [{name, aliases,
/// from, to}]}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Machine {
    pub(super) aggregate_type: String,
    pub(super) initial: String,
    pub(super) states: Vec<String>,
    pub(super) final_states: Vec<String>,
    pub(super) snapshot_every: u64,
    pub(super) transitions: Vec<TransitionRule>,
    pub(super) toml: String,
    pub(super) fingerprint: String,
}

/// A transition of a machine: from any of some states to one state, under some names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TransitionRule {
    /// Its first name, which is the type of the events that it records.
    pub name: String,
    /// Further names that it may be asked for by.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The states that it leads out of.
    pub from: Vec<String>,
    /// The state that it leads to.
    pub to: String,
}

impl TransitionRule {
    /// Whether it may be asked for by `name`.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    /// Its first name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name)
            .chain(&self.aliases)
            .map(String::as_str)
    }

    fn leads_out_of(&self, state: &str) -> bool {
        self.from.iter().any(|from| from == state)
    }
}

/// A transition that can be taken next. As JSON `{event, aliases, toState}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AvailableTransition {
    /// Its first name.
    pub event: String,
    /// Further names that it may be asked for by.
    pub aliases: Vec<String>,
    /// The state that it leads to.
    pub to_state: String,
}

/// Why a transition may not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The `from` that was given is not the current state.
    StaleFromState,
    /// No transition leads from the current state to the one asked for.
    NoSuchEdge,
    /// A transition leads there, but under another name.
    WrongName,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::StaleFromState => "that is not its current state",
            Refusal::NoSuchEdge => "no transition leads there",
            Refusal::WrongName => "the transition that leads there has another name",
        })
    }
}

impl Machine {
    /// Reads a machine from its TOML file and checks it.
    ///
    /// # Errors
    /// [`MachineError`] names what is wrong: every state must be reachable, no transition may
    /// lead out of a final state, and in each state a name must mean one transition only.
    pub fn from_toml(text: &str) -> Result<Machine, MachineError> {
        let mut machine = file::parse(text)?;
        machine.fingerprint = machine.make_fingerprint();
        Ok(machine)
    }

    /// The machine of an [issue](crate::aggregate::ISSUE), as shipped.
    pub fn issue() -> Machine {
        Machine::from_toml(include_str!("issue.toml")).expect("a test reads the shipped file")
    }

    /// The machine of an [execution](crate::aggregate::EXECUTION), as shipped.
    pub fn execution() -> Machine {
        Machine::from_toml(include_str!("execution.toml")).expect("a test reads the shipped file")
    }

    /// The aggregate type whose streams it governs.
    pub fn aggregate_type(&self) -> &str {
        &self.aggregate_type
    }

    /// The state before the first transition.
    pub fn initial(&self) -> &str {
        &self.initial
    }

    /// All states, in the order of the file.
    pub fn states(&self) -> &[String] {
        &self.states
    }

    /// The states that no transition leads out of by intent.
    pub fn final_states(&self) -> &[String] {
        &self.final_states
    }

    /// How many events of a stream lie between two automatic snapshots.
    pub fn snapshot_every(&self) -> u64 {
        self.snapshot_every
    }

    /// All transitions, in the order of the file.
    pub fn transitions(&self) -> &[TransitionRule] {
        &self.transitions
    }

    /// The file that it was read from.
    pub fn toml(&self) -> &str {
        &self.toml
    }

    /// The first 16 hexadecimal digits of the SHA-256 of the machine's JSON, which is recorded
    /// with every transition that the machine judged.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether `name` is the name or an alias of a transition. Plain appends must not use it.
    pub fn is_transition_name(&self, name: &str) -> bool {
        self.transitions.iter().any(|rule| rule.is_called(name))
    }

    /// The transitions that lead out of `state`.
    pub fn available_from(&self, state: &str) -> Vec<AvailableTransition> {
        let leading_out = self.transitions.iter().filter(|r| r.leads_out_of(state));
        leading_out
            .map(|rule| AvailableTransition {
                event: rule.name.clone(),
                aliases: rule.aliases.clone(),
                to_state: rule.to.clone(),
            })
            .collect()
    }

    /// Decides whether a transition may be taken, and returns the rule that allows it.
    ///
    /// `current` is the state after the last recorded transition, none before the first; `from`
    /// is what the caller believes it to be, where none stands for "no transition yet".
    ///
    /// # Errors
    /// The [`Refusal`] that applies first: a stale `from`, then the edge, then the name.
    pub fn check(
        &self,
        current: Option<&str>,
        from: Option<&str>,
        to: &str,
        event: &str,
    ) -> Result<&TransitionRule, Refusal> {
        let is_as_believed = match (from, current) {
            (None, current) => current.is_none(),
            (Some(from), current) => from == current.unwrap_or(&self.initial),
        };
        if !is_as_believed {
            return Err(Refusal::StaleFromState);
        }
        let state = current.unwrap_or(&self.initial);
        let mut edges = self
            .transitions
            .iter()
            .filter(|rule| rule.leads_out_of(state) && rule.to == to)
            .peekable();
        if edges.peek().is_none() {
            return Err(Refusal::NoSuchEdge);
        }
        edges
            .find(|rule| rule.is_called(event))
            .ok_or(Refusal::WrongName)
    }

    fn make_fingerprint(&self) -> String {
        /// Bytes of the digest that are shown: 64 bits tell the few versions of one machine apart.
        const FINGERPRINT_BYTES: usize = 8;
        let json = serde_json::to_vec(self).expect("strings and numbers can be written as JSON");
        let digest = Sha256::digest(&json);
        digest[..FINGERPRINT_BYTES]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl Serialize for Machine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut machine = serializer.serialize_struct("Machine", 6)?;
        machine.serialize_field("type", &self.aggregate_type)?;
        machine.serialize_field("initial", &self.initial)?;
        machine.serialize_field("states", &self.states)?;
        machine.serialize_field("final", &self.final_states)?;
        machine.serialize_field("snapshotEvery", &self.snapshot_every)?;
        machine.serialize_field("transitions", &self.transitions)?;
        machine.end()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Machine({} {})", self.aggregate_type, self.fingerprint)
    }
}
