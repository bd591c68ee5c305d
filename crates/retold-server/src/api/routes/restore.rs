//! Restoring an export into an empty store.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::{LogId, RecordedEvent, RestoreBatch, Retold};
use serde::Serialize;
use uuid::Uuid;

use crate::App;
use crate::api::answer::{Problem, json};
use crate::api::limits::{RESTORE_BATCH_BYTES, RESTORE_BATCH_EVENTS, SMALL_BODY_BYTES_MAX};
use crate::api::request::{Fields, Line, Lines, Parameters, SentNdjson, recorded_event, text};
use crate::api::schema;

#[derive(Serialize)]
struct Restored {
    events: u64,
    head: u64,
}

/// Restores recorded events, one per line in the order of their positions, into a store that
/// holds nothing else: positions, sequence numbers and dates stay.
///
/// A restore that broke off goes on when it is sent again from its beginning; until it is
/// complete, appends are refused.
#[utoipa::path(
    post,
    path = "/v1/restore",
    tag = "log",
    params(schema::RestoreQuery),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, description = "Restored.", body = schema::RestoredBody)),
)]
pub(crate) async fn restore(
    _: SentNdjson,
    State(app): State<App>,
    mut parameters: Parameters,
    body: Body,
) -> Result<Response, Problem> {
    let origin = parameters.text("origin");
    parameters.finish()?;
    let refuse = |_| Problem::invalid("origin", "must be a UUID");
    // An export does not say which log it is of; all restores that do not say it are of one.
    let origin = origin.map_or(Ok(Uuid::nil()), |id| Uuid::parse_str(&id).map_err(refuse))?;
    let mut lines = Lines::new(body);
    let mut batch = Batch::of(app.retold(), origin);
    while let Some(line) = lines.next().await? {
        let number = line.number;
        let event = parse(&line).map_err(|problem| problem.member("line", number.into()))?;
        batch.push(event).await?;
    }
    json(StatusCode::OK, &batch.finish().await?)
}

fn parse(line: &Line) -> Result<RecordedEvent, Problem> {
    let Some(bytes) = &line.text else {
        return Err(Problem::too_large("body", SMALL_BODY_BYTES_MAX));
    };
    recorded_event(Fields::of_body(text(bytes)?)?)
}

/// Events that are gathered to be written together.
struct Batch<'a> {
    retold: &'a Retold,
    origin: LogId,
    events: Vec<RecordedEvent>,
    bytes: usize,
    count: u64,
}

impl Batch<'_> {
    fn of(retold: &Retold, origin: LogId) -> Batch<'_> {
        Batch {
            retold,
            origin,
            events: Vec::new(),
            bytes: 0,
            count: 0,
        }
    }

    async fn push(&mut self, event: RecordedEvent) -> Result<(), Problem> {
        let bytes = event.bytes();
        let is_full =
            self.events.len() >= RESTORE_BATCH_EVENTS || self.bytes + bytes > RESTORE_BATCH_BYTES;
        if is_full {
            self.write(false).await?;
        }
        self.bytes += bytes;
        self.count += 1;
        self.events.push(event);
        Ok(())
    }

    async fn finish(mut self) -> Result<Restored, Problem> {
        let head = self.write(true).await?;
        Ok(Restored {
            events: self.count,
            head,
        })
    }

    async fn write(&mut self, is_last: bool) -> Result<u64, Problem> {
        self.bytes = 0;
        let batch = RestoreBatch {
            origin: self.origin,
            events: std::mem::take(&mut self.events),
            is_last,
        };
        Ok(self.retold.restore(batch).await?)
    }
}
