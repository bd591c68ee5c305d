//! The state of an aggregate, now or as it was.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use retold::{Difference, PointInTime, Position, Retold, StateQuery, StreamId};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::events::unknown_stream;
use crate::App;
use crate::api::answer::{Code, Problem, etag, json, with_sequence};
use crate::api::limits::{PAGE_LIMIT_MAX, bytes_of_page};
use crate::api::request::{AsJson, Parameters, Target, wait_time};
use crate::api::schema;

/// A state, and what the caller asked to be added to it.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    state: retold::State,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Vec<Difference>>,
}

/// What to add to a state.
struct Additions {
    history: bool,
    transitions: bool,
    diff: bool,
    later: bool,
}

/// The state of an aggregate: now, or after an event, when the log had reached a position, at a
/// date, or as it was recorded at a time.
#[utoipa::path(
    get,
    path = "/v1/streams/{aggregateType}/{aggregateId}/state",
    tag = "streams",
    params(schema::StreamPath, schema::StateQuery),
    responses(
        (status = 200, description = "The state.", body = schema::StateBody,
            headers(("ETag" = String, description = "for the current state"),
                ("Retold-Stream-Sequence" = u64, description = "for an earlier one"))),
    ),
)]
pub(crate) async fn state(
    State(app): State<App>,
    Target(stream): Target,
    _: AsJson,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let point = moment(&mut parameters)?;
    let additions = Additions {
        history: parameters.flag("history")?,
        transitions: parameters.flag("transitions")?,
        diff: parameters.flag("diff")?,
        later: parameters.flag("later")?,
    };
    let min_position = parameters.number("minPosition")?;
    let wait = wait_time(&mut parameters)?;
    parameters.finish()?;
    if let Some(position) = min_position {
        reach(app.retold(), position, wait).await?;
    }
    // Replayed in pages, of which one is held at a time.
    let room = app
        .rooms()
        .answers
        .take(bytes_of_page(PAGE_LIMIT_MAX))
        .await?;
    let answer = derive(app.retold(), &stream, point, &additions).await?;
    let sequence = answer.state.sequence_number;
    let response = room.brought_by(json(StatusCode::OK, &answer)?);
    if point == PointInTime::Head {
        return Ok(etag(response, sequence));
    }
    let head = app.retold().store().stream_head(&stream).await?;
    let head = head.ok_or_else(|| unknown_stream(&stream))?;
    Ok(with_sequence(response, head.sequence_number))
}

/// The moment asked for, at most one.
fn moment(parameters: &mut Parameters) -> Result<PointInTime, Problem> {
    let given = [
        (
            "atSequence",
            parameters.number("atSequence")?.map(PointInTime::Sequence),
        ),
        (
            "atPosition",
            parameters.number("atPosition")?.map(PointInTime::Position),
        ),
        (
            "atTimestamp",
            parameters
                .timestamp("atTimestamp")?
                .map(PointInTime::Timestamp),
        ),
        (
            "atPersisted",
            parameters
                .timestamp("atPersisted")?
                .map(PointInTime::PersistedAt),
        ),
    ];
    let mut points = given
        .into_iter()
        .filter_map(|(name, point)| Some((name, point?)));
    let point = points.next();
    if let (Some((first, _)), Some((second, _))) = (point, points.next()) {
        let reason = format!("must not be given together with {first}");
        return Err(Problem::invalid(second, reason));
    }
    Ok(point.map_or(PointInTime::Head, |(_, point)| point))
}

/// Waits until the log has reached a position.
async fn reach(retold: &Retold, wanted: Position, wait: Duration) -> Result<(), Problem> {
    let deadline = Instant::now() + wait;
    let mut head = retold.store().head().await?.position;
    while head < wanted {
        match timeout_at(deadline, retold.store().wait_past(head)).await {
            Ok(reached) => head = reached?,
            Err(_) => {
                let detail = format!("wait for position {wanted}: the log is at {head}");
                return Err(Problem::new(Code::NotYet, detail)
                    .field("minPosition")
                    .member("position", head.into()));
            }
        }
    }
    Ok(())
}

async fn derive(
    retold: &Retold,
    stream: &StreamId,
    point: PointInTime,
    additions: &Additions,
) -> Result<Answer, Problem> {
    let ask = |point| -> StateQuery {
        let query = retold.state(
            stream.aggregate_type().clone(),
            stream.aggregate_id().clone(),
        );
        query.at(point)
    };
    let mut query = ask(point);
    if additions.history {
        query = query.with_history();
    }
    if additions.transitions {
        query = query.with_transitions();
    }
    if additions.later {
        query = query.count_later();
    }
    let state = query.await?;
    let diff = match state.sequence_number.checked_sub(1) {
        _ if !additions.diff => None,
        None => Some(Vec::new()),
        Some(before) => {
            let before = ask(PointInTime::Sequence(before)).await?;
            Some(state.differences_from(&before))
        }
    };
    Ok(Answer { state, diff })
}
