//! One aggregate of a command: its state as far as it is known, and what follows from the events
//! that the command has recorded.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{Expected, Json, NewEvent, PointInTime, Position, RecordedEvent, StreamId, Text};

use super::request::Executed;
use crate::aggregate::{Aggregate, Event, Kind, read};
use crate::fold::{Folded, Reducer};
use crate::retold::Inner;
use crate::{Error, Retold};

/// An aggregate of a command.
pub struct Member<A: Aggregate> {
    kind: Arc<Kind<A>>,
    stream: StreamId,
    state: Folded<Arc<A>>,
}

/// An aggregate of a command, of whatever kind.
pub trait AnyMember: Send {
    /// Its stream.
    fn stream(&self) -> &StreamId;

    /// What the stream must be like for the decision to hold.
    fn expected(&self) -> Expected;

    /// Takes the state from memory, and gives whether there was one.
    fn recall(&mut self) -> bool;

    /// Reads on to the head of the stream, and gives whether there was anything new.
    fn refresh<'a>(&'a mut self, retold: &'a Retold) -> BoxFuture<'a, Result<bool, Error>>;

    /// Goes back to the state that it was in when the log had reached a position.
    fn go_back<'a>(
        &'a mut self,
        retold: &'a Retold,
        position: Position,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Folds in those of the events that are its own, which were just recorded.
    fn record(&mut self, retold: &Retold, recorded: &[RecordedEvent]) -> Result<(), Error>;
}

impl<A: Aggregate> Member<A> {
    pub(super) fn new(retold: &Retold, id: Text) -> Result<Member<A>, Error> {
        Ok(Member {
            kind: retold.inner().kinds.of::<A>(),
            stream: StreamId::new(A::TYPE, id)?,
            state: Folded::initial(Arc::default()),
        })
    }

    pub(super) fn state(&self) -> Arc<A> {
        self.state.state.clone()
    }

    /// The events as they are to be recorded. Each is read back first: what could not be read
    /// again must not be written.
    pub(super) fn to_new(
        &self,
        retold: &Retold,
        events: Vec<A::Event>,
    ) -> Result<Vec<NewEvent>, Error> {
        let new = events.into_iter().map(|event| {
            let kind = event.kind();
            let payload = event.into_payload().map_err(|error| error.of("payload"))?;
            let new = NewEvent::from_json(self.stream.clone(), kind.event_type, payload);
            let new = new.version(kind.version);
            let timestamp = new.metadata.timestamp;
            let as_recorded = new.clone().record(1, 1, timestamp);
            read::<A::Event>(&retold.inner().upcasters, &as_recorded)
                .map_err(|error| unreadable(&as_recorded, &error))?;
            Ok(new)
        });
        new.collect()
    }

    /// The answer, when the state is the one that the command led to.
    pub(super) fn executed(
        self,
        retold: &Retold,
        is_new: bool,
        recorded: &[RecordedEvent],
    ) -> Result<Executed<A>, Error> {
        let own = recorded
            .iter()
            .filter(|event| event.stream == self.stream)
            .cloned();
        let recorded: Vec<RecordedEvent> = own.collect();
        let mut events = Vec::with_capacity(recorded.len());
        for event in &recorded {
            events.extend(read(&retold.inner().upcasters, event)?);
        }
        Ok(Executed {
            is_new,
            events,
            recorded,
            sequence_number: self.state.sequence_number(),
            state: self.state.state,
        })
    }

    /// Folds the next event in.
    fn apply(&mut self, retold: &Retold, event: &RecordedEvent) -> Result<(), Error> {
        let upcasters = &retold.inner().upcasters;
        let reducer = &self.kind.reducer;
        let mut apply =
            |state: &mut Arc<A>, event: &RecordedEvent| reducer.apply(Arc::make_mut(state), event);
        let name = reducer.name();
        self.state.apply_with(name, upcasters, &mut apply, event)
    }
}

/// What an event that cannot be read back is refused with.
fn unreadable(event: &RecordedEvent, error: &Error) -> Error {
    let reason = match error {
        Error::Reducer { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    let (event_type, payload) = (&event.event_type, &event.payload);
    Error::Store(retold_core::Error::invalid(
        "payload",
        format!("must be read back as it was written, but {event_type} {payload} is not: {reason}"),
    ))
}

impl<A: Aggregate> AnyMember for Member<A> {
    fn stream(&self) -> &StreamId {
        &self.stream
    }

    fn expected(&self) -> Expected {
        Expected::Sequence(self.state.sequence_number())
    }

    fn recall(&mut self) -> bool {
        let hot = self.kind.hot.look_up(&self.stream);
        let is_hot = hot.is_some();
        if let Some(hot) = hot {
            self.state = hot;
        }
        is_hot
    }

    fn refresh<'a>(&'a mut self, retold: &'a Retold) -> BoxFuture<'a, Result<bool, Error>> {
        async move {
            let before = self.state.sequence_number();
            let initial = Folded::initial(Arc::default());
            let used = std::mem::replace(&mut self.state, initial);
            // Nothing was folded in yet, so a snapshot may spare most of the reading.
            let used = used.last.is_some().then_some(used);
            let inner = retold.inner();
            self.state = inner.catch_up(&self.kind, &self.stream, used).await?;
            if self.state.last.is_some() {
                self.kind.hot.insert(&self.stream, self.state.clone());
            }
            Ok(self.state.sequence_number() != before)
        }
        .boxed()
    }

    fn go_back<'a>(
        &'a mut self,
        retold: &'a Retold,
        position: Position,
    ) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let point = PointInTime::Position(position);
            let inner = retold.inner();
            self.state = inner.derive(&self.kind, &self.stream, point).await?;
            Ok(())
        }
        .boxed()
    }

    fn record(&mut self, retold: &Retold, recorded: &[RecordedEvent]) -> Result<(), Error> {
        let own = |event: &&RecordedEvent| event.stream == self.stream;
        let Some(last) = recorded.iter().rfind(own) else {
            return Ok(());
        };
        let multiple = last.sequence_number.checked_rem(A::SNAPSHOT_EVERY);
        let multiple = multiple.map(|over| last.sequence_number - over);
        // Only this call holds the state then, so folding the events in need not copy it.
        self.kind.hot.remove(&self.stream);
        let stream = self.stream.clone();
        for event in recorded.iter().filter(|event| event.stream == stream) {
            self.apply(retold, event)?;
            if multiple == Some(event.sequence_number) {
                let kept = (self.kind.clone(), self.state.clone());
                retold.inner().snapshot_beside(&stream, kept);
            }
        }
        self.kind.hot.insert(&stream, self.state.clone());
        Ok(())
    }
}

impl Inner {
    /// Keeps a state as a snapshot, off the path of whoever waits for the command.
    fn snapshot_beside<A: Aggregate>(
        self: &Arc<Self>,
        stream: &StreamId,
        (kind, state): (Arc<Kind<A>>, Folded<Arc<A>>),
    ) {
        self.make_beside(stream, move |inner, stream| async move {
            let id = inner.id_of(&kind.reducer, &stream);
            let name = id.name.clone();
            let state = Folded {
                state: &*state.state,
                last: state.last,
            };
            let state = state.to_json()?;
            inner
                .save_snapshot(&stream, id, state, Json::null())
                .await?;
            let keep = A::SNAPSHOTS_KEPT.max(1);
            let pruned = inner.side_store.prune_snapshots(&stream, &name, keep);
            pruned.await?;
            Ok(())
        });
    }
}
