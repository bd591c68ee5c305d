//! Everything that a run gave, as it is kept in JSON, and how it is written down.

mod chart;
mod markdown;
mod table;

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use session::{Figures, Point};

use self::chart::Chart;
use crate::contestant::{Contestant, Place};
use crate::disk::DiskLimits;
use crate::machine::Machine;

/// What a run gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) revision: String,
    pub(crate) command: String,
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    pub(crate) rounds: usize,
    pub(crate) machine: Machine,
    pub(crate) disk: DiskLimits,
    pub(crate) participants: Vec<Participant>,
    pub(crate) measured: Vec<Measured>,
    pub(crate) failures: Vec<Failure>,
}

/// A store that took part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Participant {
    pub(crate) contestant: Contestant,
    pub(crate) version: String,
}

/// What a store gave at a point.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) point: Point,
    pub(crate) contestant: Contestant,
    /// Of each round.
    pub(crate) rounds: Vec<Figures>,
    /// What overwriting a block and syncing took just before, in each round.
    pub(crate) overwrites_ns: Vec<f64>,
}

/// A store that took part no longer, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) contestant: Contestant,
    pub(crate) error: String,
}

impl Report {
    /// Keeps what a store gave in one round.
    pub(crate) fn add(
        &mut self,
        point: Point,
        contestant: Contestant,
        figures: Figures,
        overwrite_ns: f64,
    ) {
        let is_it = |kept: &&mut Measured| kept.point == point && kept.contestant == contestant;
        match self.measured.iter_mut().find(is_it) {
            Some(kept) => {
                kept.rounds.push(figures);
                kept.overwrites_ns.push(overwrite_ns);
            }
            None => self.measured.push(Measured {
                point,
                contestant,
                rounds: vec![figures],
                overwrites_ns: vec![overwrite_ns],
            }),
        }
    }

    /// Keeps, and tells, that a store failed.
    pub(crate) fn fail(&mut self, contestant: Contestant, error: &anyhow::Error) {
        let error = format!("{error:#}");
        eprintln!(
            "{} takes no further part: failed to {error}",
            contestant.label()
        );
        self.failures.push(Failure { contestant, error });
    }

    /// Writes the report and its pictures into a folder.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).context("make a folder for the report")?;
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).with_context(|| format!("write {}", file.display()))
        };
        for chart in Chart::of(self) {
            write(&chart.file, chart.to_string())?;
        }
        write("peers.md", markdown::text(self))
    }

    /// The medians of a store at a point.
    fn medians(&self, point: Point, contestant: Contestant) -> Option<Medians> {
        let mut kept = self.measured.iter();
        let kept = kept.find(|kept| kept.point == point && kept.contestant == contestant)?;
        let of = |get: fn(&Figures) -> Option<u64>| {
            let values: Option<Vec<f64>> = kept
                .rounds
                .iter()
                .map(|round| Some(get(round)? as f64))
                .collect();
            values.map(median)
        };
        Some(Medians {
            value: median(kept.rounds.iter().map(|round| round.value).collect()),
            p50_ns: of(|figures| figures.p50_ns),
            p99_ns: of(|figures| figures.p99_ns),
            overwrite_ns: median(kept.overwrites_ns.clone()),
        })
    }

    /// What overwriting a block and syncing took, over the whole run.
    fn overwrite_ns(&self) -> f64 {
        let all = self.measured.iter().flat_map(|kept| &kept.overwrites_ns);
        median(all.copied().collect())
    }

    /// Who took part in a place, in the order of the tables.
    fn participants(&self, place: Place) -> impl Iterator<Item = Contestant> {
        let all = self
            .participants
            .iter()
            .map(|participant| participant.contestant);
        all.filter(move |contestant| contestant.place() == place)
    }
}

/// The medians over the rounds.
#[derive(Debug, Clone, Copy)]
struct Medians {
    value: f64,
    p50_ns: Option<f64>,
    p99_ns: Option<f64>,
    overwrite_ns: f64,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
