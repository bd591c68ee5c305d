//! `retold streams`: which streams there are.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::projections::catch_up;
use crate::client::{Client, Opening, Path};
use crate::output::{Output, Table, clean};

/// Streams in one request, the most that the interface gives.
const PAGE: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  retold streams --type Issue
  retold streams --type Issue --status BLOCKED  those that were written last come first
  retold streams --counts                       how many have which status
  retold streams --type Order --prefix 2024- --all --json | wc -l";

/// Lists streams, ordered by type and id.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Streams {
    /// Only those of this aggregate type.
    #[arg(long = "type", value_name = "TYPE")]
    aggregate_type: Option<String>,

    /// Only those whose id begins with this.
    #[arg(long)]
    prefix: Option<String>,

    /// Only those with this status; shows it, and when each was last written.
    #[arg(long, conflicts_with = "prefix")]
    status: Option<String>,

    /// By when they were last written, the newest first, or by name.
    #[arg(long, value_name = "BY", conflicts_with = "prefix")]
    sort: Option<Sort>,

    /// How many have which status, in place of the streams.
    #[arg(long, conflicts_with_all = ["prefix", "status", "sort", "all"])]
    counts: bool,

    /// How many at most.
    #[arg(long, default_value_t = 100, conflicts_with = "all")]
    limit: usize,

    /// All of them.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Sort {
    Written,
    Name,
}

impl Sort {
    fn parameter(self) -> &'static str {
        match self {
            Sort::Written => "lastEventAt",
            Sort::Name => "aggregateId",
        }
    }
}

#[derive(Deserialize)]
struct Page {
    streams: Vec<Box<RawValue>>,
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    aggregate_type: String,
    aggregate_id: String,
    sequence_number: u64,
    status: Option<String>,
    last_event_at: Option<String>,
}

#[derive(Deserialize)]
struct Counted {
    counts: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    aggregate_type: String,
    status: String,
    streams: u64,
}

impl Streams {
    /// Whether it is asked of the projection that knows what streams are like.
    fn is_of_state(&self) -> bool {
        self.counts || self.status.is_some() || self.sort.is_some()
    }

    pub(crate) fn opening(&self) -> Opening {
        match self.is_of_state() {
            true => Opening::WithProjections,
            false => Opening::MustExist,
        }
    }

    async fn count(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let path = Path::new(&["streams"])
            .with_some("aggregateType", self.aggregate_type)
            .with("counts", true)
            .with("limit", 1);
        let counted: Counted = client.get_as(path.as_str()).await?;
        let mut table = Table::new(&["TYPE", "STATUS", "STREAMS"]);
        for count in counted.counts {
            if output.json {
                output.line(count.get())?;
                continue;
            }
            let count: Count = crate::client::parsed(count.get().as_bytes())?;
            table.push(vec![
                clean(&count.aggregate_type),
                clean(&count.status),
                count.streams.to_string(),
            ]);
        }
        match table.is_empty() {
            true => Ok(()),
            false => output.table(&table),
        }
    }

    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let is_of_state = self.is_of_state();
        if is_of_state {
            catch_up(client, output, "current_state").await?;
        }
        if self.counts {
            return self.count(client, output).await;
        }
        let wanted = if self.all { usize::MAX } else { self.limit };
        let mut path = Path::new(&["streams"])
            .with_some("aggregateType", self.aggregate_type)
            .with_some("prefix", self.prefix)
            .with_some("status", self.status)
            .with_some("sort", self.sort.map(Sort::parameter))
            .with("limit", wanted.min(PAGE));
        let mut shown = 0;
        loop {
            let page: Page = client.get_as(path.as_str()).await?;
            let mut table = Table::new(match shown {
                0 if is_of_state => &["STREAM", "EVENTS", "STATUS", "LAST WRITTEN"],
                0 => &["STREAM", "EVENTS"],
                _ => &[],
            });
            let rest = page.streams.into_iter().take(wanted - shown);
            for stream in rest {
                shown += 1;
                if output.json {
                    output.line(stream.get())?;
                    continue;
                }
                let stream: Stream = crate::client::parsed(stream.get().as_bytes())?;
                let name = format!("{}/{}", stream.aggregate_type, stream.aggregate_id);
                let mut row = vec![name, stream.sequence_number.to_string()];
                if is_of_state {
                    row.push(clean(&stream.status.unwrap_or_default()));
                    row.push(stream.last_event_at.unwrap_or_default());
                }
                table.push(row);
            }
            if !table.is_empty() {
                output.table(&table)?;
            }
            match page.next {
                Some(next) if shown < wanted => path = path.next(&next),
                Some(_) => {
                    output.note("there are more: --limit, --all, --prefix");
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }
}
