//! `retold consumers create`: the settings, as arguments.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::of;
use crate::client::{Client, Failure, JSON, Kind};
use crate::output::Output;

/// The settings of a consumer. What is left out is as by default, also where the consumer exists.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Its name: letters, digits, - _ and .
    name: String,

    /// Only events of streams of this type; may be given again.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events of this type; may be given again.
    #[arg(long = "event-type", value_name = "EVENT-TYPE")]
    event_types: Vec<String>,
    /// Only events with this tag; may be given again.
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// Only events of this correlation.
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Only events of this actor.
    #[arg(long)]
    actor: Option<String>,

    /// Where a new one begins: beginning, now, a position to begin behind, or a time.
    #[arg(long, value_name = "WHERE", default_value = "beginning")]
    start: String,

    /// Deliveries under way at the same time [default: 64].
    #[arg(long, value_name = "N")]
    in_flight_max: Option<u32>,
    /// How long a delivery may be under way before it counts as failed [default: 30000].
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,
    /// Attempts after which an event is parked [default: 10].
    #[arg(long, value_name = "N")]
    attempts_max: Option<u32>,
    /// The pause behind the first failed attempt, doubled with each further one [default: 1000].
    #[arg(long, value_name = "MS")]
    retry_backoff_ms: Option<u64>,
    /// The longest such pause [default: 300000].
    #[arg(long, value_name = "MS")]
    retry_backoff_max_ms: Option<u64>,
    /// Streams that wait before it holds as a whole [default: 1000].
    #[arg(long, value_name = "N")]
    parked_streams_max: Option<u32>,
    /// Seconds in which every delivery has failed before it holds as a whole [default: 60].
    #[arg(long, value_name = "S")]
    outage_after_s: Option<u64>,

    /// Where its events are posted.
    #[arg(long, value_name = "URL", requires = "secret")]
    webhook: Option<String>,
    /// The id of the secret that messages are signed with: see `retold secrets`.
    #[arg(long, value_name = "ID", requires = "webhook")]
    secret: Option<String>,
    /// The form of the messages [default: plain].
    #[arg(long, value_name = "FORM", requires = "webhook")]
    form: Option<Form>,
    /// How long the receiver may take [default: 15000].
    #[arg(long, value_name = "MS", requires = "webhook")]
    timeout_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
#[value(rename_all = "lowercase")]
enum Form {
    /// The event as the interface answers it.
    Plain,
    /// A CloudEvent in structured mode.
    CloudEvents,
}

impl Create {
    pub(super) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let body = self.body()?.to_string();
        let path = of(&self.name, &[]);
        let answer = client.write(Method::PUT, path.as_str(), JSON, body, &[]);
        let answer = answer.await?;
        match output.json {
            true => output.line(answer),
            false => output.line(format!("{} has these settings from now on", self.name)),
        }
    }

    fn body(&self) -> anyhow::Result<Value> {
        let mut filter = Map::new();
        for (name, texts) in [
            ("aggregateTypes", &self.types),
            ("eventTypes", &self.event_types),
            ("tags", &self.tags),
        ] {
            if !texts.is_empty() {
                filter.insert(name.to_owned(), json!(texts));
            }
        }
        for (name, text) in [
            ("correlationId", &self.correlation_id),
            ("actor", &self.actor),
        ] {
            if let Some(text) = text {
                filter.insert(name.to_owned(), json!(text));
            }
        }
        let mut body = json!({"filter": filter, "start": start(&self.start)?});
        let mut set = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        };
        set("inFlightMax", self.in_flight_max.map(u64::from));
        set("leaseMs", self.lease_ms);
        set("attemptsMax", self.attempts_max.map(u64::from));
        set("retryBackoffMs", self.retry_backoff_ms);
        set("retryBackoffMaxMs", self.retry_backoff_max_ms);
        set("parkedStreamsMax", self.parked_streams_max.map(u64::from));
        set("outageAfterS", self.outage_after_s);
        if let Some(url) = &self.webhook {
            let mut webhook = json!({"url": url, "secret": self.secret});
            if let Some(form) = self.form {
                webhook["form"] = json!(match form {
                    Form::Plain => "plain",
                    Form::CloudEvents => "cloudevents",
                });
            }
            if let Some(timeout_ms) = self.timeout_ms {
                webhook["timeoutMs"] = json!(timeout_ms);
            }
            body["webhook"] = webhook;
        }
        Ok(body)
    }
}

/// Where a consumer begins, as a person writes it.
pub(super) fn start(text: &str) -> anyhow::Result<Value> {
    if matches!(text, "beginning" | "now") {
        return Ok(json!(text));
    }
    if let Ok(position) = text.parse::<u64>() {
        return Ok(json!({"after": position}));
    }
    let time = text.parse::<retold::Timestamp>().map_err(|_| {
        let message = format!("understand where to start: {text}");
        Failure::new(Kind::Usage, message)
            .hint("say beginning, now, a position, or a time such as 2024-03-01T12:00:00Z")
    })?;
    Ok(json!({"at": time}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_a_position_or_a_time() {
        let read = |text: &str| start(text).map(|start| start.to_string());
        assert_eq!(read("now").unwrap(), r#""now""#);
        assert_eq!(read("17").unwrap(), r#"{"after":17}"#);
        let at = read("2024-03-01").unwrap();
        assert!(at.starts_with(r#"{"at":"2024-03-01T00:00:00"#), "{at}");
        assert!(read("soon").is_err());
    }
}
