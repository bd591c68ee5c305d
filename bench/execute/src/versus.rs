//! Retold beside a peer: rounds in turn, each by a process of its own on a fresh folder, and the
//! disk's own limit before each.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use measuring::{Figures, Limit};

use crate::report::{Table, median, shown};

/// How many call at once.
const CALLERS: [usize; 2] = [1, 64];

/// How the rounds are played.
#[derive(Args, Debug)]
pub(crate) struct Versus {
    /// The peer's program, which plays a round of its own
    #[arg(long)]
    peer: PathBuf,
    /// Rounds of each side; the medians are told
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a round lasts
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How many accounts there are
    #[arg(long, default_value_t = 10_000)]
    accounts: usize,
}

impl Versus {
    /// Plays all rounds.
    pub(crate) fn measure(
        &self,
        folder: &Path,
        limit: &Limit,
        table: &mut Table,
    ) -> anyhow::Result<()> {
        let ours = std::env::current_exe().context("find this program")?;
        for callers in CALLERS {
            let (mut retold, mut peer) = (Vec::new(), Vec::new());
            let mut overwrites = Vec::new();
            for nth in 0..self.rounds {
                // Who goes first changes, so that neither always follows the other.
                for turn in 0..2 {
                    overwrites.push(limit.overwrite()?.as_secs_f64());
                    if (nth + turn) % 2 == 0 {
                        let mut program = Command::new(&ours);
                        program.arg("round");
                        retold.push(self.play(program, folder, callers)?);
                    } else {
                        peer.push(self.play(Command::new(&self.peer), folder, callers)?);
                    }
                }
            }
            let rate = |side: &[Figures]| middle(side, |figures| figures.events_per_second);
            let ratio = rate(&retold) / rate(&peer);
            let overwrite = Duration::from_secs_f64(median(overwrites));
            for (name, side, ratio) in [
                ("Retold", &retold, format!("{ratio:.2}")),
                ("cqrs-es, sqlite-es", &peer, "1".to_owned()),
            ] {
                let latency = |of: fn(&Figures) -> f64| {
                    shown(Duration::from_secs_f64(middle(side, of) / 1e9))
                };
                table.row([
                    callers.to_string(),
                    name.to_owned(),
                    format!("{:.0}", rate(side)),
                    latency(|figures| figures.p50_ns as f64),
                    latency(|figures| figures.p99_ns as f64),
                    ratio,
                    shown(overwrite),
                    format!("{:.2}", rate(side) * overwrite.as_secs_f64()),
                ]);
            }
        }
        Ok(())
    }

    /// Lets a program play a round, and reads the figures that it prints.
    fn play(&self, mut program: Command, parent: &Path, callers: usize) -> anyhow::Result<Figures> {
        let folder = tempfile::tempdir_in(parent).context("make a folder for a round")?;
        program
            .arg("--folder")
            .arg(folder.path())
            .args(["--callers", &callers.to_string()])
            .args(["--seconds", &self.seconds.to_string()])
            .args(["--accounts", &self.accounts.to_string()]);
        let played = program
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("start {}", program.get_program().display()))?;
        ensure!(
            played.status.success(),
            "play a round of {} ({})",
            program.get_program().display(),
            played.status
        );
        serde_json::from_slice(&played.stdout).context("read the figures of a round")
    }
}

fn middle(side: &[Figures], of: impl Fn(&Figures) -> f64) -> f64 {
    median(side.iter().map(of).collect())
}
