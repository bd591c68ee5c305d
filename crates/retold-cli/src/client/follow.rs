//! Following the log live, over server-sent events: a connection that breaks is made again, and
//! goes on behind the last event that was seen.

use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::http::header::ACCEPT;

use super::{Client, Failure, Lines, Path};

/// The pause before a broken stream is taken up again.
const PAUSE: Duration = Duration::from_secs(1);

/// Attempts in a row that bring nothing before following is given up: a server that restarts is
/// back within them.
const ATTEMPTS_MAX: u32 = 30;

/// Calls `deliver` with each event at a path, for ever.
pub(crate) async fn follow(
    client: &Client,
    path: &Path,
    mut deliver: impl FnMut(&Bytes) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut last_id: Option<String> = None;
    let mut failed = 0;
    loop {
        let mut request = Request::get(path.as_str()).header(ACCEPT, "text/event-stream");
        if let Some(id) = &last_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(Body::empty()).context("make the request")?;
        let error = match client.send(request).await {
            Ok(answer) => {
                let mut messages = Messages::new(answer.into_body());
                loop {
                    match messages.next().await {
                        Ok(Some(message)) => {
                            failed = 0;
                            if message.name == "error" {
                                let problem = serde_json::from_slice(&message.data);
                                let problem = problem.unwrap_or_default();
                                return Err(Failure::from_problem(problem, 500).into());
                            }
                            if message.name.is_empty() || message.name == "message" {
                                deliver(&message.data)?;
                            }
                            last_id = message.id.or(last_id);
                        }
                        Ok(None) => break Failure::broken(&"the server ended the stream").into(),
                        Err(error) => break error,
                    }
                }
            }
            Err(error) => error,
        };
        let is_passing = error
            .downcast_ref::<Failure>()
            .is_some_and(Failure::is_worth_another_attempt);
        failed += 1;
        if !is_passing || failed == ATTEMPTS_MAX || (failed == 1 && last_id.is_none()) {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Message {
    name: String,
    id: Option<String>,
    data: Bytes,
}

/// The messages of a body, as the HTML standard describes them under "event stream".
struct Messages {
    lines: Lines,
}

impl Messages {
    fn new(body: Body) -> Messages {
        Messages {
            lines: Lines::new(body),
        }
    }

    async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        let (mut name, mut id, mut data) = (String::new(), None, Vec::new());
        let mut has_data = false;
        while let Some(line) = self.lines.next().await? {
            if line.is_empty() {
                if has_data {
                    let data = data.into();
                    return Ok(Some(Message { name, id, data }));
                }
                name.clear();
                continue;
            }
            let at = line
                .iter()
                .position(|byte| *byte == b':')
                .unwrap_or(line.len());
            let value = line.get(at + 1..).unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let text = || String::from_utf8_lossy(value).into_owned();
            match &line[..at] {
                b"event" => name = text(),
                b"id" => id = Some(text()),
                b"data" => {
                    if has_data {
                        data.push(b'\n');
                    }
                    has_data = true;
                    data.extend_from_slice(value);
                }
                // Comments keep the connection alive; other fields mean nothing here.
                _ => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_told_apart() {
        let text =
            ": alive\n\nid: 7\ndata: {\"a\":1}\n\nevent: progress\nid: 8\ndata: {}\n\ndata: cut";
        let mut messages = Messages::new(Body::from(text));
        let first = messages.next().await.unwrap().unwrap();
        assert_eq!((&*first.name, first.id.as_deref()), ("", Some("7")));
        assert_eq!(first.data, "{\"a\":1}");
        let second = messages.next().await.unwrap().unwrap();
        assert_eq!(
            (&*second.name, second.id.as_deref()),
            ("progress", Some("8"))
        );
        assert!(messages.next().await.unwrap().is_none());
    }
}
