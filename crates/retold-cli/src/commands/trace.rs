//! `retold trace`: what happened under one correlation id, as a tree of causes.

use serde_json::Value;

use crate::client::{Client, Path, parsed};
use crate::output::{Output, clean, shown};

const EXAMPLES: &str = "\
Examples:
  retold trace checkout-7
  retold trace checkout-7 --json | jq '.roots[].event.eventType'

The correlation id of an event is in its metadata: retold events Issue/42 --json.";

/// Shows the events of one correlation id, each under the one that caused it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Trace {
    /// The correlation id.
    correlation_id: String,
}

impl Trace {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let path = Path::new(&["traces", &self.correlation_id]);
        let answer = client.get(path.as_str()).await?;
        if output.json {
            return output.line(answer);
        }
        let trace: Value = parsed(&answer)?;
        for root in trace["roots"].as_array().into_iter().flatten() {
            draw(output, root, "", "")?;
        }
        if trace["isComplete"] == false {
            output.note("there are more: retold events --correlation");
        }
        Ok(())
    }
}

/// Draws an event behind `lead`, and what it caused behind `below`. A tree is 50 levels deep at
/// most.
fn draw(output: &Output, node: &Value, lead: &str, below: &str) -> anyhow::Result<()> {
    let event = &node["event"];
    let metadata = &event["metadata"];
    let actor = metadata["actor"].as_str().map(clean);
    output.line(format!(
        "{lead}{} {}/{} {}{}{}",
        shown(&event["eventType"]),
        shown(&event["aggregateType"]),
        shown(&event["aggregateId"]),
        shown(&metadata["timestamp"]),
        actor
            .map(|actor| format!(" by {actor}"))
            .unwrap_or_default(),
        match node["isContinued"] == true {
            true => format!(" (caused by {})", shown(&metadata["causationId"])),
            false => String::new(),
        }
    ))?;
    let children = node["children"].as_array().map_or(&[][..], Vec::as_slice);
    for (nth, child) in children.iter().enumerate() {
        let (tee, line) = match nth + 1 == children.len() {
            true => ("└─ ", "   "),
            false => ("├─ ", "│  "),
        };
        draw(
            output,
            child,
            &format!("{below}{tee}"),
            &format!("{below}{line}"),
        )?;
    }
    Ok(())
}
