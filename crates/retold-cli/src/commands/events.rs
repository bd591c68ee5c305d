//! `retold events`: what happened, to one thing or to all; and what is happening.

use axum::body::Bytes;
use retold::RecordedEvent;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::arguments::Stream;
use crate::client::{Client, Opening, Path, follow, parsed};
use crate::output::{Output, Table, clean};

/// Events in one request, the most that the interface gives.
const PAGE: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  retold events Issue/42                          what happened to it, oldest first
  retold events Issue/42 --backward --limit 1     the newest event
  retold events --correlation checkout-7          everything that belongs to a matter
  retold events --type start_work --all --json    for another program, one event on each line
  retold events --follow --after head             what happens from now on; Ctrl-C ends it

Type, actor, causation and time look through the log; the other conditions are looked up.";

/// Shows events, of one stream or of the whole log.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Events {
    /// The stream, as TYPE/ID; the whole log unless told otherwise.
    stream: Option<Stream>,

    /// Only events of this type.
    #[arg(long = "type", value_name = "EVENT TYPE")]
    event_type: Option<String>,

    /// Only events of this aggregate type.
    #[arg(long, value_name = "TYPE", conflicts_with = "stream")]
    aggregate_type: Option<String>,

    /// Only events that belong to this matter.
    #[arg(long, value_name = "ID", conflicts_with = "stream")]
    correlation: Option<String>,

    /// Only events with this cause.
    #[arg(long, value_name = "ID", conflicts_with = "stream")]
    causation: Option<String>,

    /// Only events of this actor.
    #[arg(long, conflicts_with = "stream")]
    actor: Option<String>,

    /// Only events with this tag.
    #[arg(long, conflicts_with = "stream")]
    tag: Option<String>,

    /// Only events dated at or after this.
    #[arg(long, value_name = "TIME")]
    from_timestamp: Option<String>,

    /// Only events dated at or before this.
    #[arg(long, value_name = "TIME")]
    to_timestamp: Option<String>,

    /// Only events behind this position of the log; head, with --follow: only new ones.
    #[arg(long, value_name = "POSITION", conflicts_with = "stream")]
    after: Option<String>,

    /// Events of Retold's own streams too.
    #[arg(long, conflicts_with = "stream")]
    reserved: bool,

    /// Newest first.
    #[arg(long, requires = "stream", conflicts_with = "follow")]
    backward: bool,

    /// How many at most.
    #[arg(long, default_value_t = 100, conflicts_with_all = ["all", "follow"])]
    limit: usize,

    /// All of them.
    #[arg(long)]
    all: bool,

    /// Goes on with what happens, until it is interrupted.
    #[arg(long, short, conflicts_with = "to_timestamp")]
    follow: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    events: Vec<Box<RawValue>>,
    next: Option<String>,
    complete_through: u64,
}

impl Events {
    /// Whoever follows must not keep others from writing.
    pub(crate) fn opening(&self) -> Opening {
        match self.follow {
            true => Opening::MustExistForLong,
            false => Opening::MustExist,
        }
    }

    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        match (&self.stream, self.follow) {
            (None, true) => self.follow(client, output, self.after.clone(), None).await,
            (Some(stream), true) => {
                let known = self.read(client, output, usize::MAX).await?;
                let after = Some(known.to_string());
                self.follow(client, output, after, Some(stream)).await
            }
            (_, false) => {
                let wanted = if self.all { usize::MAX } else { self.limit };
                self.read(client, output, wanted).await.map(|_| ())
            }
        }
    }

    /// Shows what there is, and says through which position that is complete.
    async fn read(&self, client: &Client, output: &Output, wanted: usize) -> anyhow::Result<u64> {
        let mut path = match &self.stream {
            Some(stream) => Path::of_stream(stream, &["events"])
                .with_some("direction", self.backward.then_some("backward")),
            None => self.filtered().with_some("after", self.after.as_deref()),
        };
        path = path
            .with_some("eventType", self.event_type.as_deref())
            .with_some("fromTimestamp", self.from_timestamp.as_deref())
            .with_some("toTimestamp", self.to_timestamp.as_deref())
            .with("limit", wanted.min(PAGE));
        let mut count = 0;
        loop {
            let page: Page = client.get_as(path.as_str()).await?;
            let mut table = Table::new(match count {
                0 => &[
                    "POSITION", "WHEN", "STREAM", "#", "EVENT", "ACTOR", "PAYLOAD",
                ],
                _ => &[],
            });
            for event in page.events.into_iter().take(wanted - count) {
                count += 1;
                match output.json {
                    true => output.line(event.get())?,
                    false => table.push(row(&parsed(event.get().as_bytes())?)),
                }
            }
            if !table.is_empty() {
                output.table(&table)?;
            }
            match page.next {
                Some(next) if count < wanted => path = path.next(&next),
                Some(_) => {
                    output.note("there are more: --limit, --all, --after");
                    return Ok(page.complete_through);
                }
                None => return Ok(page.complete_through),
            }
        }
    }

    /// Shows what happens, for ever.
    async fn follow(
        &self,
        client: &Client,
        output: &Output,
        after: Option<String>,
        stream: Option<&Stream>,
    ) -> anyhow::Result<()> {
        let path = self
            .filtered()
            .with_some("aggregateType", stream.map(|stream| &stream.aggregate_type))
            .with_some("eventType", self.event_type.as_deref())
            .with_some("fromTimestamp", self.from_timestamp.as_deref())
            .with_some("after", after);
        follow(client, &path, |data: &Bytes| {
            let event: RecordedEvent = parsed(data)?;
            // The interface follows types; the one stream is picked out here.
            if stream.is_some_and(|stream| **event.stream.aggregate_id() != stream.aggregate_id) {
                return Ok(());
            }
            match output.json {
                true => output.line(data),
                false => output.line(live_line(&event)),
            }
        })
        .await
    }

    fn filtered(&self) -> Path {
        Path::new(&["events"])
            .with_some("aggregateType", self.aggregate_type.as_deref())
            .with_some("correlationId", self.correlation.as_deref())
            .with_some("causationId", self.causation.as_deref())
            .with_some("actor", self.actor.as_deref())
            .with_some("tag", self.tag.as_deref())
            .with_some("includeReserved", self.reserved.then_some(true))
    }
}

fn row(event: &RecordedEvent) -> Vec<String> {
    vec![
        event.position.to_string(),
        event.metadata.timestamp.to_string(),
        event.stream.to_string(),
        event.sequence_number.to_string(),
        event.event_type.to_string(),
        event.metadata.actor.as_deref().unwrap_or("-").to_owned(),
        event.payload.to_string(),
    ]
}

/// A line of its own width: the next event may come tomorrow, so nothing is aligned with it.
fn live_line(event: &RecordedEvent) -> String {
    let [position, when, stream, sequence, kind, actor, payload] =
        row(event).try_into().unwrap_or_default();
    clean(&format!(
        "{position}  {when}  {stream}  #{sequence}  {kind}  {actor}  {payload}"
    ))
}
