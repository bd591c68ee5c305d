//! One of many clients: appends to a stream of its own, and remembers what it was told.

use anyhow::Context;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::arguments::Stream;
use crate::chance::Chance;
use crate::client::{Client, Failure, JSON, Kind, Path};

/// The aggregate type of what is written.
pub(super) const AGGREGATE_TYPE: &str = "Torture";

/// Events in one call at most: calls of one and of several take different ways.
const EVENTS_MAX: u64 = 6;

/// Characters of a payload at most: some events fill more than one page of the disk.
const PAYLOAD_CHARS_MAX: u64 = 6_000;

/// A client.
pub(super) struct Writer {
    pub(super) stream: Stream,
    chance: Chance,
    /// The ids of all events that were acknowledged, in order.
    pub(super) acknowledged: Vec<Uuid>,
    /// The call whose answer never came.
    pending: Option<Call>,
}

/// A call that is sent again as it was.
struct Call {
    ids: Vec<Uuid>,
    body: String,
}

/// What the retry of a call without an answer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resolved {
    /// There was none.
    Nothing,
    /// It had been written before the kill.
    Written,
    /// It had not, and is now.
    NotWritten,
}

impl Writer {
    pub(super) fn new(nth: usize, seed: u64) -> Writer {
        Writer {
            stream: Stream {
                aggregate_type: AGGREGATE_TYPE.to_owned(),
                aggregate_id: format!("client-{nth}"),
            },
            chance: Chance::new(seed ^ (nth as u64 + 1).rotate_left(32)),
            acknowledged: Vec::new(),
            pending: None,
        }
    }

    /// Appends until the server is gone.
    ///
    /// # Errors
    /// A failure when it answers with anything but an acknowledgement.
    pub(super) async fn write(&mut self, client: &Client) -> anyhow::Result<()> {
        loop {
            let call = match self.pending.take() {
                Some(call) => call,
                None => self.next_call(),
            };
            match self.send(client, &call).await? {
                Some(_) => self.acknowledged.extend(&call.ids),
                None => {
                    self.pending = Some(call);
                    return Ok(());
                }
            }
        }
    }

    /// Sends the call without an answer again, with the same ids.
    pub(super) async fn resolve(&mut self, client: &Client) -> anyhow::Result<Resolved> {
        let Some(call) = self.pending.take() else {
            return Ok(Resolved::Nothing);
        };
        match self.send(client, &call).await? {
            Some(is_new) => {
                self.acknowledged.extend(&call.ids);
                Ok(match is_new {
                    true => Resolved::NotWritten,
                    false => Resolved::Written,
                })
            }
            None => {
                let message = "learn the outcome of an append: the reopened server does not answer";
                Err(Failure::new(Kind::Failed, message).into())
            }
        }
    }

    /// Ids of the call without an answer: its events may be there or not.
    pub(super) fn pending(&self) -> &[Uuid] {
        self.pending.as_ref().map_or(&[], |call| &call.ids)
    }

    fn next_call(&mut self) -> Call {
        let count = match self.chance.percent(25) {
            true => self.chance.between(2, EVENTS_MAX + 1),
            false => 1,
        };
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
        let before = self.acknowledged.len() as u64;
        let events: Vec<Value> = (before..)
            .zip(&ids)
            .map(|(nth, id)| {
                // Most events are small; some are not.
                let chars = match self.chance.percent(5) {
                    true => self.chance.between(0, PAYLOAD_CHARS_MAX),
                    false => self.chance.between(0, 200),
                };
                let filling = "x".repeat(usize::try_from(chars).unwrap_or(0));
                json!({
                    "eventType": "torture.written",
                    "payload": {"nth": nth + 1, "filling": filling},
                    "metadata": {"eventId": id},
                })
            })
            .collect();
        // Also where nothing could interfere: a retry must be known before it is judged.
        let expected = before;
        Call {
            ids,
            body: json!({"events": events, "expected": expected}).to_string(),
        }
    }

    /// Whether the events are new; none where no answer came.
    async fn send(&self, client: &Client, call: &Call) -> anyhow::Result<Option<bool>> {
        let path = Path::of_stream(&self.stream, &["events"]);
        let request = Request::post(path.as_str())
            .header(CONTENT_TYPE, JSON)
            .body(Body::from(call.body.clone()))
            .context("make the request")?;
        let answer = match client.send(request).await {
            Ok(answer) => answer,
            Err(error) if is_broken(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let is_new = answer.status() == StatusCode::CREATED;
        // The acknowledgement counts once all of it is here.
        Ok(answer.into_body().collect().await.ok().map(|_| is_new))
    }
}

/// Whether a server was not there, or went away.
pub(super) fn is_broken(error: &anyhow::Error) -> bool {
    let failure = error.downcast_ref::<Failure>();
    failure.is_some_and(|failure| failure.is_broken)
}
