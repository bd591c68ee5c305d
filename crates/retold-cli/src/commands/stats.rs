//! `retold stats`: what a store is and how it fares.

use axum::body::Bytes;
use http_body_util::BodyExt;
use serde_json::{Map, Value, json};

use crate::client::{Client, Path, parsed};
use crate::output::{Output, Table, fields};

const EXAMPLES: &str = "\
Examples:
  retold stats
  retold --store http://127.0.0.1:7878 stats --json

What is counted is counted since the server was started; of a folder that no server holds, since
this command opened it.";

/// Shows what a store is, and what its server has counted.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Stats {}

impl Stats {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let info: Value = parsed(&client.get(Path::new(&["info"]).as_str()).await?)?;
        let answer = client.read("/metrics", "*/*").await?;
        let metrics = answer
            .into_body()
            .collect()
            .await
            .map(|body| body.to_bytes());
        let counted = counted(&metrics.unwrap_or_default());
        if output.json {
            let counted: Map<String, Value> = counted
                .into_iter()
                .map(|(name, value)| (name, json!(value)))
                .collect();
            let whole = json!({"info": info, "counted": counted});
            return output.line(whole.to_string());
        }
        let mut rows = fields(&info);
        if let Some(capabilities) = info.get("capabilities") {
            rows.push(("capabilities".into(), capabilities.to_string()));
        }
        rows.extend(
            counted
                .into_iter()
                .map(|(name, value)| (name, value.to_string())),
        );
        output.table(&Table::of_fields(rows))
    }
}

/// The samples that stand for the whole service: no series by route, no buckets.
fn counted(metrics: &Bytes) -> Vec<(String, f64)> {
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
        let counted = counted(&Bytes::from_static(text.as_bytes()));
        assert_eq!(counted, [("a_total".to_owned(), 3.0)]);
    }
}
