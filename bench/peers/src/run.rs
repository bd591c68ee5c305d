//! The run: every store is filled; then, round by round and point by point, all are measured in
//! turn, so that what disturbs the machine disturbs all of them alike.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use measuring::Limit;
use session::Point;

use crate::contestant::Contestant;
use crate::disk::DiskLimits;
use crate::machine::Machine;
use crate::report::{Participant, Report};
use crate::seat::Seat;

/// What is measured once, after filling.
const ONCE: [Point; 2] = [Point::Rest, Point::Memory];

/// What is measured in each round.
const ROUND: [Point; 13] = [
    one(1),
    one(16),
    one(256),
    batch(1),
    batch(4),
    Point::Bulk { appenders: 1 },
    Point::Bulk { appenders: 4 },
    Point::Contiguous { cold: false },
    Point::Scattered { cold: false },
    Point::Log,
    Point::Live,
    Point::Contiguous { cold: true },
    Point::Scattered { cold: true },
];

/// How long all stores are left alone before they are read, so that what each does behind an
/// append is done: merging, compacting, writing back.
const REST: Duration = Duration::from_secs(3);

/// The first point at which stores are read.
const READS_BEGIN: Point = Point::Contiguous { cold: false };

const fn one(appenders: usize) -> Point {
    Point::Append {
        appenders,
        events: 1,
    }
}

const fn batch(appenders: usize) -> Point {
    Point::Append {
        appenders,
        events: session::BATCH,
    }
}

/// How it is measured.
#[derive(Args)]
pub(crate) struct Run {
    /// Events that each store is filled with
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100_000..))]
    events: u64,
    /// How long a point lasts
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Rounds; the medians are reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only these stores, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<Contestant>,
    /// Where folders for the stores are made, on the disk that is to be measured; below the
    /// folder in which cargo builds unless given
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Which commit this checkout is
    #[arg(long, default_value = "unknown")]
    revision: String,
}

impl Run {
    /// Measures everything.
    pub(crate) fn measure(&self) -> anyhow::Result<Report> {
        let parent = match &self.folder {
            Some(folder) => folder.clone(),
            None => std::env::current_dir()?.join("bench/target/peers"),
        };
        fs::create_dir_all(&parent).context("make a folder for the stores")?;
        let folder = tempfile::tempdir_in(parent).context("make a folder for the stores")?;
        let mut report = Report {
            revision: self.revision.clone(),
            command: self.command(),
            events: self.events,
            seconds: self.seconds,
            rounds: self.rounds,
            machine: Machine::ask()?,
            disk: DiskLimits::measure(folder.path())?,
            participants: Vec::new(),
            measured: Vec::new(),
            failures: Vec::new(),
        };
        let mut seats = Vec::new();
        for contestant in Contestant::ALL {
            if !self.only.is_empty() && !self.only.contains(&contestant) {
                continue;
            }
            match Seat::take(contestant, folder.path(), self.seconds) {
                Ok(seat) => {
                    report.participants.push(Participant {
                        contestant,
                        version: seat.version.clone(),
                    });
                    seats.push(seat);
                }
                Err(error) => report.fail(contestant, &error),
            }
        }
        let limit = Limit::new(folder.path())?;
        let load = Point::Load {
            events: self.events,
        };
        for point in [load].into_iter().chain(ONCE) {
            turn(point, &mut seats, &limit, &mut report)?;
        }
        for _ in 0..self.rounds {
            for point in ROUND {
                if point == READS_BEGIN {
                    thread::sleep(REST);
                }
                turn(point, &mut seats, &limit, &mut report)?;
            }
        }
        ensure!(!seats.is_empty(), "measure anything: no store is left");
        Ok(report)
    }

    fn command(&self) -> String {
        let mut command = format!(
            "cargo xtask bench peers --events {} --seconds {} --rounds {}",
            self.events, self.seconds, self.rounds
        );
        if !self.only.is_empty() {
            let names: Vec<_> = self.only.iter().map(|store| store.name()).collect();
            command.push_str(&format!(" --only {}", names.join(",")));
        }
        command
    }
}

/// One point of every store. Who goes first changes from point to point. A store that fails
/// takes no further part.
fn turn(
    point: Point,
    seats: &mut Vec<Seat>,
    limit: &Limit,
    report: &mut Report,
) -> anyhow::Result<()> {
    if !seats.is_empty() {
        seats.rotate_left(1);
    }
    let mut failed = Vec::new();
    for seat in seats.iter_mut() {
        let overwrite_ns = limit.overwrite()?.as_nanos() as f64;
        let contestant = seat.contestant;
        match seat.measure(point) {
            Ok(Some(figures)) => {
                eprintln!("{}: {point:?}: {figures:?}", contestant.label());
                report.add(point, contestant, figures, overwrite_ns);
            }
            Ok(None) => {}
            Err(error) => {
                report.fail(contestant, &error);
                failed.push(contestant);
            }
        }
    }
    seats.retain(|seat| !failed.contains(&seat.contestant));
    Ok(())
}
