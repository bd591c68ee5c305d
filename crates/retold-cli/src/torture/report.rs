//! What the torture came to, and what that shows and does not show.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::check::Broken;
use crate::client::{Failure, Kind};
use crate::output::{Output, Table, counted};

/// What is shown when nothing was lost.
const SHOWN: &str = "\
What this shows: in these rounds a server that was killed under load lost nothing that it had
acknowledged, had shown nothing that it then lost, and a retry with the same event ids settled every
call that had got no answer.";

/// What no torture of this kind can show.
const NOT_SHOWN: &str = "\
What it does not show: what a power cut does. The operating system outlived each kill, and with it
everything that had been written, synced or not; so does a disk that says it has synced and has not.";

/// The numbers.
#[derive(Debug)]
pub(super) struct Report {
    seed: u64,
    clients: usize,
    pub(super) rounds: u64,
    pub(super) took: Duration,
    acknowledged: u64,
    /// Those of the store that is tortured now.
    pub(super) acknowledged_here: u64,
    seen: u64,
    pub(super) seen_here: u64,
    pub(super) unknown_written: u64,
    pub(super) unknown_not_written: u64,
    pub(super) openings: Vec<Duration>,
    pub(super) broken: Broken,
    /// A last look at every frame of a store found damage.
    pub(super) damaged: bool,
}

impl Report {
    pub(super) fn new(seed: u64, clients: usize) -> Report {
        Report {
            seed,
            clients,
            rounds: 0,
            took: Duration::ZERO,
            acknowledged: 0,
            acknowledged_here: 0,
            seen: 0,
            seen_here: 0,
            unknown_written: 0,
            unknown_not_written: 0,
            openings: Vec::new(),
            broken: Broken::default(),
            damaged: false,
        }
    }

    /// Counts what a store held that is done with.
    pub(super) fn store_done(&mut self) {
        self.acknowledged += std::mem::take(&mut self.acknowledged_here);
        self.seen += std::mem::take(&mut self.seen_here);
    }

    pub(super) fn is_good(&self) -> bool {
        self.broken.is_none() && !self.damaged
    }

    /// Shows it; `folder` where the stores were kept.
    ///
    /// # Errors
    /// A failure that is damage where anything was not as promised.
    pub(super) fn show(mut self, output: &Output, folder: Option<&Path>) -> anyhow::Result<()> {
        self.openings.sort();
        let acknowledged = self.acknowledged + self.acknowledged_here;
        let seen = self.seen + self.seen_here;
        let median = self.openings.get(self.openings.len() / 2).copied();
        let slowest = self.openings.last().copied();
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1_000.0);
        let Broken {
            lost,
            duplicated,
            out_of_order,
            stray,
            unseen,
            holes,
            ..
        } = self.broken;
        if output.json {
            let whole = json!({
                "seed": self.seed,
                "clients": self.clients,
                "rounds": self.rounds,
                "seconds": self.took.as_secs_f64(),
                "acknowledged": acknowledged,
                "lost": lost,
                "duplicated": duplicated,
                "outOfOrder": out_of_order,
                "stray": stray,
                "holes": holes,
                "seenByReader": seen,
                "seenAndGone": unseen,
                "unknownWritten": self.unknown_written,
                "unknownNotWritten": self.unknown_not_written,
                "openingMillisMedian": millis(median),
                "openingMillisMax": millis(slowest),
                "damaged": self.damaged,
                "details": self.broken.details,
                "shows": SHOWN.replace('\n', " "),
                "doesNotShow": NOT_SHOWN.replace('\n', " "),
                "folder": folder,
            });
            output.line(whole.to_string())?;
        } else {
            let number = |number: u64| indicatif::HumanCount(number).to_string();
            let time = |time| match millis(time) {
                Some(millis) => format!("{millis:.0} ms"),
                None => "-".into(),
            };
            let unknown = self.unknown_written + self.unknown_not_written;
            let rows = [
                ("rounds, each with a kill", number(self.rounds)),
                ("seconds", format!("{:.0}", self.took.as_secs_f64())),
                ("clients", number(self.clients as u64)),
                ("events acknowledged", number(acknowledged)),
                ("lost", number(lost)),
                ("there twice", number(duplicated)),
                ("out of order", number(out_of_order)),
                ("sent by nobody", number(stray)),
                ("missing positions", number(holes)),
                ("seen by a reader", number(seen)),
                ("seen and gone", number(unseen)),
                ("calls without an answer", number(unknown)),
                ("  of these written", number(self.unknown_written)),
                ("opening, median", time(median)),
                ("opening, slowest", time(slowest)),
                ("seed", self.seed.to_string()),
            ];
            let rows = rows.map(|(name, value)| (name.to_owned(), value));
            output.table(&Table::of_fields(rows.into()))?;
            for detail in &self.broken.details {
                output.line(format!("- {detail}"))?;
            }
            let shown = if self.is_good() && self.rounds > 0 {
                SHOWN
            } else {
                "What this shows: see above."
            };
            output.line(format!("\n{shown}\n\n{NOT_SHOWN}"))?;
        }
        if self.is_good() {
            return Ok(());
        }
        let message = match self.broken.is_none() {
            true => "find the log whole after the kills".to_owned(),
            false => format!(
                "find everything as it was acknowledged: {} broken",
                counted(
                    lost + duplicated + out_of_order + stray + unseen + holes,
                    "promise was",
                    "promises were"
                )
            ),
        };
        let failure = Failure::new(Kind::Damage, message);
        Err(match folder {
            Some(folder) => failure.hint(format!("the store is kept in {}", folder.display())),
            None => failure,
        }
        .into())
    }
}
