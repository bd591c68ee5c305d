//! Replaying a stream with a reducer of the caller's own, or with a closure.

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{Json, Position, RecordedEvent, SequenceNumber, StreamId, Text};

use super::reducer::check_name;
use super::{Folded, Moment, REPLAY_BATCH, Reading, Reducer, point_in_time_methods, start};
use crate::{Error, Retold};

/// A state that was derived by replaying a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed<S> {
    /// The state.
    pub state: S,
    /// The sequence number of the last event folded in; 0 where there was none.
    pub sequence_number: SequenceNumber,
    /// The position of that event; 0 where there was none.
    pub position: Position,
    /// The sequence number of the snapshot that the replay began from; 0 for the beginning of
    /// the stream.
    pub replayed_from: SequenceNumber,
}

impl<S> Replayed<S> {
    fn new(folded: Folded<S>, replayed_from: SequenceNumber) -> Replayed<S> {
        Replayed {
            sequence_number: folded.sequence_number(),
            position: folded.last.map_or(0, |last| last.position),
            state: folded.state,
            replayed_from,
        }
    }
}

/// A replay with a [`Reducer`], to be awaited: [`Retold::replay`].
#[must_use = "a replay does nothing until it is awaited"]
pub struct Replay<R> {
    retold: Retold,
    stream: (Text, Text),
    reducer: R,
    moment: Moment,
    batch: usize,
    begins_at_snapshot: bool,
    makes_snapshot: bool,
}

impl<R: Reducer> Replay<R> {
    pub(crate) fn new(retold: Retold, stream: (Text, Text), reducer: R) -> Replay<R> {
        Replay {
            retold,
            stream,
            reducer,
            moment: Moment::default(),
            batch: REPLAY_BATCH,
            begins_at_snapshot: false,
            makes_snapshot: false,
        }
    }

    point_in_time_methods!();

    /// Reads so many events at a time; [`REPLAY_BATCH`] unless told otherwise.
    pub fn batch(mut self, events: usize) -> Self {
        self.batch = events;
        self
    }

    /// Begins at the newest snapshot of this reducer that fits, instead of at the first event.
    /// The answer is the same.
    pub fn from_snapshot(mut self) -> Self {
        self.begins_at_snapshot = true;
        self
    }

    /// Keeps the state as a snapshot, in place of one at the same sequence number.
    pub fn snapshot(mut self) -> Self {
        self.makes_snapshot = true;
        self
    }

    async fn run(self) -> Result<Replayed<R::State>, Error> {
        let point = self.moment.point()?;
        check_name(&self.reducer)?;
        let stream = StreamId::new(self.stream.0, self.stream.1)?;
        let inner = self.retold.inner();
        let reading = Reading {
            batch: self.batch,
            ..inner.reading(&stream, point)
        };
        let begin = if self.begins_at_snapshot {
            start(&reading, &*inner.side_store, &self.reducer).await?
        } else {
            Folded::initial(self.reducer.initial())
        };
        let replayed_from = begin.sequence_number();
        let outcome = reading.fold_reducer(begin, &self.reducer).await?;
        let outcome = outcome.of_known(&stream)?;
        if self.makes_snapshot {
            let state = outcome.folded.to_json()?;
            inner
                .save_snapshot(
                    &stream,
                    inner.id_of(&self.reducer, &stream),
                    state,
                    Json::null(),
                )
                .await?;
        }
        Ok(Replayed::new(outcome.folded, replayed_from))
    }
}

impl<R: Reducer> IntoFuture for Replay<R> {
    type Output = Result<Replayed<R::State>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// A replay with a closure, to be awaited: [`Retold::replay_with`].
#[must_use = "a replay does nothing until it is awaited"]
pub struct ReplayWith<S, F> {
    retold: Retold,
    stream: (Text, Text),
    initial: S,
    apply: F,
    moment: Moment,
    batch: usize,
}

impl<S, F> ReplayWith<S, F> {
    pub(crate) fn new(retold: Retold, stream: (Text, Text), initial: S, apply: F) -> Self {
        ReplayWith {
            retold,
            stream,
            initial,
            apply,
            moment: Moment::default(),
            batch: REPLAY_BATCH,
        }
    }

    point_in_time_methods!();

    /// Reads so many events at a time; [`REPLAY_BATCH`] unless told otherwise.
    pub fn batch(mut self, events: usize) -> Self {
        self.batch = events;
        self
    }
}

impl<S, F> IntoFuture for ReplayWith<S, F>
where
    S: Send + 'static,
    F: FnMut(&mut S, &RecordedEvent) + Send + 'static,
{
    type Output = Result<Replayed<S>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(mut self) -> Self::IntoFuture {
        let run = async move {
            let point = self.moment.point()?;
            let stream = StreamId::new(self.stream.0, self.stream.1)?;
            let reading = Reading {
                batch: self.batch,
                ..self.retold.inner().reading(&stream, point)
            };
            let apply = |state: &mut S, event: &RecordedEvent| {
                (self.apply)(state, event);
                Ok(())
            };
            let begin = Folded::initial(self.initial);
            let outcome = reading.fold(begin, "closure", apply).await?;
            let outcome = outcome.of_known(&stream)?;
            Ok(Replayed::new(outcome.folded, 0))
        };
        run.boxed()
    }
}
