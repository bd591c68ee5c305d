//! Bulk appends: a line in, a result out, in order, while the body is still being sent.

mod ahead;
mod appending;
mod gathering;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::ahead::Bulk;
use self::appending::{Appender, Done, Outcome};
use super::events::trusts;
use crate::App;
use crate::api::answer::{
    AppendedOne, NDJSON, Problem, applied_minimal, json, prefers_minimal, write_line, write_minimal,
};
use crate::api::limits::{REFUSED_LINES_MAX, UNREAD_TIME_MAX};
use crate::api::request::{Parameters, SentNdjson, Trace};
use crate::api::schema;

/// Parts of the results that wait to be read: one is being sent while the next is made.
const UNREAD_PARTS_MAX: usize = 1;

/// Appends many events, each on its own: one line of NDJSON is one event with its stream, and
/// one line of the answer is its result.
#[utoipa::path(
    post,
    path = "/v1/events",
    tag = "log",
    params(schema::BulkQuery, schema::TraceParent, schema::Prefer),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "A result for each line; or what they came to altogether.",
            content(
                (String = "application/x-ndjson"),
                (schema::BulkSummaryBody = "application/json"),
            )),
    ),
)]
pub(crate) async fn append_lines(
    _: SentNdjson,
    State(app): State<App>,
    mut parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let trusts = trusts(&mut parameters)?;
    let is_summary = match parameters.text("results").as_deref() {
        None | Some("lines") => false,
        Some("summary") => true,
        Some(_) => return Err(Problem::invalid("results", "must be lines or summary")),
    };
    parameters.finish()?;
    let is_minimal = !is_summary && prefers_minimal(&headers);
    let trace = Trace::of(&headers);
    let appender = Appender {
        app,
        trusts,
        trace: trace.clone(),
        wants_events: !is_summary && !is_minimal,
    };
    let bulk = Bulk::new(appender, trace, body);
    match (is_summary, is_minimal) {
        (true, _) => summary(bulk).await,
        (false, true) => Ok(applied_minimal(streamed(bulk))),
        (false, false) => Ok(streamed(bulk)),
    }
}

/// Answers with one line for each line.
fn streamed(mut bulk: Bulk) -> Response {
    let (results, unread) = mpsc::channel::<Result<Bytes, std::io::Error>>(UNREAD_PARTS_MAX);
    // A task of its own, so that it notices a client that does not read.
    let done = tokio::spawn(async move {
        loop {
            let lines = match bulk.next().await {
                Ok(None) => return Ok(()),
                Ok(Some(outcomes)) => result_lines(&outcomes),
                Err(problem) => Err(problem),
            };
            let lines = lines.map_err(|problem| problem.detail().to_owned())?;
            match timeout(UNREAD_TIME_MAX, results.send(Ok(lines))).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err("send the results: the client does not read".to_owned()),
            }
        }
    });
    let parts = stream::unfold((unread, Some(done)), |(mut unread, done)| async move {
        if let Some(part) = unread.recv().await {
            return Some((part, (unread, done)));
        }
        // The body of the answer ends well only if all lines were done: else the client must
        // see a connection that broke.
        let broken = match done?.await {
            Ok(Ok(())) => return None,
            Ok(Err(reason)) => reason,
            Err(_) => "append the lines".to_owned(),
        };
        tracing::warn!(reason = broken, "breaking off a bulk append");
        Some((Err(std::io::Error::other(broken)), (unread, None)))
    });
    let mut response = Body::from_stream(parts).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, NDJSON);
    response
}

fn result_lines(outcomes: &[Outcome]) -> Result<Bytes, Problem> {
    let mut lines = Vec::new();
    for Outcome { result, .. } in outcomes {
        match result {
            Ok(Done {
                is_new,
                position,
                event,
            }) => {
                let is_new = *is_new;
                match event {
                    Some(event) => AppendedOne { is_new, event }.write_json(&mut lines),
                    None => write_minimal(&mut lines, is_new, *position),
                }
                lines.push(b'\n');
            }
            Err(problem) => write_line(&mut lines, problem)?,
        }
    }
    Ok(Bytes::from(lines))
}

/// What a bulk append came to.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    new: u64,
    duplicate: u64,
    refused: u64,
    refused_lines: Vec<RefusedLine>,
}

#[derive(Serialize)]
struct RefusedLine {
    line: u64,
    status: u16,
    code: &'static str,
    detail: String,
}

/// Answers with counts at the end.
async fn summary(mut bulk: Bulk) -> Result<Response, Problem> {
    let mut summary = Summary::default();
    while let Some(outcomes) = bulk.next().await? {
        for Outcome { number, result } in outcomes {
            match result {
                Ok(Done { is_new: true, .. }) => summary.new += 1,
                Ok(Done { is_new: false, .. }) => summary.duplicate += 1,
                Err(problem) => {
                    summary.refused += 1;
                    if summary.refused_lines.len() < REFUSED_LINES_MAX {
                        summary.refused_lines.push(RefusedLine {
                            line: number,
                            status: problem.code.status().as_u16(),
                            code: problem.code.name(),
                            detail: problem.detail().to_owned(),
                        });
                    }
                }
            }
        }
    }
    json(StatusCode::OK, &summary)
}
