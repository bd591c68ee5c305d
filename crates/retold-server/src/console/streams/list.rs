//! Reading a page of streams, with where each of them stands.

use retold::{Error, Retold, StreamId, StreamSummary, StreamsQuery, Timestamp, limits};

use super::Filters;
use crate::console::failure::Failure;
use crate::console::standing::{event_at, status_after};

/// Streams on one page: a few screens, and as many events to read.
pub(super) const STREAMS_SHOWN_MAX: usize = 50;

/// Types offered as filters. Each costs a look-up, and nobody chooses from more.
pub(super) const TYPES_SHOWN_MAX: usize = 24;

/// A page of streams, and the types that there are.
pub(super) struct List {
    pub(super) types: Vec<String>,
    pub(super) rows: Vec<Row>,
    pub(super) next: Option<StreamId>,
}

/// One stream.
pub(super) struct Row {
    pub(super) stream: StreamId,
    pub(super) events: u64,
    /// None where the newest event cannot be read; the stream is listed all the same.
    pub(super) newest: Option<Newest>,
}

/// What the newest event of a stream says.
pub(super) struct Newest {
    /// None for a type without a machine.
    pub(super) status: Option<String>,
    pub(super) event_type: String,
    pub(super) actor: Option<String>,
    pub(super) timestamp: Timestamp,
}

pub(super) async fn read(retold: &Retold, filters: &Filters) -> Result<List, Failure> {
    let query = StreamsQuery {
        aggregate_type: filters.aggregate_type.as_deref().map(Into::into),
        prefix: filters.prefix.as_str().into(),
        after: filters.after.clone(),
        limit: STREAMS_SHOWN_MAX,
        ..StreamsQuery::default()
    };
    let page = retold.streams(query).await?;
    let mut rows = Vec::with_capacity(page.streams.len());
    for summary in page.streams {
        rows.push(row(retold, summary).await);
    }
    Ok(List {
        types: types(retold).await?,
        rows,
        next: page.next,
    })
}

async fn row(retold: &Retold, summary: StreamSummary) -> Row {
    let newest = newest(retold, &summary).await;
    if let Err(error) = &newest {
        tracing::warn!(stream = %summary.stream, %error, "failed to read the newest event");
    }
    Row {
        events: summary.head.sequence_number,
        stream: summary.stream,
        newest: newest.ok().flatten(),
    }
}

async fn newest(retold: &Retold, summary: &StreamSummary) -> Result<Option<Newest>, Error> {
    let at = summary.head.sequence_number;
    let Some(event) = event_at(retold, &summary.stream, at).await? else {
        return Ok(None);
    };
    Ok(Some(Newest {
        status: status_after(retold, &event).await?,
        event_type: event.event_type.to_string(),
        actor: event.metadata.actor.as_ref().map(ToString::to_string),
        timestamp: event.metadata.timestamp,
    }))
}

/// The types that there are, by skipping from one to the next: the streams in between are not
/// looked at.
async fn types(retold: &Retold) -> Result<Vec<String>, Error> {
    // Behind every id: the greatest character, as often as it fits.
    let last_id = char::MAX
        .to_string()
        .repeat(limits::AGGREGATE_ID_BYTES_MAX / char::MAX.len_utf8());
    let mut query = StreamsQuery {
        limit: 1,
        ..StreamsQuery::default()
    };
    let mut types = Vec::new();
    while types.len() < TYPES_SHOWN_MAX {
        let Some(first) = retold.streams(query.clone()).await?.streams.pop() else {
            break;
        };
        let aggregate_type = first.stream.aggregate_type().to_string();
        query.after = Some(StreamId::new(aggregate_type.as_str(), last_id.as_str())?);
        types.push(aggregate_type);
    }
    Ok(types)
}
