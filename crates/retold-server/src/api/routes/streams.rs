//! Which streams there are: by their names from the log itself, by their status from the projection
//! `current_state`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::projection::Row;
use retold::{Position, RowQuery, StoreError, StreamId, StreamSummary, StreamsQuery, Text};
use serde::Serialize;

use super::projections::Reached;
use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::limits::{PAGE_LIMIT_MAX, bytes_of_page};
use crate::api::request::{AsJson, Parameters, cursor, cursor_text};
use crate::api::schema;

/// The projection that knows what streams are like.
const CURRENT_STATE: &str = "current_state";

/// The parameters that only that projection answers.
const OF_STATE: [&str; 6] = [
    "status",
    "sort",
    "direction",
    "counts",
    "minPosition",
    "waitMs",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    aggregate_type: &'a str,
    aggregate_id: &'a str,
    sequence_number: u64,
}

impl<'a> View<'a> {
    fn of(summary: &'a StreamSummary) -> View<'a> {
        View {
            aggregate_type: summary.stream.aggregate_type(),
            aggregate_id: summary.stream.aggregate_id(),
            sequence_number: summary.head.sequence_number,
        }
    }
}

#[derive(Serialize)]
struct Page<'a> {
    streams: Vec<View<'a>>,
    next: Option<String>,
}

/// Lists streams, by type and then by the UTF-8 bytes of their id.
///
/// With `status`, `sort`, `direction`, `counts` or `minPosition` they come from the projection
/// `current_state`, with their status, counts and times, sorted by when they were last written
/// unless told otherwise; `completeThrough` says which position that holds through.
#[utoipa::path(
    get,
    path = "/v1/streams",
    tag = "streams",
    params(schema::StreamsQuery),
    responses((status = 200, description = "A page of streams.", body = schema::StreamsPageBody)),
)]
pub(crate) async fn list_streams(
    State(app): State<App>,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    if OF_STATE.iter().any(|name| parameters.peek(name).is_some()) {
        return list_by_state(&app, parameters).await;
    }
    let after = parameters.text("after");
    let query = StreamsQuery {
        aggregate_type: parameters.name("aggregateType")?,
        prefix: Text::from(parameters.text("prefix").unwrap_or_default()),
        after: after.as_deref().map(stream_cursor).transpose()?,
        include_reserved: parameters.flag("includeReserved")?,
        limit: parameters.page_limit()?,
    };
    parameters.finish()?;
    // A thousand ids and their text take no more than the largest event does.
    let room = app.rooms().answers.take(bytes_of_page(1)).await?;
    let page = app.retold().streams(query).await?;
    let next = page.next.map(|next| next.to_string());
    let page = Page {
        streams: page.streams.iter().map(View::of).collect(),
        next: next.map(|next| parameters.reference("after", &next)),
    };
    Ok(room.brought_by(json(StatusCode::OK, &page)?))
}

