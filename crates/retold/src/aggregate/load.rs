//! Reading the state of an aggregate, now or as it was.

use std::future::IntoFuture;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{PointInTime, Position, RecordedEvent, SequenceNumber, StreamId, Text};

use super::{Aggregate, Kind};
use crate::fold::{Folded, Moment, Reducer, point_in_time_methods, start};
use crate::retold::Inner;
use crate::{Error, Retold};

/// A state to be read, to be awaited: [`Retold::load`].
#[must_use = "nothing is read until it is awaited"]
pub struct Load<A> {
    retold: Retold,
    id: Text,
    moment: Moment,
    aggregate: std::marker::PhantomData<fn() -> A>,
}

/// The state of an aggregate, and the place in its stream that it was derived at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded<A> {
    /// The state; the initial one before the first event.
    pub state: Arc<A>,
    /// Whether it had an event at that moment.
    pub exists: bool,
    /// The sequence number of the last event folded in; 0 before the first.
    pub sequence_number: SequenceNumber,
    /// The position of that event; 0 before the first.
    pub position: Position,
}

impl<A: Aggregate> Load<A> {
    pub(crate) fn new(retold: Retold, id: Text) -> Load<A> {
        Load {
            retold,
            id,
            moment: Moment::default(),
            aggregate: std::marker::PhantomData,
        }
    }

    point_in_time_methods!();

    async fn run(self) -> Result<Loaded<A>, Error> {
        let point = self.moment.point()?;
        let stream = StreamId::new(A::TYPE, self.id)?;
        let inner = self.retold.inner();
        let kind = inner.kinds.of::<A>();
        let folded = match point {
            PointInTime::Head => {
                let hot = kind.hot.get(&stream);
                let now = inner.catch_up(&kind, &stream, hot).await?;
                kind.hot.insert(&stream, now.clone());
                now
            }
            past => inner.derive(&kind, &stream, past).await?,
        };
        Ok(Loaded {
            exists: folded.last.is_some(),
            sequence_number: folded.sequence_number(),
            position: folded.last.map_or(0, |last| last.position),
            state: folded.state,
        })
    }
}

impl<A: Aggregate> IntoFuture for Load<A> {
    type Output = Result<Loaded<A>, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

impl Inner {
    /// Derives the state of an aggregate at a moment, from a snapshot where there is one.
    pub(crate) async fn derive<A: Aggregate>(
        &self,
        kind: &Kind<A>,
        stream: &StreamId,
        point: PointInTime,
    ) -> Result<Folded<Arc<A>>, Error> {
        let reading = self.reading(stream, point);
        let begin = start(&reading, &*self.side_store, &kind.reducer).await?;
        let outcome = reading.fold_reducer(begin, &kind.reducer).await?;
        Ok(Folded {
            state: Arc::new(outcome.folded.state),
            last: outcome.folded.last,
        })
    }

    /// Moves a state that was used before on to the head of its stream; derives it where there
    /// is none, or where the stream has become shorter (another log was put in its place).
    pub(crate) async fn catch_up<A: Aggregate>(
        &self,
        kind: &Kind<A>,
        stream: &StreamId,
        used: Option<Folded<Arc<A>>>,
    ) -> Result<Folded<Arc<A>>, Error> {
        if let Some(used) = used {
            let reached = used.sequence_number();
            let reading = self.reading(stream, PointInTime::Head);
            let apply = |state: &mut Arc<A>, event: &RecordedEvent| {
                kind.reducer.apply(Arc::make_mut(state), event)
            };
            let outcome = reading.fold(used, kind.reducer.name(), apply).await?;
            if outcome.head.map_or(0, |head| head.sequence_number) >= reached {
                return Ok(outcome.folded);
            }
        }
        self.derive(kind, stream, PointInTime::Head).await
    }
}
