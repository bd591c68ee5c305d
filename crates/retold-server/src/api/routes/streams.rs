//! Which streams there are.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::{StreamId, StreamSummary, StreamsQuery, Text};
use serde::Serialize;

use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::limits::bytes_of_page;
use crate::api::request::{AsJson, Parameters};
use crate::api::schema;

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
    let after = parameters.text("after");
    let query = StreamsQuery {
        aggregate_type: parameters.name("aggregateType")?,
        prefix: Text::from(parameters.text("prefix").unwrap_or_default()),
        after: after.as_deref().map(cursor).transpose()?,
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
fn cursor(text: &str) -> Result<StreamId, Problem> {
    let stream = text.split_once('/').map(|(aggregate_type, aggregate_id)| {
        StreamId::new(aggregate_type.to_owned(), aggregate_id.to_owned())
    });
    match stream {
        Some(Ok(stream)) => Ok(stream),
        _ => Err(Problem::invalid("after", "must be that of a page's next")),
    }
}
