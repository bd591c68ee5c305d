//! Reading the prefix of a stream that a moment selects, and folding it page by page.

use retold_core::{
    EventStore, PointInTime, RecordedEvent, SequenceNumber, StreamHead, StreamId, StreamQuery,
};

use super::{Folded, Reducer};
use crate::upcasters::Chains;
use crate::{BoxError, Error};

/// Which prefix of which stream to fold, and how much to read at a time.
pub(crate) struct Reading<'a> {
    pub(crate) store: &'a dyn EventStore,
    pub(crate) upcasters: &'a Chains,
    pub(crate) stream: &'a StreamId,
    pub(crate) point: PointInTime,
    pub(crate) batch: usize,
}

/// What a fold came to.
pub(crate) struct Outcome<S> {
    pub(crate) folded: Folded<S>,
    /// The newest event of the stream, within the prefix or behind it; none for an unknown stream.
    pub(crate) head: Option<StreamHead>,
    /// The event that ended the prefix, where reading it was needed to know.
    pub(crate) ended_by: Option<RecordedEvent>,
}

impl<S> Outcome<S> {
    /// Itself.
    ///
    /// # Errors
    /// [`retold_core::Error::NotFound`] for an unknown stream.
    pub(crate) fn of_known(self, stream: &StreamId) -> Result<Outcome<S>, Error> {
        match self.head {
            Some(_) => Ok(self),
            None => Err(crate::error::unknown_stream(stream)),
        }
    }
}

impl Reading<'_> {
    /// Goes on from `folded` to the end of the prefix.
    ///
    /// # Errors
    /// [`Error::Reducer`] where `apply` fails, [`Error::Upcast`] where an upcaster does; those of
    /// [`EventStore::read_stream`].
    pub(crate) async fn fold<S>(
        &self,
        mut folded: Folded<S>,
        name: &str,
        mut apply: impl FnMut(&mut S, &RecordedEvent) -> Result<(), BoxError>,
    ) -> Result<Outcome<S>, Error> {
        let mut query = self.query(folded.sequence_number() + 1);
        loop {
            let page = self.store.read_stream(query.clone()).await?;
            let head = page.head;
            for entry in page.entries {
                let event = entry.into_event()?;
                if !self.point.includes(&event) {
                    return Ok(Outcome {
                        folded,
                        head,
                        ended_by: Some(event),
                    });
                }
                folded.apply_with(name, self.upcasters, &mut apply, &event)?;
            }
            match page.next {
                Some(next) => query = query.continued(next),
                None => {
                    return Ok(Outcome {
                        folded,
                        head,
                        ended_by: None,
                    });
                }
            }
        }
    }

    /// The same with a reducer.
    pub(crate) async fn fold_reducer<R: Reducer>(
        &self,
        folded: Folded<R::State>,
        reducer: &R,
    ) -> Result<Outcome<R::State>, Error> {
        let apply = |state: &mut R::State, event: &RecordedEvent| reducer.apply(state, event);
        self.fold(folded, reducer.name(), apply).await
    }

    /// Counts the events behind `event` that the moment would admit by their own date.
    pub(crate) async fn count_admitted_behind(&self, event: &RecordedEvent) -> Result<u64, Error> {
        let mut query = self.query(event.sequence_number + 1);
        let mut count = 0;
        loop {
            let page = self.store.read_stream(query.clone()).await?;
            let next = page.next;
            let events = page.into_events()?;
            count += events.iter().filter(|e| self.point.includes(e)).count() as u64;
            match next {
                Some(next) => query = query.continued(next),
                None => return Ok(count),
            }
        }
    }

    fn query(&self, from: SequenceNumber) -> StreamQuery {
        let mut query = StreamQuery::new(self.stream.clone());
        query.from_sequence = from;
        query.limit = self.batch;
        match self.point {
            PointInTime::Sequence(sequence) => query.to_sequence = sequence,
            PointInTime::Position(position) => query.through_position = position,
            // Dates do not bound the reading: the first later event ends the prefix, and it has
            // to be seen for that.
            PointInTime::Head | PointInTime::PersistedAt(_) | PointInTime::Timestamp(_) => {}
        }
        query
    }
}
