//! `retold consumers`: what reacts to events, how each stands, and what people decide about it.

mod create;
mod show;

use axum::http::Method;
use serde_json::{Value, json};

use self::create::Create;
use crate::arguments::Stream;
use crate::client::{Client, Failure, JSON, Kind, Opening, Path, parsed};
use crate::output::{Output, Table, counted, shown};

const EXAMPLES: &str = "\
Examples:
  retold consumers list                         each with its place and what it waits for
  retold consumers create mailer --type Order --webhook https://example.org/hook --secret mailer
  retold consumers show mailer
  retold consumers test mailer                  one made-up event to its webhook
  retold consumers parked mailer                what could not be delivered, and why
  retold consumers replay mailer                try all of that again
  retold consumers skip mailer Order/7 --reason 'the receiver has it already'
  retold consumers audit mailer                 prove that nothing was skipped

A consumer without a webhook is fetched from: POST /v1/consumers/NAME/fetch, then …/ack.
Webhooks are sent by `retold serve`; their secrets are made with `retold secrets`.";

/// Shows consumers, makes them, and decides about them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Consumers {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists them, and how each stands.
    List,
    /// Shows one with its settings.
    Show {
        /// Its name.
        name: String,
        /// Waits until it has finished everything through this position.
        #[arg(long, value_name = "POSITION")]
        min_position: Option<u64>,
        /// How long to wait for that.
        #[arg(long, value_name = "MS", requires = "min_position")]
        wait_ms: Option<u64>,
    },
    /// Makes one, or gives it other settings.
    Create(Box<Create>),
    /// Hands out nothing more until it is resumed.
    Pause {
        /// Its name.
        name: String,
        /// Why; it is kept in the log.
        #[arg(long)]
        reason: String,
    },
    /// Goes on after a pause.
    Resume {
        /// Its name.
        name: String,
    },
    /// Lists the events that are not tried any more, and why.
    Parked {
        /// Its name.
        name: String,
    },
    /// Tries what is parked again.
    Replay {
        /// Its name.
        name: String,
        /// Only that of this stream, as TYPE/ID.
        stream: Option<Stream>,
    },
    /// Passes the parked event of a stream over, so that the rest of the stream goes on.
    Skip {
        /// Its name.
        name: String,
        /// The stream, as TYPE/ID.
        stream: Stream,
        /// Why; it is kept in the log.
        #[arg(long)]
        reason: String,
    },
    /// Sends it to begin anew; what it had finished and what is parked is forgotten.
    Reset {
        /// Its name.
        name: String,
        /// Where: beginning, now, a position to begin behind, or a time.
        #[arg(long, value_name = "WHERE")]
        start: String,
    },
    /// Removes it with all that is kept of it.
    Delete {
        /// Its name.
        name: String,
    },
    /// Recomputes from the log what it should have been given, and compares.
    ///
    /// Exits with 5 where what it acknowledged is not what it must have been given.
    Audit {
        /// Its name.
        name: String,
    },
    /// Sends a made-up event to its webhook.
    Test {
        /// Its name.
        name: String,
    },
    /// Lists what was sent to its webhook, newest first.
    Deliveries {
        /// Its name.
        name: String,
        /// At most so many.
        #[arg(long, default_value = "20")]
        limit: usize,
    },
}

impl Consumers {
    /// Making one makes a store.
    pub(crate) fn opening(&self) -> Opening {
        match self.action {
            Action::Create(_) => Opening::MayMake,
            _ => Opening::MustExist,
        }
    }

    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let command = Command { client, output };
        match self.action {
            Action::List => show::list(client, output).await,
            Action::Show {
                name,
                min_position,
                wait_ms,
            } => {
                let path = of(&name, &[])
                    .with_some("minPosition", min_position)
                    .with_some("waitMs", wait_ms);
                show::show(client, output, &path).await
            }
            Action::Create(create) => create.run(client, output).await,
            Action::Pause { name, reason } => {
                let body = json!({"reason": reason});
                let told = format!("{name} pauses");
                command.decide(&name, "pause", body, &told).await
            }
            Action::Resume { name } => {
                let told = format!("{name} goes on");
                command.decide(&name, "resume", json!({}), &told).await
            }
            Action::Parked { name } => command.parked(&name).await,
            Action::Replay { name, stream } => command.replay(&name, stream).await,
            Action::Skip {
                name,
                stream,
                reason,
            } => {
                let mut body = body_of(&stream);
                body["reason"] = json!(reason);
                let told = format!(
                    "{name} passes the event over; {}/{} goes on",
                    stream.aggregate_type, stream.aggregate_id
                );
                command.decide(&name, "skip", body, &told).await
            }
            Action::Reset { name, start } => {
                let body = json!({"start": create::start(&start)?});
                let told = format!("{name} begins anew");
                command.decide(&name, "reset", body, &told).await
            }
            Action::Delete { name } => {
                let path = of(&name, &[]);
                let deleted = client.write(Method::DELETE, path.as_str(), JSON, "", &[]);
                deleted.await?;
                command.tell(&json!({"deleted": name}), &format!("{name} is gone"))
            }
            Action::Audit { name } => command.audit(&name).await,
            Action::Test { name } => command.test(&name).await,
            Action::Deliveries { name, limit } => command.deliveries(&name, limit).await,
        }
    }
}

