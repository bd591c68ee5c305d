//! What became of the lines of a file.

use serde_json::{Value, json};

use crate::client::{Failure, Kind};
use crate::output::{Output, Table, clean, counted};

/// Refused lines that are named one by one; the rest is counted.
const REFUSED_SHOWN_MAX: usize = 1_000;

/// How the service begins what it says about a line.
const FAILED_TO: &str = "failed to ";

#[derive(Default)]
pub(super) struct Outcome {
    pub(super) new: u64,
    pub(super) known: u64,
    pub(super) refused: u64,
    /// Events of Retold's own streams.
    pub(super) passed_over: u64,
    reasons: Vec<(u64, String)>,
}

impl Outcome {
    /// Counts a refused line; the reason finishes the sentence "failed to …".
    pub(super) fn refuse(&mut self, line: u64, reason: String) {
        self.refused += 1;
        if self.reasons.len() < REFUSED_SHOWN_MAX {
            let reason = match reason.strip_prefix(FAILED_TO) {
                Some(reason) => reason.to_owned(),
                None => reason,
            };
            self.reasons.push((line, reason));
        }
    }

    /// Shows the counts, and names the refused lines.
    ///
    /// # Errors
    /// A failure where there are any.
    pub(super) fn show(mut self, output: &Output) -> anyhow::Result<()> {
        self.reasons.sort();
        if output.json {
            let lines: Vec<Value> = self
                .reasons
                .iter()
                .map(|(line, reason)| json!({"line": line, "detail": format!("{FAILED_TO}{reason}")}))
                .collect();
            let whole = json!({
                "new": self.new,
                "duplicate": self.known,
                "refused": self.refused,
                "passedOver": self.passed_over,
                "refusedLines": lines,
            });
            output.line(whole.to_string())?;
        } else {
            let mut rows = vec![
                ("new".into(), self.new.to_string()),
                ("known already".into(), self.known.to_string()),
                ("refused".into(), self.refused.to_string()),
            ];
            if self.passed_over > 0 {
                let name = "passed over (of Retold's own streams)".into();
                rows.push((name, self.passed_over.to_string()));
            }
            output.table(&Table::of_fields(rows))?;
            for (line, reason) in &self.reasons {
                eprintln!("line {line}: {FAILED_TO}{}", clean(reason));
            }
            let unnamed = self.refused - self.reasons.len() as u64;
            if unnamed > 0 {
                eprintln!("and {unnamed} more");
            }
        }
        if self.refused == 0 {
            return Ok(());
        }
        let lines = counted(self.refused, "line", "lines");
        let hint = "mend them and import the file again: what is known already is not added twice";
        Err(Failure::new(Kind::Failed, format!("import {lines}"))
            .hint(hint)
            .into())
    }
}