/// The stream that a page ended with: its type, a slash, its id.
fn stream_cursor(text: &str) -> Result<StreamId, Problem> {
    let stream = text.split_once('/').map(|(aggregate_type, aggregate_id)| {
        StreamId::new(aggregate_type.to_owned(), aggregate_id.to_owned())
    });
    match stream {
        Some(Ok(stream)) => Ok(stream),
        _ => Err(Problem::invalid("after", "must be that of a page's next")),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateView<'a> {
    #[serde(flatten)]
    stream: View<'a>,
    status: &'a str,
    transition_count: i64,
    last_transition_at: Option<&'a str>,
    first_event_at: &'a str,
    last_event_at: &'a str,
    last_event_type: &'a str,
    last_actor: Option<&'a str>,
}

impl<'a> StateView<'a> {
    fn of(row: &'a Row) -> Result<StateView<'a>, StoreError> {
        let text = |column| row.text(column).map(|text| &**text);
        let optional = |column| {
            let value = row.value(column)?;
            Ok::<_, StoreError>(value.as_text().map(|text| &**text))
        };
        Ok(StateView {
            stream: View {
                aggregate_type: text("aggregate_type")?,
                aggregate_id: text("aggregate_id")?,
                sequence_number: row.integer("sequence_number")?.cast_unsigned(),
            },
            status: text("status")?,
            transition_count: row.integer("transition_count")?,
            last_transition_at: optional("last_transition_at")?,
            first_event_at: text("first_event_at")?,
            last_event_at: text("last_event_at")?,
            last_event_type: text("last_event_type")?,
            last_actor: optional("last_actor")?,
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatePage<'a> {
    streams: Vec<StateView<'a>>,
    next: Option<String>,
    complete_through: Position,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Vec<CountView>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountView {
    aggregate_type: String,
    status: String,
    streams: i64,
}

async fn list_by_state(app: &App, mut parameters: Parameters) -> Result<Response, Problem> {
    let reached = Reached::of(&mut parameters)?;
    for name in ["prefix", "includeReserved"] {
        if parameters.peek(name).is_some() {
            let reason = "goes with neither status nor sort, direction, counts or minPosition";
            return Err(Problem::invalid(name, reason));
        }
    }
    let aggregate_type = parameters.name("aggregateType")?;
    let mut query = RowQuery {
        limit: parameters.page_limit()?,
        after: parameters
            .text("after")
            .as_deref()
            .map(cursor)
            .transpose()?,
        ..RowQuery::default()
    };
    let wanted = [
        ("aggregate_type", &aggregate_type),
        ("status", &parameters.name("status")?),
    ];
    for (column, value) in wanted {
        if let Some(value) = value {
            query = query.equal(column, value);
        }
    }
    query.order = match parameters.text("sort").as_deref() {
        None | Some("lastEventAt") => Some("last_event_at".to_owned()),
        Some("aggregateId") => None,
        Some(_) => {
            return Err(Problem::invalid(
                "sort",
                "must be lastEventAt or aggregateId",
            ));
        }
    };
    query.is_descending = match parameters.text("direction").as_deref() {
        // Who asks for the newest wants them first; names are read from A to Z.
        None => query.order.is_some(),
        Some("forward") => false,
        Some("backward") => true,
        Some(_) => return Err(Problem::invalid("direction", "must be forward or backward")),
    };
    let counts = parameters.flag("counts")?;
    parameters.finish()?;
    let room = app.rooms().answers.take(bytes_of_page(1)).await?;
    reached.wait_for(app, CURRENT_STATE).await?;
    let projection = app.retold().projection(CURRENT_STATE);
    let counts = match counts {
        true => Some(status_counts(app, aggregate_type).await?),
        false => None,
    };
    let page = projection.rows("streams", query).await?;
    let next = page.next.as_deref().map(cursor_text);
    let streams: Result<_, StoreError> = page.rows.iter().map(StateView::of).collect();
    let page = StatePage {
        streams: streams?,
        next: next.map(|next| parameters.reference("after", &next)),
        complete_through: page.complete_through,
        counts,
    };
    Ok(room.brought_by(json(StatusCode::OK, &page)?))
}

/// How many streams of a type, or of each, have which status: the first thousand of them.
async fn status_counts(app: &App, aggregate_type: Option<Text>) -> Result<Vec<CountView>, Problem> {
    let mut query = RowQuery::default().limit(PAGE_LIMIT_MAX);
    if let Some(aggregate_type) = aggregate_type {
        query = query.equal("aggregate_type", aggregate_type);
    }
    let projection = app.retold().projection(CURRENT_STATE);
    let page = projection.rows("status_counts", query).await?;
    let view = |row: &Row| {
        Ok(CountView {
            aggregate_type: row.text("aggregate_type")?.to_string(),
            status: row.text("status")?.to_string(),
            streams: row.integer("streams")?,
        })
    };
    let counts: Result<_, StoreError> = page.rows.iter().map(view).collect();
    Ok(counts?)
}
