//! `retold state`: the state of something, now or as it was.

use serde_json::Value;

use crate::arguments::Stream;
use crate::client::{Client, Path, parsed};
use crate::output::{Output, Table, fields, shown};

const EXAMPLES: &str = "\
Examples:
  retold state Issue/42                              now
  retold state Issue/42 --at-sequence 3 --diff       after its third event, and what that changed
  retold state Issue/42 --at-timestamp 2024-03-01    as it was at the beginning of that day
  retold state Issue/42 --at-persisted 2024-03-01    as it was known then
  retold state Issue/42 --history --json             with everything that led there";

/// The order in which the parts of a state are read; what is not among them comes first.
const ORDER: [&str; 8] = [
    "exists",
    "status",
    "transitionCount",
    "lastTransitionAt",
    "sequenceNumber",
    "position",
    "final",
    "laterAtOrBefore",
];

/// Shows a state, now or at an earlier moment.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct State {
    /// The stream, as TYPE/ID.
    stream: Stream,

    /// After the event with this number in its stream; 0 is before the first.
    #[arg(long, value_name = "SEQUENCE", group = "moment")]
    at_sequence: Option<u64>,

    /// When the whole log had reached this position.
    #[arg(long, value_name = "POSITION", group = "moment")]
    at_position: Option<u64>,

    /// At a time, by when things happened; a bare date means its beginning in UTC.
    #[arg(long, value_name = "TIME", group = "moment")]
    at_timestamp: Option<String>,

    /// At a time, by when things were recorded.
    #[arg(long, value_name = "TIME", group = "moment")]
    at_persisted: Option<String>,

    /// Every transition until then.
    #[arg(long)]
    history: bool,

    /// What the last event changed.
    #[arg(long)]
    diff: bool,

    /// The transitions that are possible in that state.
    #[arg(long)]
    transitions: bool,
}

impl State {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let flag = |is_given: bool| is_given.then_some(true);
        let is_now = self.at_sequence.is_none()
            && self.at_position.is_none()
            && self.at_timestamp.is_none()
            && self.at_persisted.is_none();
        let path = Path::of_stream(&self.stream, &["state"])
            .with_some("atSequence", self.at_sequence)
            .with_some("atPosition", self.at_position)
            .with_some("atTimestamp", self.at_timestamp)
            .with_some("atPersisted", self.at_persisted)
            .with_some("history", flag(self.history))
            .with_some("diff", flag(self.diff))
            // A person who looks at what is now wants to know what comes next.
            .with_some(
                "transitions",
                flag(self.transitions || (is_now && !output.json)),
            );
        let answer = client.get(path.as_str()).await?;
        if output.json {
            return output.line(answer);
        }
        let state: Value = parsed(&answer)?;
        let mut shown = fields(&state);
        shown.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name));
        output.table(&Table::of_fields(shown))?;
        show_list(
            output,
            "Possible now",
            &state["availableTransitions"],
            &[
                ("TRANSITION", "event"),
                ("LEADS TO", "toState"),
                ("ALSO CALLED", "aliases"),
            ],
        )?;
        show_list(
            output,
            "Changed by the last event",
            &state["diff"],
            &[("FIELD", "path"), ("BEFORE", "before"), ("AFTER", "after")],
        )?;
        show_list(
            output,
            "History",
            &state["stateHistory"],
            &[
                ("#", "sequenceNumber"),
                ("WHEN", "timestamp"),
                ("EVENT", "event"),
                ("FROM", "from"),
                ("TO", "to"),
                ("ACTOR", "actor"),
                ("REASON", "reason"),
            ],
        )
    }
}

/// Shows a list of objects as a table under a title, where there is one.
fn show_list(
    output: &Output,
    title: &str,
    list: &Value,
    columns: &[(&str, &str)],
) -> anyhow::Result<()> {
    let Some(list) = list.as_array() else {
        return Ok(());
    };
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let mut table = Table::new(&headings);
    for one in list {
        let cells = columns.iter().map(|(_, field)| cell(&one[*field]));
        table.push(cells.collect());
    }
    if table.is_empty() {
        return output.line(format!("\n{title}: none"));
    }
    output.line(format!("\n{title}"))?;
    output.table(&table)
}

fn cell(value: &Value) -> String {
    match value.as_array() {
        Some(texts) => texts.iter().map(shown).collect::<Vec<_>>().join(", "),
        None => shown(value),
    }
}
