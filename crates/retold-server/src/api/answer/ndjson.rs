//! Events as a stream of lines, read page by page as the client reads: memory does not grow with
//! the answer, and an error half-way breaks the connection.

use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{poll, stream};
use retold::{
    Entry, EntryRef, EventRef, Filter, LogBlock, LogQuery, LogScan, StreamHead, StreamQuery,
};

use super::Problem;
use crate::App;
use crate::api::limits::{STREAMED_READ_EVENTS, bytes_of_page};
use crate::room::Taken;

/// The media type of NDJSON.
pub(crate) const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// What is set aside for a line at first: most events are no longer.
const LINE_BYTES: usize = 640;

/// A query that is read page by page.
enum Query {
    Stream(StreamQuery),
    Log(LogQuery),
    /// The log as it lies there, reserved streams and all where that is said.
    Scan(LogScan, bool),
}

/// The events of a query, page by page, through the head that the log had at the beginning.
pub(crate) struct EventPages {
    app: App,
    query: Option<Query>,
    /// How many events may still come.
    left: Option<u64>,
    /// The newest event of the stream, once a page of it was read.
    pub(crate) head: Option<StreamHead>,
}

/// A part of an answer, with its room until it is sent: that of what is read ahead meanwhile is in
/// it.
pub(crate) struct Part {
    lines: Bytes,
    room: Taken,
}

impl EventPages {
    /// The events of a stream, at most `limit`.
    pub(crate) async fn of_stream(
        app: App,
        mut query: StreamQuery,
        limit: Option<u64>,
    ) -> Result<EventPages, Problem> {
        query.through_position = app.retold().store().head().await?.position;
        Ok(EventPages::new(app, Query::Stream(query), limit))
    }

    /// The events of the log, at most `limit`.
    pub(crate) async fn of_log(
        app: App,
        mut query: LogQuery,
        limit: Option<u64>,
    ) -> Result<EventPages, Problem> {
        let head = app.retold().store().head().await?.position;
        query.check(head)?;
        let include_reserved = query.filter.include_reserved;
        let all = Filter {
            include_reserved,
            ..Filter::default()
        };
        let query = if query.filter == all {
            let scan = app.retold().scan(query.after).through(head);
            Query::Scan(scan, include_reserved)
        } else {
            query.through = head;
            Query::Log(query)
        };
        Ok(EventPages::new(app, query, limit))
    }

    fn new(app: App, query: Query, left: Option<u64>) -> EventPages {
        EventPages {
            app,
            query: Some(query),
            left,
            head: None,
        }
    }

    /// The first page; none where there is none.
    ///
    /// # Errors
    /// Those of the read; `busy` where there is no room for it.
    pub(crate) async fn first(&mut self) -> Result<Option<Part>, Problem> {
        let bytes = bytes_of_page(self.limit());
        let room = self.app.rooms().answers.take(bytes).await?;
        self.read(room).await
    }

    /// The next page, once there is room for it; none behind the last.
    async fn next(&mut self) -> Result<Option<Part>, Problem> {
        if self.query.is_none() {
            return Ok(None);
        }
        let answers = self.app.rooms().answers.clone();
        let mut room = pin!(answers.wait(bytes_of_page(self.limit())));
        let room = match poll!(&mut room) {
            Poll::Ready(room) => room,
            Poll::Pending => {
                // What was read ahead was counted with the part before.
                if let Some(Query::Scan(scan, _)) = &mut self.query {
                    scan.forget_ahead();
                }
                room.await
            }
        };
        self.read(room).await
    }

    /// Events of the next page at the most.
    fn limit(&self) -> usize {
        let at_once = STREAMED_READ_EVENTS as u64;
        self.left.map_or(at_once, |left| left.min(at_once)) as usize
    }

    async fn read(&mut self, mut room: Taken) -> Result<Option<Part>, Problem> {
        let limit = self.limit();
        let retold = self.app.retold();
        let entries = match self.query.take() {
            None => return Ok(None),
            Some(_) if limit == 0 => return Ok(None),
            Some(Query::Scan(mut scan, include_reserved)) => {
                let Some(block) = scan.next().await? else {
                    return Ok(None);
                };
                let left = self.left.unwrap_or(u64::MAX);
                let (lines, count) = lines_of_block(&*block, include_reserved, left)?;
                self.left = self.left.map(|left| left - count);
                room.keep(lines.len() + scan.bytes_ahead());
                self.query = Some(Query::Scan(scan, include_reserved));
                return Ok(Some(Part { lines, room }));
            }
            Some(Query::Stream(mut query)) => {
                query.limit = limit;
                let page = retold.store().read_stream(query.clone()).await?;
                self.head = page.head;
                let next = page.next.map(|next| query.continued(next));
                self.query = next.map(Query::Stream);
                page.entries
            }
            Some(Query::Log(mut query)) => {
                query.limit = limit;
                let page = retold.log(query.clone()).await?;
                self.query = page.next.map(|next| {
                    query.after = next;
                    Query::Log(query)
                });
                page.entries
            }
        };
        self.left = self.left.map(|left| left - entries.len() as u64);
        let lines = lines(entries)?;
        room.keep(lines.len());
        Ok(Some(Part { lines, room }))
    }
}

