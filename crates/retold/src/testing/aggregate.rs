//! Asking an aggregate: what happened before, what is asked of it, what follows.

use std::fmt::Debug;

use retold_core::Json;
use serde::Serialize;

use super::diff::{assert_same, pretty};
use super::store::{self, is_switched_on};
use crate::aggregate::{Aggregate, Event, EventKind};

/// Begins with what happened to an aggregate before; `[]` where nothing did.
///
/// ```
/// # use retold::{Aggregate, Event};
/// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// # struct Account { balance: u64 }
/// # #[derive(Event)]
/// # enum AccountEvent {
/// #     #[event("account.deposited")] Deposited { amount: u64 },
/// #     #[event("account.withdrawn")] Withdrawn { amount: u64 },
/// # }
/// # enum AccountCommand { Withdraw { amount: u64 } }
/// # #[derive(Debug)]
/// # struct Overdrawn { balance: u64 }
/// # impl Aggregate for Account {
/// #     const TYPE: &'static str = "Account";
/// #     type Event = AccountEvent;
/// #     type Command = AccountCommand;
/// #     type Error = Overdrawn;
/// #     fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, Overdrawn> {
/// #         let AccountCommand::Withdraw { amount } = *command;
/// #         if amount > self.balance { return Err(Overdrawn { balance: self.balance }); }
/// #         Ok(vec![AccountEvent::Withdrawn { amount }])
/// #     }
/// #     fn apply(&mut self, event: AccountEvent) {
/// #         match event {
/// #             AccountEvent::Deposited { amount } => self.balance += amount,
/// #             AccountEvent::Withdrawn { amount } => self.balance -= amount,
/// #         }
/// #     }
/// # }
/// use retold::testing::given;
///
/// given::<Account>([AccountEvent::Deposited { amount: 10 }])
///     .when(AccountCommand::Withdraw { amount: 7 })
///     .then([AccountEvent::Withdrawn { amount: 7 }])
///     .when(AccountCommand::Withdraw { amount: 7 })
///     .then_error(Overdrawn { balance: 3 });
/// ```
///
/// # Panics
/// When an event cannot be written as JSON and read back.
#[track_caller]
#[must_use = "a scenario says something only with `then`"]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> AggregateScenario<A> {
    let mut scenario = AggregateScenario {
        state: A::default(),
        happened: Vec::new(),
    };
    for event in events {
        scenario.happen(Written::new(event));
    }
    scenario
}

/// An aggregate and what has happened to it: [`given`].
pub struct AggregateScenario<A> {
    state: A,
    happened: Vec<Written>,
}

/// An event as it would be recorded. Events need not be comparable: what counts is what is
/// written.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) event_type: String,
    pub(super) version: String,
    pub(super) payload: Json,
}

impl Written {
    #[track_caller]
    fn new<E: Event>(event: E) -> Written {
        let EventKind {
            event_type,
            version,
        } = *event.kind();
        match event.into_payload() {
            Ok(payload) => Written {
                event_type: event_type.to_owned(),
                version: version.to_owned(),
                payload,
            },
            Err(error) => panic!("failed to write {event_type} as JSON: {error}"),
        }
    }

    #[track_caller]
    fn read<E: Event>(&self) -> E {
        match E::from_payload(&self.event_type, &self.payload) {
            Ok(Some(event)) => event,
            Ok(None) => panic!("{} is read as none of the events", self.event_type),
            Err(error) => panic!(
                "{} is written as {}, which cannot be read back: {error}",
                self.event_type, self.payload
            ),
        }
    }

    fn told(&self) -> String {
        format!(
            "{} {} {}",
            self.event_type,
            self.version,
            pretty(&self.payload)
        )
    }
}

impl<A: Aggregate> AggregateScenario<A> {
    /// Asks for a command.
    ///
    /// # Panics
    /// On a real store, when the command fails otherwise than by being rejected.
    #[track_caller]
    #[must_use = "a scenario says something only with `then`"]
    pub fn when(self, command: A::Command) -> AskedAggregate<A> {
        let outcome = if is_switched_on() {
            store::execute::<A>(&self.happened, command)
        } else {
            let decided = self.state.decide(&command);
            decided.map(|events| events.into_iter().map(Written::new).collect())
        };
        AskedAggregate {
            scenario: self,
            outcome,
        }
    }

    /// The state is as expected, compared as JSON.
    ///
    /// # Panics
    /// When it is not, with the lines that differ.
    #[track_caller]
    pub fn then_state(self, expected: &(impl Serialize + ?Sized)) -> Self {
        assert_same("the state", &pretty(expected), &pretty(&self.state));
        self
    }

    #[track_caller]
    fn happen(&mut self, written: Written) {
        self.state.apply(written.read());
        self.happened.push(written);
    }
}

/// An aggregate that was asked for a command: [`AggregateScenario::when`].
#[must_use = "a scenario says something only with `then`"]
pub struct AskedAggregate<A: Aggregate> {
    scenario: AggregateScenario<A>,
    outcome: Result<Vec<Written>, A::Error>,
}

impl<A: Aggregate> AskedAggregate<A>
where
    A::Error: Debug,
{
    /// These events follow, compared by name, version and payload; the scenario goes on from
    /// there.
    ///
    /// # Panics
    /// When others do, with the lines that differ; and when the command was rejected.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> AggregateScenario<A> {
        let told = |events: &[Written]| {
            let events: Vec<String> = events.iter().map(Written::told).collect();
            events.join("\n")
        };
        let expected: Vec<Written> = expected.into_iter().map(Written::new).collect();
        let found = match self.outcome {
            Ok(found) => found,
            Err(error) => panic!("the command was rejected: {error:?}"),
        };
        assert_same("what follows", &told(&expected), &told(&found));
        let mut scenario = self.scenario;
        for written in found {
            scenario.happen(written);
        }
        scenario
    }

    /// No event follows, and the command is not rejected either.
    ///
    /// # Panics
    /// When it is otherwise.
    #[track_caller]
    pub fn then_nothing(self) -> AggregateScenario<A> {
        self.then([])
    }

    /// The command is rejected with this error, compared by its `Debug` form, so that errors
    /// need not be comparable; the scenario goes on from the state before.
    ///
    /// # Panics
    /// When it is rejected with another one, with the lines that differ; and when it is not.
    #[track_caller]
    pub fn then_error(self, expected: A::Error) -> AggregateScenario<A> {
        match &self.outcome {
            Err(found) => assert_same(
                "the error",
                &format!("{expected:#?}"),
                &format!("{found:#?}"),
            ),
            Ok(events) => {
                let events: Vec<String> = events.iter().map(Written::told).collect();
                panic!(
                    "the command was not rejected with {expected:?}; what follows is:\n{}",
                    events.join("\n")
                );
            }
        }
        self.scenario
    }
}
