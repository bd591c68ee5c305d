//! Events as a stream of lines, read page by page as the client reads: memory does not grow with
//! the answer, and an error half-way breaks the connection.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use retold::{Entry, LogQuery, Retold, StreamHead, StreamQuery};

use super::Problem;
use crate::api::limits::STREAMED_READ_EVENTS;

/// The media type of NDJSON.
pub(crate) const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// A query that is read page by page.
enum Query {
    Stream(StreamQuery),
    Log(LogQuery),
}

/// The events of a query, page by page, through the head that the log had at the beginning.
pub(crate) struct EventPages {
    retold: Retold,
    query: Option<Query>,
    /// How many events may still come.
    left: Option<u64>,
    /// The newest event of the stream, once a page of it was read.
    pub(crate) head: Option<StreamHead>,
}

impl EventPages {
    /// The events of a stream, at most `limit`.
    pub(crate) async fn of_stream(
        retold: &Retold,
        mut query: StreamQuery,
        limit: Option<u64>,
    ) -> Result<EventPages, Problem> {
        query.through_position = retold.store().head().await?.position;
        Ok(EventPages::new(retold, Query::Stream(query), limit))
    }

    /// The events of the log, at most `limit`.
    pub(crate) async fn of_log(
        retold: &Retold,
        mut query: LogQuery,
        limit: Option<u64>,
    ) -> Result<EventPages, Problem> {
        query.through = retold.store().head().await?.position;
        Ok(EventPages::new(retold, Query::Log(query), limit))
    }

    fn new(retold: &Retold, query: Query, left: Option<u64>) -> EventPages {
        EventPages {
            retold: retold.clone(),
            query: Some(query),
            left,
            head: None,
        }
    }

    /// The lines of the next page; none behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let at_once = STREAMED_READ_EVENTS as u64;
        let limit = self.left.map_or(at_once, |left| left.min(at_once)) as usize;
        let entries = match self.query.take() {
            None => return Ok(None),
            Some(_) if limit == 0 => return Ok(None),
            Some(Query::Stream(mut query)) => {
                query.limit = limit;
                let page = self.retold.store().read_stream(query.clone()).await?;
                self.head = page.head;
                let next = page.next.map(|next| query.continued(next));
                self.query = next.map(Query::Stream);
                page.entries
            }
            Some(Query::Log(mut query)) => {
                query.limit = limit;
                let page = self.retold.log(query.clone()).await?;
                self.query = page.next.map(|next| {
                    query.after = next;
                    Query::Log(query)
                });
                page.entries
            }
        };
        self.left = self.left.map(|left| left - entries.len() as u64);
        lines(entries).map(Some)
    }
}

fn lines(entries: Vec<Entry>) -> Result<Bytes, Problem> {
    let mut lines = Vec::new();
    for entry in entries {
        let event = entry.into_event()?;
        write_line(&mut lines, &event)?;
    }
    Ok(Bytes::from(lines))
}

/// Writes one value as a line.
pub(crate) fn write_line(
    lines: &mut Vec<u8>,
    value: &impl serde::Serialize,
) -> Result<(), Problem> {
    serde_json::to_writer(&mut *lines, value).map_err(|error| {
        tracing::error!(%error, "failed to write a line");
        Problem::new(super::Code::Internal, "write the answer")
    })?;
    lines.push(b'\n');
    Ok(())
}

/// Answers with all pages, of which the first was read, so that what is wrong from the
/// beginning is still told as a problem.
pub(crate) fn ndjson(first: Option<Bytes>, pages: EventPages) -> Response {
    let rest = stream::try_unfold((first, pages), |(first, mut pages)| async move {
        if let Some(first) = first {
            return Ok(Some((first, (None, pages))));
        }
        match pages.next().await {
            Ok(lines) => Ok(lines.map(|lines| (lines, (None, pages)))),
            Err(problem) => {
                tracing::warn!(detail = problem.detail(), "breaking off a stream of events");
                Err(std::io::Error::other(problem.detail().to_owned()))
            }
        }
    });
    let mut response = Body::from_stream(rest).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    response
}