fn lines(entries: Vec<Entry>) -> Result<Bytes, Problem> {
    let mut lines = Vec::with_capacity(entries.len() * LINE_BYTES);
    for entry in entries {
        write_event(&mut lines, &(&entry.into_event()?).into());
    }
    Ok(Bytes::from(lines))
}

/// The first events of a block, at most so many, and how many there are.
fn lines_of_block(
    block: &dyn LogBlock,
    include_reserved: bool,
    limit: u64,
) -> Result<(Bytes, u64), Problem> {
    let mut lines = Vec::with_capacity(block.len() * LINE_BYTES);
    let mut count = 0;
    for nth in 0..block.len() {
        match block.entry(nth)? {
            EntryRef::Event(event) if include_reserved || !event.is_reserved() => {
                if count == limit {
                    break;
                }
                write_event(&mut lines, &event);
                count += 1;
            }
            EntryRef::Event(_) => {}
            EntryRef::Lost(_) if count == limit => break,
            EntryRef::Lost(lost) => {
                Entry::Lost(lost.clone()).into_event()?;
            }
        }
    }
    Ok((Bytes::from(lines), count))
}

/// Writes an event as a line.
pub(crate) fn write_event(lines: &mut Vec<u8>, event: &EventRef<'_>) {
    event.write_json(lines);
    lines.push(b'\n');
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

/// What is left of a streamed answer.
struct Rest {
    first: Option<Part>,
    pages: EventPages,
    /// Of the part that is being sent: the next one is asked for when that is done.
    sending: Option<Taken>,
}

/// Answers with all pages, of which the first was read, so that what is wrong from the
/// beginning is still told as a problem.
pub(crate) fn ndjson(first: Option<Part>, pages: EventPages) -> Response {
    let rest = Rest {
        first,
        pages,
        sending: None,
    };
    let parts = stream::try_unfold(rest, |mut rest| async move {
        rest.sending = None;
        let part = match rest.first.take() {
            Some(first) => Ok(Some(first)),
            None => rest.pages.next().await,
        };
        match part {
            Ok(None) => Ok(None),
            Ok(Some(Part { lines, room })) => {
                rest.sending = Some(room);
                Ok(Some((lines, rest)))
            }
            Err(problem) => {
                tracing::warn!(detail = problem.detail(), "breaking off a stream of events");
                Err(std::io::Error::other(problem.detail().to_owned()))
            }
        }
    });
    let mut response = Body::from_stream(parts).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    response
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use retold::{Json, NewEvent, Retold, StreamId};

    use super::*;
    use crate::{Limits, Options};

    #[tokio::test]
    async fn what_is_read_ahead_is_counted_and_given_up_where_there_is_no_room() {
        let retold = Retold::open("memory:").await.unwrap();
        let stream = StreamId::new("Note", "1").unwrap();
        let event = || NewEvent::from_json(stream.clone(), "t", Json::null());
        for _ in 0..5 {
            let events: Vec<_> = (0..1_000).map(|_| event()).collect();
            retold.append(events).await.unwrap();
        }
        let page = bytes_of_page(STREAMED_READ_EVENTS);
        let limits = Limits {
            answers_bytes: page,
            ..Limits::default()
        };
        let options = Options {
            limits,
            ..Options::default()
        };
        let app = App::new(retold, options);
        let answers = &app.rooms().answers;
        let mut pages = EventPages::of_log(app.clone(), LogQuery::after(0), None).await;
        let pages = pages.as_mut().unwrap();
        let ahead = |pages: &EventPages| match &pages.query {
            Some(Query::Scan(scan, _)) => scan.bytes_ahead(),
            _ => 0,
        };
        let first = pages.first().await.unwrap().unwrap();
        assert!(ahead(pages) > 0);
        assert!(answers.taken_bytes() >= first.lines.len() + ahead(pages));

        // There is no room until the first part is sent.
        assert!(pages.next().now_or_never().is_none());
        assert_eq!(ahead(pages), 0);
        drop(first);
        let mut lines = STREAMED_READ_EVENTS;
        while let Some(part) = pages.next().await.unwrap() {
            lines += part.lines.iter().filter(|byte| **byte == b'\n').count();
        }
        assert_eq!(lines, 5_000);
        assert_eq!(answers.taken_bytes(), 0);
    }
}
