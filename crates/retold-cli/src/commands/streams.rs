//! `retold streams`: which streams there are.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::{Client, Path};
use crate::output::{Output, Table};

/// Streams in one request, the most that the interface gives.
const PAGE: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  retold streams --type Issue
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

    /// How many at most.
    #[arg(long, default_value_t = 100, conflicts_with = "all")]
    limit: usize,

    /// All of them.
    #[arg(long)]
    all: bool,
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
}

impl Streams {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let wanted = if self.all { usize::MAX } else { self.limit };
        let mut path = Path::new(&["streams"])
            .with_some("aggregateType", self.aggregate_type)
            .with_some("prefix", self.prefix)
            .with("limit", wanted.min(PAGE));
        let mut shown = 0;
        loop {
            let page: Page = client.get_as(path.as_str()).await?;
            let mut table = Table::new(match shown {
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
                table.push(vec![name, stream.sequence_number.to_string()]);
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
