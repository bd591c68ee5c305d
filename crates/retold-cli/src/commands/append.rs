//! `retold append`: records that something happened.

use std::io::Read;

use anyhow::Context;
use axum::http::Method;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::arguments::Stream;
use crate::client::{Client, Failure, JSON, Kind, Path, parsed};
use crate::output::{Output, shown};

/// Bytes that are read from standard input: the longest payload with room for white space.
const INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  retold append Order/7 order.placed '{\"total\": 12}' --actor ana --expected no_stream
  retold append Issue/42 issue.commented '{\"text\": \"Done?\"}' --tag release-3
  echo '{\"degrees\": 21}' | retold append Sensor/attic measured -

The event id is made before the first attempt and shown in every error: give it again with
--event-id, and the event is recorded once, however often it is sent.";

/// Records an event.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Append {
    /// The stream, as TYPE/ID.
    stream: Stream,

    /// What happened, such as order.placed.
    event_type: String,

    /// What is known of it, as JSON; - reads it from standard input.
    #[arg(default_value = "null")]
    payload: String,

    #[command(flatten)]
    about: About,

    /// A word that the event can be found by; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
}

/// What is said of an event beside its content.
#[derive(Debug, clap::Args)]
pub(super) struct About {
    /// Who did it.
    #[arg(long)]
    actor: Option<String>,

    /// The larger matter it belongs to.
    #[arg(long, value_name = "ID")]
    correlation: Option<String>,

    /// The event or command that caused it.
    #[arg(long, value_name = "ID")]
    causation: Option<String>,

    /// When it happened; now unless told otherwise.
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,

    /// The id of an earlier attempt.
    #[arg(long, value_name = "UUID")]
    event_id: Option<Uuid>,

    /// What the stream must be at: any, no_stream, stream_exists, or a sequence number.
    #[arg(long, value_name = "SEQUENCE")]
    expected: Option<String>,
}

impl About {
    /// The event's id, made here so that every attempt has the same.
    pub(super) fn event_id(&self) -> String {
        self.event_id.unwrap_or_else(Uuid::now_v7).to_string()
    }

    /// `expected` as the interface takes it.
    pub(super) fn expected(&self) -> Option<Value> {
        let expected = self.expected.as_ref()?;
        Some(match expected.parse::<u64>() {
            Ok(sequence_number) => json!(sequence_number),
            Err(_) => json!(expected),
        })
    }

    /// The fields beside the id and `expected`, under their JSON names.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("actor", &self.actor),
            ("correlationId", &self.correlation),
            ("causationId", &self.causation),
            ("timestamp", &self.timestamp),
        ];
        let given = fields.into_iter();
        given.filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

impl Append {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let payload = match self.payload.as_str() {
            "-" => input()?,
            given => given.to_owned(),
        };
        let payload = json_of("PAYLOAD", payload)?;
        let event_id = self.about.event_id();
        let mut metadata = json!({"eventId": event_id});
        for (name, value) in self.about.fields() {
            metadata[name] = json!(value);
        }
        // Written by hand, since the payload's own spelling must stay.
        let mut body = format!(
            "{{\"eventType\":{},\"payload\":{payload},\"tags\":{},\"metadata\":{metadata}",
            json!(self.event_type),
            json!(self.tags)
        );
        if let Some(expected) = self.about.expected() {
            body.push_str(&format!(",\"expected\":{expected}"));
        }
        body.push('}');
        let path = Path::of_stream(&self.stream, &["events"]);
        let answer = client
            .write(Method::POST, path.as_str(), JSON, body, &[event_id])
            .await?;
        show_recorded(&answer, output)
    }
}

/// Shows an event that was recorded, or that had been before.
pub(super) fn show_recorded(answer: &[u8], output: &Output) -> anyhow::Result<()> {
    if output.json {
        return output.line(answer);
    }
    let answer: Value = parsed(answer)?;
    let event = &answer["event"];
    let known = match answer["isNew"].as_bool() {
        Some(false) => ", as it was before",
        _ => "",
    };
    output.line(format!(
        "{} {}/{} is at {} (position {}, event id {}){known}",
        shown(&event["eventType"]),
        shown(&event["aggregateType"]),
        shown(&event["aggregateId"]),
        shown(&event["sequenceNumber"]),
        shown(&event["position"]),
        shown(&event["metadata"]["eventId"]),
    ))
}

/// JSON that a person gave, as they spelled it.
pub(super) fn json_of(name: &str, text: String) -> anyhow::Result<Box<RawValue>> {
    RawValue::from_string(text.trim().to_owned()).map_err(|error| {
        let hint = "quote it for the shell: '{\"text\": \"Done?\"}'";
        let message = format!("understand {name} as JSON: {error}");
        Failure::new(Kind::Usage, message).hint(hint).into()
    })
}

fn input() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(INPUT_BYTES_MAX);
    input
        .read_to_string(&mut text)
        .context("read the payload from standard input")?;
    Ok(text)
}
