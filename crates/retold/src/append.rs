//! Appending events plainly, with what the machines say about their names.

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{Append, Appended, Expected, Json, NewEvent, StreamId};

use crate::transition::{MACHINE_KEY, TRUSTED, to_state};
use crate::{Error, Retold};

/// One event or several, for [`Retold::append`].
pub trait IntoEvents: sealed::Sealed {
    /// The events, in order.
    fn into_events(self) -> Vec<NewEvent>;
}

impl IntoEvents for NewEvent {
    fn into_events(self) -> Vec<NewEvent> {
        vec![self]
    }
}

impl IntoEvents for Vec<NewEvent> {
    fn into_events(self) -> Vec<NewEvent> {
        self
    }
}

impl<const N: usize> IntoEvents for [NewEvent; N] {
    fn into_events(self) -> Vec<NewEvent> {
        self.into()
    }
}

mod sealed {
    use retold_core::NewEvent;

    pub trait Sealed {}
    impl Sealed for NewEvent {}
    impl Sealed for Vec<NewEvent> {}
    impl<const N: usize> Sealed for [NewEvent; N] {}
}

/// An append, to be awaited: [`Retold::append`].
#[must_use = "nothing is appended until it is awaited"]
pub struct AppendCall {
    retold: Retold,
    events: Vec<NewEvent>,
    expected: Option<Expected>,
    checks: Vec<(StreamId, Expected)>,
    trusts: bool,
}

impl AppendCall {
    pub(crate) fn new(retold: Retold, events: Vec<NewEvent>) -> AppendCall {
        AppendCall {
            retold,
            events,
            expected: None,
            checks: Vec::new(),
            trusts: false,
        }
    }

    /// Appends only if the stream of the events is as expected. They must be of one stream; for
    /// several there is [`expect_stream`](Self::expect_stream).
    pub fn expect(mut self, expected: Expected) -> Self {
        self.expected = Some(expected);
        self
    }

    /// Appends only if a stream is as expected, which may be one that the call does not write.
    pub fn expect_stream(mut self, stream: StreamId, expected: Expected) -> Self {
        self.checks.push((stream, expected));
        self
    }

    /// Records events that have the name of a transition as transitions, unchecked: for a
    /// history that was made elsewhere. Their payload must hold `toState`; other events are
    /// recorded as they are.
    pub fn trust_transitions(mut self) -> Self {
        self.trusts = true;
        self
    }

    async fn run(mut self) -> Result<Appended, Error> {
        if let Some(expected) = self.expected {
            self.checks.push((self.only_stream()?, expected));
        }
        let named = self.transition_names();
        let inner = self.retold.inner().clone();
        let append = match named.as_slice() {
            [] => self.into_append(),
            [first, ..] if !self.trusts => {
                let refused = self.refused(*first);
                let append = self.into_append();
                append.check()?;
                // What was appended before keeps its first result, also when the name has become
                // that of a transition since. A known id is never written again.
                if !is_any_known(&*inner.store, &append).await? {
                    return Err(refused);
                }
                append
            }
            named => self.into_trusted(named)?,
        };
        let appended = inner.store.append(append).await?;
        if appended.is_new {
            inner.appended_plainly(&appended.events);
        }
        Ok(appended)
    }

    /// Which events have the name of a transition of their type's machine.
    fn transition_names(&self) -> Vec<usize> {
        let machines = &self.retold.inner().machines;
        let events = self.events.iter().enumerate();
        events
            .filter(|(_, event)| {
                let machine = machines.get(event.stream.aggregate_type());
                machine.is_some_and(|machine| machine.is_transition_name(&event.event_type))
            })
            .map(|(nth, _)| nth)
            .collect()
    }

    fn only_stream(&self) -> Result<StreamId, Error> {
        let mut streams = self.events.iter().map(|event| &event.stream);
        let first = streams
            .next()
            .ok_or_else(|| retold_core::Error::invalid("events", "must hold at least one event"))?;
        if streams.any(|stream| stream != first) {
            return Err(Error::Store(retold_core::Error::invalid(
                "expected",
                "must name the stream where a call writes several",
            )));
        }
        Ok(first.clone())
    }

    fn refused(&self, nth: usize) -> Error {
        let event = &self.events[nth];
        let ids = self.events.iter().map(|event| event.metadata.event_id);
        Error::TransitionName {
            aggregate_type: event.stream.aggregate_type().to_string(),
            event_type: event.event_type.to_string(),
            event_ids: ids.collect(),
        }
    }

    fn into_append(self) -> Append {
        let append = Append::new(self.events);
        let checks = self.checks.into_iter();
        checks.fold(append, |append, (stream, expected)| {
            append.expect(stream, expected)
        })
    }

    fn into_trusted(mut self, named: &[usize]) -> Result<Append, Error> {
        // Checked before the key is added and without the right to use names that start with
        // `$`: what the caller gives must not pass for Retold's own.
        let untrusted = Append::new(self.events);
        untrusted.check()?;
        self.events = untrusted.into_events();
        let trusted = Json::from_value(TRUSTED).expect("a text can be written as JSON");
        for &nth in named {
            let event = &mut self.events[nth];
            to_state(&event.payload).map_err(|_| {
                retold_core::Error::invalid(
                    "payload",
                    format!(
                        "must hold a text toState in the transition {}",
                        event.event_type
                    ),
                )
            })?;
            let extra = &mut event.metadata.extra;
            extra.push((MACHINE_KEY.into(), trusted.clone()));
        }
        Ok(self.into_append().by_retold())
    }
}

async fn is_any_known(
    store: &dyn retold_core::EventStore,
    append: &Append,
) -> Result<bool, retold_core::Error> {
    for event_id in append.event_ids() {
        if store.read_event(event_id).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl IntoFuture for AppendCall {
    type Output = Result<Appended, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}
