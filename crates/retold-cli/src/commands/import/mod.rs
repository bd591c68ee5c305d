//! `retold import`: events from a file, through the bulk interface; as transitions, where they
//! are to be checked; an export into an empty store is restored instead. What the files look
//! like is the business of `import/`.

mod body;
mod bulk;
mod check;
mod outcome;
mod restore;

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::Value;

use self::bulk::Rule;
use crate::client::{Client, Failure, Kind, Path};
use crate::import::{self, Item, Items};
use crate::output::{Output, Progress};

const EXAMPLES: &str = "\
Examples:
  retold import events.ndjson                   one event on each line
  retold import --type Ticket tickets.xes.gz    an event log as IEEE 1849 defines it
  retold import --type Permit --case case_id --timestamp at permits.csv
  retold import --machine check issues.ndjson   each line is a transition, which Issue's machine judges
  retold export | retold --store ./copy import -

The same file again adds nothing: events are known by their ids. A line that is refused is named
by its number and does not lose the others; the exit code is 1 then. An export is restored into an
empty store as it was, and appended to another one with new positions.";

/// Appends the events of a file; restores an export into an empty store.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Import {
    /// The file (.xes, .csv, .tsv, .ndjson, .jsonl, each also with .gz); - reads standard input.
    file: PathBuf,

    /// The aggregate type of the cases; XES and CSV need one.
    #[arg(long = "type", value_name = "TYPE")]
    aggregate_type: Option<String>,

    /// The format, where the name does not tell it.
    #[arg(long, value_enum)]
    format: Option<import::Format>,

    /// The column or attribute that names the case; guessed where it has a usual name.
    #[arg(long, value_name = "NAME")]
    case: Option<String>,

    /// The one that becomes the event type.
    #[arg(long, value_name = "NAME")]
    event_type: Option<String>,

    /// The one that says when.
    #[arg(long, value_name = "NAME")]
    timestamp: Option<String>,

    /// The one that says who.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,

    /// What separates the fields of a CSV file; guessed otherwise.
    #[arg(long, value_name = "CHARACTER", value_parser = import::parse_separator)]
    separator: Option<u8>,

    /// The offset of times that have none, such as +02:00.
    #[arg(long, value_name = "OFFSET", value_parser = import::parse_offset)]
    offset: Option<jiff::tz::Offset>,

    /// How times are written, with the directives of strftime.
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,

    /// Stops at the first line that is refused. Some of the lines behind it may be on their way
    /// already, unless each is checked.
    #[arg(long)]
    strict: bool,

    /// How events of a type that has a state machine are taken.
    #[arg(long, value_enum, default_value = "none")]
    machine: MachineRule,

    /// Appends an export also to an empty store, which would be restored otherwise.
    #[arg(long)]
    append: bool,
}

/// How events of a type that has a state machine are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MachineRule {
    /// Each line is a transition of its type's machine, which judges it. The event type is the
    /// transition's name; a payload with toState is that of a transition, any other its context.
    Check,
    /// Transitions are recorded unchecked, for a history that was made elsewhere: their payload
    /// must hold toState. Other events are recorded as they are.
    Trust,
    /// Not at all: only types without a machine are imported.
    None,
}

impl Import {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> anyhow::Result<()> {
        let opened = import::items(&self.file, self.options());
        let (items, read) = opened.map_err(|error| match error.is_usage() {
            true => Failure::new(Kind::Usage, error.to_string()).into(),
            false => anyhow::Error::from(error),
        })?;
        let mut items = items.peekable();
        let first = match items.peek() {
            Some(Ok(Item::Event(event))) => event.import.place,
            _ => None,
        };
        let items: Items = Box::new(items);
        let what = match read.bytes_total() {
            Some(_) => "imported",
            None => "imported so far:",
        };
        let progress = Progress::of_bytes(output, what, read.bytes_total());
        let may_restore = !self.append && self.machine != MachineRule::Check;
        if first.is_some() && may_restore && is_empty(client).await? {
            return restore::restore(client, output, items, &read, progress).await;
        }
        let is_strict = self.strict;
        let rule = match self.machine {
            MachineRule::Check => None,
            MachineRule::Trust => Some(Rule::Trust),
            MachineRule::None => Some(self.no_machine(client).await?),
        };
        let outcome = match rule {
            Some(rule) => bulk::send(client, items, rule, is_strict, &read, &progress).await?,
            None => check::send(client, items, is_strict, &read, &progress).await?,
        };
        drop(progress);
        outcome.show(output)
    }

    /// The types that have a machine. Where all lines are of one of them, none needs to be read.
    async fn no_machine(&self, client: &Client) -> anyhow::Result<Rule> {
        let machines: Value = client.get_as(Path::new(&["machines"]).as_str()).await?;
        let machines = machines["machines"].as_array().into_iter().flatten();
        let types = machines.filter_map(|machine| machine["type"].as_str());
        let types: HashSet<String> = types.map(str::to_owned).collect();
        match &self.aggregate_type {
            Some(aggregate_type) if types.contains(aggregate_type) => {
                let reason = bulk::has_machine(aggregate_type);
                let message = reason.replacen("append it", "import as --type says", 1);
                Err(Failure::new(Kind::Usage, message).into())
            }
            _ => Ok(Rule::RefuseTypes(types)),
        }
    }

    fn options(&self) -> import::Options {
        import::Options {
            format: self.format,
            aggregate_type: self.aggregate_type.clone(),
            fields: import::Fields {
                case: self.case.clone(),
                event_type: self.event_type.clone(),
                timestamp: self.timestamp.clone(),
                actor: self.actor.clone(),
            },
            separator: self.separator,
            offset: self.offset,
            time_format: self.time_format.clone(),
        }
    }
}

async fn is_empty(client: &Client) -> anyhow::Result<bool> {
    let info: Value = client.get_as(Path::new(&["info"]).as_str()).await?;
    Ok(info["head"].as_u64() == Some(0))
}
