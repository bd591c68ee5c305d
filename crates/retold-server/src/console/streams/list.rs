//! Reading a page of streams, with where each of them stands.

use retold::projection::Row as StateRow;
use retold::{
    Error, Retold, RowQuery, StoreError, StreamId, StreamSummary, StreamsQuery, Timestamp, limits,
};

use super::{Filters, Written};
use crate::api::{cursor, cursor_text};
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
    /// The same for streams in the order in which they were last written.
    pub(super) next_written: Option<String>,
    /// How many streams of the chosen type have which status.
    pub(super) statuses: Vec<(String, u64)>,
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
    if let Some(written) = &filters.written {
        return read_written(retold, filters.aggregate_type.as_deref(), written).await;
    }
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
        next_written: None,
        statuses: statuses(retold, filters.aggregate_type.as_deref()).await,
    })
}

/// The projection that knows what streams are like.
const CURRENT_STATE: &str = "current_state";

/// Statuses offered as filters: nobody chooses from more.
const STATUSES_SHOWN_MAX: usize = 24;

async fn read_written(
    retold: &Retold,
    aggregate_type: Option<&str>,
    written: &Written,
) -> Result<List, Failure> {
    let mut query = RowQuery::default()
        .order("last_event_at")
        .descending()
        .limit(STREAMS_SHOWN_MAX);
    let wanted = [
        ("aggregate_type", aggregate_type),
        ("status", written.status.as_deref()),
    ];
    for (column, value) in wanted {
        if let Some(value) = value {
            query = query.equal(column, value);
        }
    }
    query.after = written.after.as_deref().map(cursor).transpose()?;
    let page = retold
        .projection(CURRENT_STATE)
        .rows("streams", query)
        .await?;
    let rows: Result<Vec<Row>, StoreError> = page.rows.iter().map(row_of_state).collect();
    Ok(List {
        types: types(retold).await?,
        rows: rows?,
        next: None,
        next_written: page.next.as_deref().map(cursor_text),
        statuses: statuses(retold, aggregate_type).await,
    })
}

fn row_of_state(row: &StateRow) -> Result<Row, StoreError> {
    let at = row.text("last_event_at")?;
    let invalid = |error: retold::TimestampError| StoreError::Invalid {
        field: "last_event_at".to_owned(),
        reason: error.to_string(),
    };
    Ok(Row {
        stream: StreamId::new(
            row.text("aggregate_type")?.clone(),
            row.text("aggregate_id")?.clone(),
        )?,
        events: row.integer("sequence_number")?.cast_unsigned(),
        newest: Some(Newest {
            status: Some(row.text("status")?.to_string()),
            event_type: row.text("last_event_type")?.to_string(),
            actor: row.value("last_actor")?.as_text().map(ToString::to_string),
            timestamp: at.parse().map_err(invalid)?,
        }),
    })
}

/// How many streams of a type have which status, the most frequent first. None where that is not
/// known (now): the list is there all the same.
async fn statuses(retold: &Retold, aggregate_type: Option<&str>) -> Vec<(String, u64)> {
    let Some(aggregate_type) = aggregate_type else {
        return Vec::new();
    };
    let query = RowQuery::default()
        .equal("aggregate_type", aggregate_type)
        .limit(1_000);
    let counts = retold
        .projection(CURRENT_STATE)
        .rows("status_counts", query)
        .await;
    let rows = counts.map(|page| page.rows).unwrap_or_default();
    let count = |row: &StateRow| {
        let streams = row.integer("streams").ok()?.cast_unsigned();
        Some((row.text("status").ok()?.to_string(), streams))
    };
    let mut statuses: Vec<(String, u64)> = rows.iter().filter_map(count).collect();
    statuses.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    statuses.truncate(STATUSES_SHOWN_MAX);
    statuses
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
