//! Events of a log of cases: a case is a stream, and what the events of a case have in common
//! is the case.

use retold::{NewEvent, StreamId, Text};

use super::error::{Cause, LineError, shown};
use super::identity::{self, Ordinals};
use super::instant::Instants;
use super::payload::Object;
use super::{ImportEvent, Options};

/// Makes the events of a file, counting those of each case.
pub(super) struct Cases {
    aggregate_type: Text,
    ordinals: Ordinals,
    instants: Instants,
}

/// What a file says of one event, by the names that it uses.
pub(super) struct Parts<'a> {
    /// The event type, and the name of its field.
    pub(super) event_type: (&'a str, Option<&'a str>),
    /// When it happened, and the name of its field.
    pub(super) timestamp: (&'a str, Option<&'a str>),
    /// Who did it.
    pub(super) actor: Option<&'a str>,
    /// Everything else.
    pub(super) payload: Object,
}

impl Cases {
    /// # Errors
    /// The options must name the aggregate type.
    pub(super) fn new(options: &Options) -> Result<Cases, Cause> {
        Ok(Cases {
            aggregate_type: options.required_type()?,
            ordinals: Ordinals::default(),
            instants: Instants::new(options),
        })
    }

    /// Makes the next event of a case. One that is refused counts as one, too: `parts` may be
    /// the reason why nothing more is known of it.
    pub(super) fn event(
        &mut self,
        case: &str,
        parts: Result<Parts<'_>, LineError>,
    ) -> Result<ImportEvent, LineError> {
        let stream = StreamId::new(self.aggregate_type.clone(), case)?;
        let ordinal = self.ordinals.next(&stream);
        let parts = parts?;
        let event_type = given(parts.event_type)?;
        let (name, _) = parts.timestamp;
        let timestamp = self.instants.read(name, given(parts.timestamp)?)?;
        let event_id = identity::event_id(&stream, ordinal);
        let correlation_id = identity::correlation_id(&stream);
        let payload = parts.payload.into_payload()?;
        let mut event = NewEvent::from_json(stream, event_type, payload)
            .event_id(event_id)
            .correlation_id(correlation_id)
            .timestamp(timestamp);
        // An empty name is how tables say that nobody is known.
        if let Some(actor) = parts.actor.filter(|actor| !actor.is_empty()) {
            event = event.actor(actor);
        }
        event.check()?;
        Ok(ImportEvent {
            event,
            expected: None,
            place: None,
        })
    }
}

fn given<'a>((name, value): (&str, Option<&'a str>)) -> Result<&'a str, LineError> {
    let value = value.filter(|value| !value.is_empty());
    value.ok_or_else(|| LineError::Missing {
        what: format!("a value of {}", shown(name)),
        hint: "",
    })
}
