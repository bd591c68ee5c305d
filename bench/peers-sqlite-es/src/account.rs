//! The aggregate that cqrs-es wants to know of. No command is executed: the session persists
//! events and reads them.

use std::convert::Infallible;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};
use session::Event;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Account {}

/// What the payload of the workload holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Credited {
    amount: u64,
    currency: String,
    reference: String,
    note: String,
    terminal: String,
    operator: String,
}

impl DomainEvent for Credited {
    fn event_type(&self) -> String {
        Event::EVENT_TYPE.to_owned()
    }

    fn event_version(&self) -> String {
        "1.0.0".to_owned()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = Event::AGGREGATE_TYPE;
    type Command = ();
    type Event = Credited;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _sink: &EventSink<Self>) -> Result<(), Infallible> {
        Ok(())
    }

    fn apply(&mut self, _event: Credited) {}
}
