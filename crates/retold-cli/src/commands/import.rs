//! `retold import`: events from a file, through the bulk interface; an export into an empty store
//! is restored instead. What the files look like is the business of `import/`.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use futures::stream;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{Client, Failure, Kind, Lines, NDJSON, Path, parsed};
use crate::import::{self, Item, Items};
use crate::output::{Output, Progress, Table, clean};

/// Events that were read and not sent yet.
const AHEAD_MAX: usize = 256;

/// Refused lines that are named one by one; the rest is counted.
const REFUSED_SHOWN_MAX: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  retold import events.ndjson                   one event on each line
  retold import --type Ticket tickets.xes.gz    an event log as IEEE 1849 defines it
  retold import --type Permit --case case_id --timestamp at permits.csv
  retold export | retold --store ./copy import -

The same file again adds nothing: events are known by their ids. A line that is refused is named
by its number and does not lose the others; the exit code is 1 then.";

/// Appends the events of a file; restores an export into an empty store.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Import {
    /// The file (.xes, .csv, .tsv, .ndjson, .jsonl, each also with .gz); - reads standard input.
    file: PathBuf,

    /// The aggregate type of the cases; XES and CSV need one.
    #[arg(long = "type", value_name = "TYPE")]
    aggregate_type: Option<String>,

    /// The format, where the name does not tell it.
    #[arg(long, value_enum)]
    format: Option<import::Format>,

    /// The column or attribute that names the case; guessed where it has a usual name.
    #[arg(long, value_name = "NAME")]
    case: Option<String>,

    /// The one that becomes the event type.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,

    /// The one that says when.
    #[arg(long, value_name = "NAME")]
    timestamp: Option<String>,

    /// The one that says who.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,

    /// What separates the fields of a CSV file; guessed otherwise.
    #[arg(long, value_name = "CHARACTER", value_parser = import::parse_separator)]
    separator: Option<u8>,

    /// The offset of times that have none, such as +02:00.
    #[arg(long, value_name = "OFFSET", value_parser = import::parse_offset)]
    offset: Option<jiff::tz::Offset>,

    /// How times are written, with the directives of strftime.
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,

    /// Stops at the first line that is refused.
    #[arg(long)]
    strict: bool,

    /// What to do with events that have the name of a transition of their type's machine.
    #[arg(long, value_enum, default_value = "none")]
    machine: Transitions,
}

/// What to do with events that are transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Transitions {
    /// Refuse them: they belong to no machine, or were meant to be asked for.
    None,
    /// Record them unchecked: for a history that was made elsewhere.
    Trust,
}

/// What became of the lines.
#[derive(Default)]
struct Outcome {
    new: u64,
    known: u64,
    refused: u64,
    reasons: Vec<(u64, String)>,
}

impl Outcome {
    fn refuse(&mut self, line: u64, reason: String) {
        self.refused += 1;
        if self.reasons.len() < REFUSED_SHOWN_MAX {
            self.reasons.push((line, reason));
        }
    }
}

#[derive(Deserialize)]
struct Answered {
    #[serde(rename = "isNew")]
    is_new: Option<bool>,
    detail: Option<String>,
}

/// What the reading side tells the sending one.
#[derive(Default)]
struct Reading {
    /// The lines that were sent and not answered yet, in order.
    sent: VecDeque<u64>,
    refused: Vec<(u64, String)>,
    failed: Option<anyhow::Error>,
}

impl Import {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let opened = import::items(&self.file, self.options());
        let (items, read) = opened.map_err(|error| match error.is_usage() {
            true => Failure::new(Kind::Usage, error.to_string()).into(),
            false => anyhow::Error::from(error),
        })?;
        let mut items = items.peekable();
        let is_export = matches!(
            items.peek(),
            Some(Ok(Item::Event(event))) if event.recorded.is_some()
        );
        if is_export && is_empty(client).await? {
            return restore(client, output, Box::new(items)).await;
        }
        let outcome = self.send(client, output, Box::new(items), &read).await?;
        show(output, &outcome)
    }

    fn options(&self) -> import::Options {
        import::Options {
            format: self.format,
            aggregate_type: self.aggregate_type.clone(),
            fields: import::Fields {
                case: self.case.clone(),
                event_type: self.event_type.clone(),
                timestamp: self.timestamp.clone(),
                actor: self.actor.clone(),
            },
            separator: self.separator,
            offset: self.offset,
            time_format: self.time_format.clone(),
        }
    }

    /// Sends the events while the answers to earlier ones come in.
    async fn send(
        &self,
        client: &Client,
        output: &Output,
        items: Items,
        read: &import::Progress,
    ) -> anyhow::Result<Outcome> {
        let what = match read.bytes_total() {
            Some(_) => "bytes imported:",
            None => "imported",
        };
        let progress = Progress::new(output, what, read.bytes_total());
        let reading = Arc::new(Mutex::new(Reading::default()));
        let refused = match self.strict {
            true => Refused::End,
            false => Refused::PassOver,
        };
        let body = body(items, Arc::clone(&reading), refused, |event| event.new);
        let trust = self.machine == Transitions::Trust;
        let path = Path::new(&["events"]).with_some("machine", trust.then_some("trust"));
        let request = Request::post(path.as_str())
            .header(CONTENT_TYPE, NDJSON)
            .header(ACCEPT, NDJSON)
            .body(body)
            .context("make the request")?;
        let mut outcome = Outcome::default();
        let mut answers = Lines::new(client.send(request).await?.into_body());
        while let Some(answer) = answers.next().await? {
            let sent = lock(&reading).sent.pop_front();
            let line = sent.context("understand the server: it answered more than it was sent")?;
            let answered: Answered = parsed(&answer)?;
            match read.bytes_total() {
                Some(_) => progress.set(read.bytes_read()),
                None => progress.add(1),
            }
            match answered.is_new {
                Some(true) => outcome.new += 1,
                Some(false) => outcome.known += 1,
                None => outcome.refuse(line, answered.detail.unwrap_or_default()),
            }
            if self.strict && outcome.refused > 0 {
                break;
            }
        }
        drop(answers);
        let mut reading = lock(&reading);
        for (line, reason) in reading.refused.drain(..) {
            outcome.refuse(line, reason);
        }
        if let Some(error) = reading.failed.take() {
            return Err(error);
        }
        let was_ended = self.strict && outcome.refused > 0;
        if !was_ended && !reading.sent.is_empty() {
            let message = format!(
                "learn what became of {} events from line {} on: the answers ended early",
                reading.sent.len(),
                reading.sent[0]
            );
            let hint = "import the file again: events that are known already are not added twice";
            return Err(Failure::new(Kind::Failed, message).hint(hint).into());
        }
        outcome.reasons.sort();
        Ok(outcome)
    }
}

