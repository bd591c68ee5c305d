//! Asking a machine, transition by transition.

use crate::{Machine, Refusal};

/// Begins with a machine before the first transition.
#[must_use = "a scenario says something only with `then`"]
pub fn machine(machine: &Machine) -> MachineScenario<'_> {
    MachineScenario {
        machine,
        state: None,
    }
}

/// A machine in a state: [`machine`].
pub struct MachineScenario<'a> {
    machine: &'a Machine,
    state: Option<String>,
}

impl<'a> MachineScenario<'a> {
    /// The state that it is in.
    ///
    /// # Panics
    /// When the machine has no such state.
    #[must_use = "a scenario says something only with `then`"]
    pub fn given(mut self, state: &str) -> Self {
        let is_known = self.machine.states().iter().any(|known| known == state);
        assert!(
            is_known,
            "the machine {:?} has no state {state}; it has {}",
            self.machine,
            self.machine.states().join(", ")
        );
        self.state = Some(state.to_owned());
        self
    }

    /// Asks for a transition to a state, by name, out of the state that it is in.
    pub fn when(self, to: &str, event: &str) -> AskedMachine<'a> {
        let from = self.state.clone();
        self.ask(from.as_deref(), to, event)
    }

    /// Asks for a transition out of the state that the caller believes it to be in.
    pub fn when_from(self, from: &str, to: &str, event: &str) -> AskedMachine<'a> {
        self.ask(Some(from), to, event)
    }

    fn ask(self, from: Option<&str>, to: &str, event: &str) -> AskedMachine<'a> {
        let current = self.state.as_deref();
        let rule = self.machine.check(current, from, to, event);
        let answer = rule.map(|rule| rule.to.clone());
        let state = current.unwrap_or(self.machine.initial());
        let question = format!("{event} from {state} to {to}");
        AskedMachine {
            scenario: self,
            question,
            answer,
        }
    }
}

/// A machine that was asked for a transition: [`MachineScenario::when`].
#[must_use = "a scenario says something only with `then`"]
pub struct AskedMachine<'a> {
    scenario: MachineScenario<'a>,
    question: String,
    answer: Result<String, Refusal>,
}

impl<'a> AskedMachine<'a> {
    /// It is taken and leads to `state`; the scenario goes on from there.
    ///
    /// # Panics
    /// When it is refused, or leads elsewhere.
    #[track_caller]
    pub fn then(self, state: &str) -> MachineScenario<'a> {
        match &self.answer {
            Ok(to) if to == state => {}
            Ok(to) => panic!("{} leads to {to}, not to {state}", self.question),
            Err(refusal) => panic!("{} is refused: {refusal}", self.question),
        }
        MachineScenario {
            machine: self.scenario.machine,
            state: self.answer.ok(),
        }
    }

    /// It is refused for that reason; the scenario goes on from the state before.
    ///
    /// # Panics
    /// When it is taken, or refused for another reason.
    #[track_caller]
    pub fn then_refused(self, refusal: Refusal) -> MachineScenario<'a> {
        match self.answer {
            Err(found) if found == refusal => self.scenario,
            Err(found) => panic!(
                "{} is refused because {found}, not because {refusal}",
                self.question
            ),
            Ok(to) => panic!("{} is not refused; it leads to {to}", self.question),
        }
    }
}
