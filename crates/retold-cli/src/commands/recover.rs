//! `retold recover`: explains what is wrong with a folder and what each decision about it means;
//! and makes the decision that was asked for. Nothing is ever deleted.

use std::path::Path;

use retold::engine::{Recovered, Verified};
use retold::recovery::{accept_damage, accept_loss};
use serde_json::{Value, json};

use super::verify::{is_in_use, is_sound, look, show, to_json};
use crate::client::{Failure, Location};
use crate::output::{Output, Table, counted};

const EXAMPLES: &str = "\
Examples:
  retold recover                                explains; changes nothing
  retold recover --accept-loss --reason 'restored from last night, 2024-03-01'
  retold recover --accept-damage

Try a backup first: what is accepted is given up. A decision becomes a part of the log and can be
read in it for ever; nothing is deleted. The store must not be in use.";

/// What the end of a log means that is missing.
const LOSS: &str = "\
Its newest part is missing, or an older copy was put in its place. Appends are refused, since new
events would take the places of lost ones.

  Better: put the missing files back from a backup, or from wherever they were moved.
  Otherwise: --accept-loss gives the missing part up. The log goes on behind its last event under
  a new id, so that whoever followed it notices; what was derived from the lost part is ignored.";

/// What damage means.
const DAMAGE: &str = "\
Some of it is not as it was written. Everything else can be read; appends are refused, since what
cannot be read cannot be checked for events that are known already.

  Better: put the damaged file back from a backup: a sealed segment never changes, so any copy of
  it that was made since it was sealed is as good as new.
  Otherwise: --accept-damage gives the lost events up. Their positions are told as lost, never
  skipped; their streams answer that they are corrupt; everything else goes on. A retry of a lost
  event whose id is not known would be written again.";

/// Explains what can be done about a store that is not whole, and does it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Recover {
    /// Gives up the newest part of the log, which is missing.
    #[arg(long, conflicts_with = "accept_damage")]
    accept_loss: bool,

    /// Gives up the events in damaged places.
    #[arg(long)]
    accept_damage: bool,

    /// What is known of how it came about; kept in the log with the decision.
    #[arg(long, value_name = "TEXT", requires = "accept_loss")]
    reason: Option<String>,
}

impl Recover {
    pub(crate) async fn run(self, store: &Location, output: &Output) -> anyhow::Result<()> {
        let folder = store.existing_folder("recover")?;
        let recovered = match (self.accept_loss, self.accept_damage) {
            (true, _) => {
                let reason = self.reason.unwrap_or_else(|| "none was given".into());
                accept_loss(folder, reason).await
            }
            (_, true) => accept_damage(folder).await,
            _ => return explain(folder, output).await,
        };
        let recovered = recovered.map_err(|error| {
            let hint = match is_in_use(&error) {
                true => "end the server or command that has it open first".to_owned(),
                false => format!("retold --store {} recover explains", folder.display()),
            };
            Failure::from(error).hint(hint)
        })?;
        tell(&recovered, self.accept_damage, output)
    }
}

async fn explain(folder: &Path, output: &Output) -> anyhow::Result<()> {
    let examined = look(folder, output).await?;
    let log = &examined.log;
    if output.json {
        let mut found = to_json(log, examined.side_store.as_ref());
        found["remedies"] = remedies(log).into();
        return output.line(found.to_string());
    }
    if is_sound(log) {
        output.line("There is nothing to decide: the log is as it was written.")?;
        if log.unfinished_bytes > 0 {
            output.line(
                "The unfinished bytes at its end are moved aside by itself when it is opened.",
            )?;
        }
        return Ok(());
    }
    show(&examined, output)?;
    if log.lost_tail.is_some() || log.ahead.is_some() {
        output.line(format!("\n{LOSS}"))?;
    }
    if !log.damage.is_empty() {
        output.line(format!("\n{DAMAGE}"))?;
    }
    output.line("\nNothing was changed.")
}

/// The switches that would do something.
fn remedies(log: &Verified) -> Vec<Value> {
    let has_loss = log.lost_tail.is_some() || log.ahead.is_some();
    let loss = has_loss.then(|| json!("--accept-loss"));
    let damage = (!log.damage.is_empty()).then(|| json!("--accept-damage"));
    loss.into_iter().chain(damage).collect()
}

fn tell(recovered: &Recovered, was_damage: bool, output: &Output) -> anyhow::Result<()> {
    let lost = recovered.lost.iter();
    if output.json {
        let lost = lost.map(|lost| {
            json!({
                "position": lost.position,
                "stream": lost.stream.as_ref().map(ToString::to_string),
                "sequenceNumber": lost.sequence_number,
                "eventId": lost.event_id,
            })
        });
        let whole = json!({
            "logId": recovered.log_id,
            "head": recovered.head,
            "lost": lost.collect::<Vec<_>>(),
        });
        return output.line(whole.to_string());
    }
    if !was_damage {
        return output.line(format!(
            "The loss is accepted: the log goes on behind position {} under the id {}.",
            recovered.head, recovered.log_id
        ));
    }
    output.line(format!(
        "The damage is accepted: {} given up, and told as lost from now on.",
        counted(recovered.lost.len() as u64, "event is", "events are")
    ))?;
    if recovered.lost.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["POSITION", "STREAM", "#", "EVENT ID"]);
    for lost in lost {
        let text = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        table.push(vec![
            lost.position.to_string(),
            text(lost.stream.as_ref().map(ToString::to_string)),
            text(lost.sequence_number.map(|number| number.to_string())),
            text(lost.event_id.map(|id| id.to_string())),
        ]);
    }
    output.table(&table)
}