async fn is_empty(client: &Client) -> anyhow::Result<bool> {
    let info: Value = client.get_as(Path::new(&["info"]).as_str()).await?;
    Ok(info["head"].as_u64() == Some(0))
}

async fn restore(client: &Client, output: &Output, items: Items) -> anyhow::Result<()> {
    let reading = Arc::new(Mutex::new(Reading::default()));
    // A part of an export must not pass for the whole, so the first refused line breaks it off.
    let body = body(items, Arc::clone(&reading), Refused::Break, |event| {
        event.recorded.or(event.new)
    });
    let request = Request::post(Path::new(&["restore"]).as_str())
        .header(CONTENT_TYPE, NDJSON)
        .body(body)
        .context("make the request")?;
    let answer = client.send(request).await;
    {
        let mut reading = lock(&reading);
        if let Some(error) = reading.failed.take() {
            return Err(error);
        }
        if let Some((line, reason)) = reading.refused.first() {
            let message = format!("restore: line {line} is {reason}");
            return Err(Failure::new(Kind::Failed, message).into());
        }
    }
    let answer = answer?
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
        "restored {} events as they were; the head is {}",
        restored["events"], restored["head"]
    ))
}

/// What a line that cannot be read does to those behind it.
#[derive(Debug, Clone, Copy)]
enum Refused {
    /// Nothing.
    PassOver,
    /// They are not sent.
    End,
    /// They are not sent, and the service must not take what was for the whole.
    Break,
}

/// A body that is read from the file as fast as it is sent, and no faster.
fn body(
    items: Items,
    reading: Arc<Mutex<Reading>>,
    refused: Refused,
    spell: impl Fn(import::Event) -> Option<String> + Send + 'static,
) -> Body {
    let (sending, lines) = mpsc::channel::<io::Result<Bytes>>(AHEAD_MAX);
    // Files are read, and perhaps decompressed, where no request waits for it.
    tokio::task::spawn_blocking(move || {
        for item in items {
            match item {
                Ok(Item::Event(event)) => {
                    let number = event.line;
                    let Some(mut line) = spell(event) else {
                        continue;
                    };
                    lock(&reading).sent.push_back(number);
                    line.push('\n');
                    if sending.blocking_send(Ok(line.into())).is_err() {
                        return;
                    }
                }
                Ok(Item::Refused { line, reason }) => {
                    lock(&reading).refused.push((line, reason));
                    match refused {
                        Refused::PassOver => {}
                        Refused::End => return,
                        Refused::Break => {
                            let broken = io::Error::other("a line was refused");
                            let _ = sending.blocking_send(Err(broken));
                            return;
                        }
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    lock(&reading).failed = Some(error);
                    let _ = sending.blocking_send(Err(io::Error::other(text)));
                    return;
                }
            }
        }
    });
    Body::from_stream(stream::unfold(lines, |mut lines| async {
        lines.recv().await.map(|line| (line, lines))
    }))
}

fn lock(reading: &Mutex<Reading>) -> std::sync::MutexGuard<'_, Reading> {
    reading.lock().unwrap_or_else(PoisonError::into_inner)
}

fn show(output: &Output, outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome {
        new,
        known,
        refused,
        reasons,
    } = outcome;
    if output.json {
        let lines: Vec<Value> = reasons
            .iter()
            .map(|(line, reason)| json!({"line": line, "detail": reason}))
            .collect();
        let whole =
            json!({"new": new, "duplicate": known, "refused": refused, "refusedLines": lines});
        output.line(whole.to_string())?;
    } else {
        output.table(&Table::of_fields(vec![
            ("new".into(), new.to_string()),
            ("known already".into(), known.to_string()),
            ("refused".into(), refused.to_string()),
        ]))?;
        for (line, reason) in reasons {
            eprintln!("line {line}: {}", clean(reason));
        }
    }
    match refused {
        0 => Ok(()),
        _ => Err(Failure::new(Kind::Failed, format!("import {refused} lines")).into()),
    }
}
