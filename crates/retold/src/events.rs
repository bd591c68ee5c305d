//! Reading one stream: a page, all of it, or page by page.

use std::future::IntoFuture;

use futures::FutureExt;
use futures::future::BoxFuture;
use retold_core::{
    Direction, RecordedEvent, SequenceNumber, StreamId, StreamPage, StreamQuery, Text, Timestamp,
};

use crate::error::unknown_stream;
use crate::{Error, Retold};

/// Which events of a stream to read: [`Retold::events`]. Awaited it gives one page;
/// [`all`](Events::all) gives every event, [`pages`](Events::pages) one page after the other.
///
/// Bounds are inclusive and do not turn with the direction.
#[must_use = "nothing is read until it is awaited"]
pub struct Events {
    retold: Retold,
    stream: (Text, Text),
    from_sequence: SequenceNumber,
    to_sequence: SequenceNumber,
    from_timestamp: Option<Timestamp>,
    to_timestamp: Option<Timestamp>,
    event_type: Option<Text>,
    direction: Direction,
    limit: usize,
}

impl Events {
    pub(crate) fn new(retold: Retold, stream: (Text, Text)) -> Events {
        Events {
            retold,
            stream,
            from_sequence: 1,
            to_sequence: SequenceNumber::MAX,
            from_timestamp: None,
            to_timestamp: None,
            event_type: None,
            direction: Direction::Forward,
            limit: StreamQuery::DEFAULT_LIMIT,
        }
    }

    /// Not those before this sequence number.
    pub fn from_sequence(mut self, sequence_number: SequenceNumber) -> Self {
        self.from_sequence = sequence_number;
        self
    }

    /// Not those after this sequence number.
    pub fn to_sequence(mut self, sequence_number: SequenceNumber) -> Self {
        self.to_sequence = sequence_number;
        self
    }

    /// Not those dated earlier.
    pub fn from_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.from_timestamp = Some(timestamp);
        self
    }

    /// Not those dated later.
    pub fn to_timestamp(mut self, timestamp: Timestamp) -> Self {
        self.to_timestamp = Some(timestamp);
        self
    }

    /// Only those of this type.
    pub fn event_type(mut self, event_type: impl Into<Text>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// From the newest to the oldest.
    pub fn backward(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// At most so many in a page; [`StreamQuery::DEFAULT_LIMIT`] unless told otherwise.
    pub fn limit(mut self, events: usize) -> Self {
        self.limit = events;
        self
    }

    /// Every event. They are held in memory together; [`pages`](Self::pages) are not.
    ///
    /// # Errors
    /// Those of [`Pages::next`].
    pub async fn all(self) -> Result<Vec<RecordedEvent>, Error> {
        let mut pages = self.pages();
        let mut events = Vec::new();
        while let Some(page) = pages.next().await? {
            events.extend(page.into_events()?);
        }
        Ok(events)
    }

    /// The pages, one after the other.
    pub fn pages(self) -> Pages {
        Pages {
            query: self.query().map(Some),
            retold: self.retold,
        }
    }

    fn query(&self) -> Result<StreamQuery, retold_core::Error> {
        let stream = StreamId::new(self.stream.0.clone(), self.stream.1.clone())?;
        let mut query = StreamQuery::new(stream);
        query.from_sequence = self.from_sequence;
        query.to_sequence = self.to_sequence;
        query.from_timestamp = self.from_timestamp;
        query.to_timestamp = self.to_timestamp;
        query.event_type.clone_from(&self.event_type);
        query.direction = self.direction;
        query.limit = self.limit;
        Ok(query)
    }
}

impl IntoFuture for Events {
    type Output = Result<StreamPage, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move { page(&self.retold, self.query()?).await }.boxed()
    }
}

/// The pages of a stream: [`Events::pages`].
pub struct Pages {
    retold: Retold,
    query: Result<Option<StreamQuery>, retold_core::Error>,
}

impl Pages {
    /// The next page; none behind the last. A page may be empty and not be the last.
    ///
    /// # Errors
    /// [`NotFound`](retold_core::Error::NotFound) for an unknown stream; those of
    /// [`EventStore::read_stream`](retold_core::EventStore::read_stream). Calling again tries
    /// the same page again.
    pub async fn next(&mut self) -> Result<Option<StreamPage>, Error> {
        let Some(query) = self.query.clone()? else {
            return Ok(None);
        };
        let page = page(&self.retold, query.clone()).await?;
        self.query = Ok(page.next.map(|next| query.continued(next)));
        Ok(Some(page))
    }
}

async fn page(retold: &Retold, query: StreamQuery) -> Result<StreamPage, Error> {
    let stream = query.stream.clone();
    let page = retold.store().read_stream(query).await?;
    match page.head {
        Some(_) => Ok(page),
        None => Err(unknown_stream(&stream)),
    }
}
