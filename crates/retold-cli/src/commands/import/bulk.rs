//! Sends the events of a file through the bulk interface, each as an append of its own, while
//! the answers to earlier ones come in.

use std::collections::HashSet;

use anyhow::Context;
use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;

use super::body::{Refused, Sent, Shared, body, lock};
use super::outcome::Outcome;
use crate::client::{Client, Failure, Kind, Lines, NDJSON, Path, parsed};
use crate::import::{self, Event, Items};
use crate::output::Progress;

/// How events of types with a machine are appended.
pub(super) enum Rule {
    /// Not at all: these are the types.
    RefuseTypes(HashSet<String>),
    /// Recorded unchecked.
    Trust,
}

#[derive(Deserialize)]
struct Answered {
    #[serde(rename = "isNew")]
    is_new: Option<bool>,
    detail: Option<String>,
}

/// Appends the events of a file; ends at the first refused line if told so.
pub(super) async fn send(
    client: &Client,
    items: Items,
    rule: Rule,
    is_strict: bool,
    read: &import::Progress,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let reading = Shared::default();
    let refused = match is_strict {
        true => Refused::End,
        false => Refused::PassOver,
    };
    let trust = matches!(rule, Rule::Trust).then_some("trust");
    let path = Path::new(&["events"]).with_some("machine", trust);
    let body = body(items, Shared::clone(&reading), refused, move |event| {
        spell(&event, &rule)
    });
    let request = Request::post(path.as_str())
        .header(CONTENT_TYPE, NDJSON)
        .header(ACCEPT, NDJSON)
        .body(body)
        .context("make the request")?;
    let mut outcome = Outcome::default();
    let mut answers = Lines::new(client.send(request).await?.into_body());
    let broken = loop {
        let answer = match answers.next().await {
            Ok(Some(answer)) => answer,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        let sent = lock(&reading).sent.pop_front();
        let line = sent.context("understand the server: it answered more than it was sent")?;
        let answered: Answered = parsed(&answer)?;
        progress.set(read.bytes_read());
        match answered.is_new {
            Some(true) => outcome.new += 1,
            Some(false) => outcome.known += 1,
            None => outcome.refuse(line, answered.detail.unwrap_or_default()),
        }
        if is_strict && outcome.refused > 0 {
            break None;
        }
    };
    drop(answers);
    let mut reading = lock(&reading);
    for (line, reason) in reading.refused.drain(..) {
        outcome.refuse(line, reason);
    }
    outcome.passed_over = reading.passed_over;
    // What is wrong with the file says more than that the connection broke because of it.
    if let Some(error) = reading.failed.take() {
        return Err(error);
    }
    let was_ended = is_strict && outcome.refused > 0;
    if !was_ended && !reading.sent.is_empty() {
        let why = broken.map_or("the answers ended early".into(), |error| error.to_string());
        let message = format!(
            "learn what became of {} events from line {} on: {why}",
            reading.sent.len(),
            reading.sent[0]
        );
        let hint = "import the file again: events that are known already are not added twice";
        return Err(Failure::new(Kind::Failed, message).hint(hint).into());
    }
    match broken {
        Some(error) => Err(error),
        None => Ok(outcome),
    }
}

fn spell(event: &Event, rule: &Rule) -> anyhow::Result<Sent> {
    if event.is_reserved() {
        return Ok(Sent::PassedOver);
    }
    let aggregate_type = &**event.import.event.stream.aggregate_type();
    match rule {
        Rule::RefuseTypes(types) if types.contains(aggregate_type) => {
            Ok(Sent::Refused(has_machine(aggregate_type)))
        }
        _ => event.bulk_line().map(Sent::Line),
    }
}

/// Why events of a type with a machine are not appended plainly.
pub(super) fn has_machine(aggregate_type: &str) -> String {
    format!(
        "append it: {aggregate_type} has a state machine; --machine check takes each line as a \
         transition, --machine trust records them unchecked"
    )
}
