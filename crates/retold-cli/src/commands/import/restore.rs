//! Restores an export into an empty store: positions, sequence numbers and dates stay.

use anyhow::Context;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde_json::Value;

use super::body::{Refused, Sent, Shared, body, lock};
use crate::client::{Client, Failure, Kind, NDJSON, Path, parsed};
use crate::import::{self, Items};
use crate::output::{Output, Progress, counted};

/// Sends all events; the first that cannot be read breaks it off, since a part of an export must
/// not pass for the whole.
pub(super) async fn restore(
    client: &Client,
    output: &Output,
    items: Items,
    read: &import::Progress,
    progress: Progress,
) -> anyhow::Result<()> {
    let reading = Shared::default();
    let (shown, read) = (progress.clone(), read.clone());
    let body = body(
        items,
        Shared::clone(&reading),
        Refused::Break,
        move |event| {
            shown.set(read.bytes_read());
            // What the service says about a line that was not recorded names what is lacking.
            let plain = event.bulk_line()?;
            Ok(Sent::Line(event.recorded_line()?.unwrap_or(plain)))
        },
    );
    let request = Request::post(Path::new(&["restore"]).as_str())
        .header(CONTENT_TYPE, NDJSON)
        .body(body)
        .context("make the request")?;
    let answer = client.send(request).await;
    drop(progress);
    {
        let mut reading = lock(&reading);
        if let Some(error) = reading.failed.take() {
            return Err(error);
        }
        if let Some((line, reason)) = reading.refused.first() {
            let message = format!("restore line {line}: failed to {reason}");
            let hint = "mend the file and import it again: a restore goes on where it broke off";
            return Err(Failure::new(Kind::Failed, message).hint(hint).into());
        }
    }
    let answer = answer.map_err(|error| match error.downcast::<Failure>() {
        Ok(failure) if failure.is_refusal() => {
            let hint = "a part of an export cannot be restored; --append gives it new positions";
            failure.hint(hint).into()
        }
        Ok(failure) => failure.into(),
        Err(error) => error,
    })?;
    let answer = answer
        .into_body()
        .collect()
        .await
        .context("read the answer")?;
    let answer = answer.to_bytes();
    if output.json {
        return output.line(answer);
    }
    let restored: Value = parsed(&answer)?;
    output.line(format!(
        "restored {} as they were; the head is {}",
        counted(
            restored["events"].as_u64().unwrap_or_default(),
            "event",
            "events"
        ),
        restored["head"]
    ))
}