/// The path of a consumer, or below it.
fn of(name: &str, parts: &[&str]) -> Path {
    let mut all = vec!["consumers", name];
    all.extend(parts);
    Path::new(&all)
}

fn body_of(stream: &Stream) -> Value {
    json!({
        "aggregateType": stream.aggregate_type,
        "aggregateId": stream.aggregate_id,
    })
}

/// What most actions need.
struct Command<'a> {
    client: &'a Client,
    output: &'a Output,
}

impl Command<'_> {
    async fn post(&self, name: &str, what: &[&str], body: Value) -> anyhow::Result<Value> {
        let path = of(name, what);
        let body = body.to_string();
        let answer = self
            .client
            .write(Method::POST, path.as_str(), JSON, body, &[]);
        let answer = answer.await?;
        match answer.is_empty() {
            true => Ok(json!({"consumer": name})),
            false => parsed(&answer),
        }
    }

    async fn decide(&self, name: &str, what: &str, body: Value, told: &str) -> anyhow::Result<()> {
        let answer = self.post(name, &[what], body).await?;
        self.tell(&answer, told)
    }

    fn tell(&self, answer: &Value, told: &str) -> anyhow::Result<()> {
        match self.output.json {
            true => self.output.line(answer.to_string()),
            false => self.output.line(told),
        }
    }

    async fn parked(&self, name: &str) -> anyhow::Result<()> {
        let answer: Value = self.client.get_as(of(name, &["parked"]).as_str()).await?;
        let mut table = Table::new(&[
            "STREAM",
            "SEQUENCE",
            "POSITION",
            "ATTEMPTS",
            "LAST TRIED",
            "ERROR",
        ]);
        for parked in answer["parked"].as_array().into_iter().flatten() {
            if self.output.json {
                self.output.line(parked.to_string())?;
                continue;
            }
            table.push(vec![
                format!(
                    "{}/{}",
                    shown(&parked["aggregateType"]),
                    shown(&parked["aggregateId"])
                ),
                shown(&parked["sequenceNumber"]),
                shown(&parked["position"]),
                shown(&parked["attempts"]),
                shown(&parked["failedAt"]),
                shown(&parked["error"]),
            ]);
        }
        self.rows(&table, "nothing is parked")
    }

    async fn replay(&self, name: &str, stream: Option<Stream>) -> anyhow::Result<()> {
        let body = stream.as_ref().map_or(json!({}), body_of);
        let answer = self.post(name, &["replay"], body).await?;
        let replayed = answer["replayed"].as_u64().unwrap_or_default();
        let told = format!(
            "{} tried again",
            counted(replayed, "event is", "events are")
        );
        self.tell(&answer, &told)
    }

    async fn audit(&self, name: &str) -> anyhow::Result<()> {
        let audit: Value = self.client.get_as(of(name, &["audit"]).as_str()).await?;
        match self.output.json {
            true => self.output.line(audit.to_string())?,
            false => show::audit(self.output, &audit)?,
        }
        if audit["isComplete"] == true {
            return Ok(());
        }
        let lost = audit["lost"].as_u64().unwrap_or_default();
        let (message, hint) = match lost {
            0 => (
                format!("find {name} complete: what it acknowledged is not what it was due"),
                "retold consumers reset sends it to begin anew",
            ),
            _ => (
                format!(
                    "compare: {} of the log lost to damage that was accepted",
                    counted(lost, "place is", "places are")
                ),
                "retold verify says which",
            ),
        };
        Err(Failure::new(Kind::Damage, message).hint(hint).into())
    }

    async fn test(&self, name: &str) -> anyhow::Result<()> {
        let tried = self.post(name, &["webhook", "test"], json!({})).await?;
        if tried["isDelivered"] == true {
            let told = format!("the receiver answered {}", shown(&tried["status"]));
            return self.tell(&tried, &told);
        }
        if self.output.json {
            self.output.line(tried.to_string())?;
        }
        Err(Failure::new(Kind::Failed, shown(&tried["error"])).into())
    }

    async fn deliveries(&self, name: &str, limit: usize) -> anyhow::Result<()> {
        let path = of(name, &["webhook", "deliveries"]);
        let answer: Value = self.client.get_as(path.as_str()).await?;
        let mut table = Table::new(&["SENT", "POSITION", "ATTEMPT", "STATUS", "MS", "ERROR"]);
        let sent = answer["deliveries"].as_array().into_iter().flatten();
        for sent in sent.take(limit) {
            if self.output.json {
                self.output.line(sent.to_string())?;
                continue;
            }
            let position = match sent["isTest"] == true {
                true => "test".to_owned(),
                false => shown(&sent["position"]),
            };
            table.push(vec![
                shown(&sent["sentAt"]),
                position,
                shown(&sent["attempt"]),
                shown(&sent["status"]),
                shown(&sent["latencyMs"]),
                shown(&sent["error"]),
            ]);
        }
        self.rows(&table, "nothing was sent since the server was started")
    }

    /// Shows a table, or says that there is nothing.
    fn rows(&self, table: &Table, nothing: &str) -> anyhow::Result<()> {
        match (self.output.json, table.is_empty()) {
            (true, _) => Ok(()),
            (false, true) => {
                self.output.note(nothing);
                Ok(())
            }
            (false, false) => self.output.table(table),
        }
    }
}
