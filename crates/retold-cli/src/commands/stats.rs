//! `retold stats`: what a store holds, what it takes of the disk, and how it fares.

use std::path::Path as FilePath;

use axum::body::Bytes;
use http_body_util::BodyExt;
use indicatif::{BinaryBytes, HumanCount};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use crate::client::{Client, Path, parsed};
use crate::disk_use::{self, DiskUse};
use crate::output::{Output, Progress, Table, shown};

/// Streams in one request, the most that the interface gives.
const PAGE: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  retold stats
  retold --store http://127.0.0.1:7878 stats --json

Files and snapshots are looked at where the store is a folder, also one that a server holds. What a
server has counted is counted since it was started. LENGTH includes room that was reserved ahead.";

/// Shows what a store holds, what it takes of the disk, and what its server has counted.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Stats {}

#[derive(Deserialize)]
struct Page {
    streams: Vec<IgnoredAny>,
    next: Option<String>,
}

impl Stats {
    pub(crate) async fn run(
        self,
        client: &Client,
        folder: Option<&FilePath>,
        output: &Output,
    ) -> anyhow::Result<()> {
        let info: Value = parsed(&client.get(Path::new(&["info"]).as_str()).await?)?;
        let streams = count_streams(client, output).await?;
        let answer = client.read("/metrics", "*/*").await?;
        let metrics = answer
            .into_body()
            .collect()
            .await
            .map(|body| body.to_bytes());
        let counted = whole_counts(&metrics.unwrap_or_default());
        let (disk, snapshots) = match folder {
            // A store in memory has neither.
            Some(folder) if folder.is_dir() => {
                // One that cannot be read is no reason to say nothing of the rest.
                let snapshots = retold::recovery::count_snapshots(folder).await.ok();
                (Some(disk_use::of(folder)?), snapshots)
            }
            _ => (None, None),
        };
        if output.json {
            let counted: Map<String, Value> = counted
                .into_iter()
                .map(|(name, value)| (name, json!(value)))
                .collect();
            let whole = json!({
                "info": info,
                "events": info["head"],
                "streams": streams,
                "snapshots": snapshots,
                "disk": disk.as_ref().map(on_disk),
                "counted": counted,
            });
            return output.line(whole.to_string());
        }
        let count = |number: u64| HumanCount(number).to_string();
        let mut rows = vec![
            ("version", shown(&info["version"])),
            ("log id", shown(&info["logId"])),
            ("events", count(info["head"].as_u64().unwrap_or_default())),
            ("streams", count(streams)),
        ];
        if let Some(snapshots) = snapshots {
            rows.push(("snapshots", count(snapshots)));
        }
        let rows = rows.into_iter().map(|(name, value)| (name.into(), value));
        output.table(&Table::of_fields(rows.collect()))?;
        if let Some(disk) = disk {
            output.line("")?;
            let mut table = Table::new(&["ON DISK", "FILES", "LENGTH", "ALLOCATED"]);
            for (kind, files) in disk.kinds() {
                table.push(vec![
                    kind.to_owned(),
                    count(files.count),
                    BinaryBytes(files.bytes).to_string(),
                    BinaryBytes(files.allocated).to_string(),
                ]);
            }
            output.table(&table)?;
        }
        if !client.is_server() {
            return Ok(());
        }
        output.line("")?;
        let mut table = Table::new(&["COUNTED", ""]);
        for (name, value) in counted {
            table.push(vec![name, value.to_string()]);
        }
        output.table(&table)
    }
}

/// Counts the streams, page by page.
async fn count_streams(client: &Client, output: &Output) -> anyhow::Result<u64> {
    let progress = Progress::new(output, "streams counted:", None);
    let mut path = Path::new(&["streams"]).with("limit", PAGE);
    let mut count = 0;
    loop {
        let page: Page = client.get_as(path.as_str()).await?;
        count += page.streams.len() as u64;
        progress.set(count);
        match page.next {
            Some(next) => path = path.next(&next),
            None => return Ok(count),
        }
    }
}

fn on_disk(disk: &DiskUse) -> Value {
    let kinds = disk.kinds().map(|(kind, files)| {
        let files = json!({
            "files": files.count,
            "bytes": files.bytes,
            "allocatedBytes": files.allocated,
        });
        (kind.to_owned(), files)
    });
    Value::Object(kinds.into_iter().collect())
}

/// The samples that stand for the whole service: no series by route, no buckets.
fn whole_counts(metrics: &Bytes) -> Vec<(String, f64)> {
    let text = String::from_utf8_lossy(metrics);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            let name = name.strip_prefix("retold_")?;
            (!name.contains('{')).then(|| Some((name.to_owned(), value.parse().ok()?)))?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_counts_are_shown() {
        let text = "# HELP retold_a b\nretold_a_total 3\nretold_b_bucket{le=\"1\"} 2\nother 1\n";
        let counted = whole_counts(&Bytes::from_static(text.as_bytes()));
        assert_eq!(counted, [("a_total".to_owned(), 3.0)]);
    }
}
