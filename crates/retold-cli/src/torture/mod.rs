//! `retold torture`: kills a real server under load, again and again, on the user's own disk, and
//! looks each time whether everything that was acknowledged is there: once, and in order.

mod check;
mod reader;
mod report;
mod server;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use retold_server::stop_signal;
use tokio::task::JoinSet;
use uuid::Uuid;

use self::reader::Reader;
use self::report::Report;
use self::server::Server;
use self::writer::{Resolved, Writer};
use crate::chance::Chance;
use crate::client::{Client, Failure, Kind, Location};
use crate::output::{Output, Progress};

/// Rounds unless told otherwise: a minute or less.
const ROUNDS: u64 = 20;

/// How long the load lasts before a kill, in milliseconds: short enough for many kills, and
/// sometimes long enough for much to be written.
const LOAD_MS: (u64, u64) = (50, 2_000);

/// Events of one store, after which the next round begins with a new one: all of them are read
/// after each kill.
const STORE_EVENTS_MAX: usize = 200_000;

const EXAMPLES: &str = "\
Examples:
  retold torture                                20 rounds on the disk of ./data
  retold --store /srv/retold torture --duration 10m --clients 64
  retold torture --rounds 200 --json > report.json

It works in a folder of its own below the store's folder, touches nothing else there, and removes
it when everything was found. Exit code 5 says that something was not.

It shows what happens when a process dies. It cannot show what happens when the power fails: the
operating system lives on and keeps what was written, synced or not.";

/// Kills a server under load, again and again, and looks whether anything was lost.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Torture {
    /// How often the server is killed.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,

    /// How long it goes on, such as 90s or 10m; whichever of the two comes first ends it.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,

    /// How many clients write side by side; one more reads.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
    clients: u16,

    /// What decides when the kills come and what is written; another one each time otherwise.
    #[arg(long)]
    seed: Option<u64>,

    /// Keeps the folder also when everything was found.
    #[arg(long)]
    keep: bool,
}

/// Reads a duration such as 90s.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "write it like 90s, 10m or 2h".to_owned())?;
    let duration = Duration::try_from(span).map_err(|error| error.to_string())?;
    match duration.is_zero() {
        true => Err("it must be longer than nothing".into()),
        false => Ok(duration),
    }
}

impl Torture {
    pub(crate) async fn run(self, store: &Location, output: &Output) -> anyhow::Result<()> {
        let parent = store.folder("torture")?;
        let (random, _) = Uuid::now_v7().as_u64_pair();
        let seed = self.seed.unwrap_or(random);
        let folder = fresh_folder(parent)?;
        output.note(&format!(
            "killing servers of {}; the seed is {seed}",
            folder.display()
        ));
        let rounds = match (self.rounds, self.duration) {
            (None, None) => Some(ROUNDS),
            (rounds, _) => rounds,
        };
        let what = match rounds {
            Some(_) => "killed",
            None => "killed so far:",
        };
        let progress = Progress::new(output, what, rounds);
        let mut torment = Torment::begin(&folder, seed, self.clients.into()).await?;
        let stop = stop_signal().context("listen for signals")?;
        tokio::pin!(stop);
        let began = Instant::now();
        let is_over = |report: &Report| {
            rounds.is_some_and(|rounds| report.rounds >= rounds)
                || self
                    .duration
                    .is_some_and(|longest| began.elapsed() >= longest)
        };
        let mut is_interrupted = false;
        while !is_over(&torment.report) && torment.report.broken.is_none() && !is_interrupted {
            tokio::select! {
                done = torment.round() => done.map_err(|error| kept(error, &folder))?,
                () = &mut stop => is_interrupted = true,
            }
            progress.set(torment.report.rounds);
        }
        // A round that was broken off leaves clients that know nothing.
        let mut report = match is_interrupted {
            true => torment.report,
            false => torment
                .finish()
                .await
                .map_err(|error| kept(error, &folder))?,
        };
        drop(progress);
        report.took = began.elapsed();
        let is_removed = report.broken.is_none() && !self.keep;
        if is_removed {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("remove {}", folder.display()))?;
        }
        report.show(output, (!is_removed).then_some(folder.as_path()))
    }
}

/// An error of a round, with where to look.
fn kept(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    let message = format!("{error:#}");
    let kind = error
        .downcast_ref::<Failure>()
        .map_or(Kind::Failed, |failure| failure.kind);
    let hint = format!("the store is kept in {}", folder.display());
    Failure::new(kind, message).hint(hint).into()
}

/// A folder that did not exist.
fn fresh_folder(parent: &Path) -> anyhow::Result<PathBuf> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let names = (1..).map(|nth| parent.join(format!("torture-{now}-{nth}")));
    std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    for folder in names {
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("make {}", folder.display()));
            }
        }
    }
    unreachable!("there are more numbers than folders")
}

/// The rounds.
struct Torment {
    folder: PathBuf,
    seed: u64,
    clients: usize,
    chance: Chance,
    stores: u64,
    server: Server,
    writers: Vec<Writer>,
    reader: Reader,
    report: Report,
}

impl Torment {
    async fn begin(folder: &Path, seed: u64, clients: usize) -> anyhow::Result<Torment> {
        let server = Server::start(&store_folder(folder, 1)).await?;
        Ok(Torment {
            folder: folder.to_owned(),
            seed,
            clients,
            chance: Chance::new(seed),
            stores: 1,
            server,
            writers: (0..clients).map(|nth| Writer::new(nth, seed)).collect(),
            reader: Reader::default(),
            report: Report::new(seed, clients),
        })
    }

    /// Load, a kill, a new start, and a look at everything.
    async fn round(&mut self) -> anyhow::Result<()> {
        let client = Arc::new(Client::of_server(&self.server.url));
        let mut working = JoinSet::new();
        for mut writer in self.writers.drain(..) {
            let client = Arc::clone(&client);
            working.spawn(async move {
                let done = writer.write(&client).await;
                (writer, done)
            });
        }
        let mut reader = std::mem::take(&mut self.reader);
        let reading = tokio::spawn({
            let client = Arc::clone(&client);
            async move {
                let done = reader.read(&client).await;
                (reader, done)
            }
        });
        let load = self.chance.between(LOAD_MS.0, LOAD_MS.1);
        tokio::time::sleep(Duration::from_millis(load)).await;
        self.server.kill()?;
        while let Some(worked) = working.join_next().await {
            let (writer, done) = worked.context("run a client")?;
            done?;
            self.writers.push(writer);
        }
        let (reader, done) = reading.await.context("run a client")?;
        done?;
        self.reader = reader;

        self.server = Server::start(&store_folder(&self.folder, self.stores)).await?;
        self.report.openings.push(self.server.opened_in);
        let client = Client::of_server(&self.server.url);
        // Before the retries, which add what was not written.
        let broken = check::check(&client, &self.writers, &self.reader).await?;
        self.report.broken.add(broken);
        for writer in &mut self.writers {
            match writer.resolve(&client).await? {
                Resolved::Nothing => {}
                Resolved::Written => self.report.unknown_written += 1,
                Resolved::NotWritten => self.report.unknown_not_written += 1,
            }
        }
        self.report.rounds += 1;
        let acknowledged: usize = self.writers.iter().map(|w| w.acknowledged.len()).sum();
        self.report.acknowledged_here = acknowledged as u64;
        self.report.seen_here = self.reader.seen.len() as u64;
        if acknowledged > STORE_EVENTS_MAX {
            self.next_store().await?;
        }
        Ok(())
    }

    /// Looks at a store for the last time: what the retries wrote, and every byte of the log.
    async fn close_store(&mut self) -> anyhow::Result<()> {
        let client = Client::of_server(&self.server.url);
        let broken = check::check(&client, &self.writers, &self.reader).await?;
        self.report.broken.add(broken);
        self.server.kill()?;
        let verified = retold::recovery::verify(store_folder(&self.folder, self.stores)).await;
        let verified = verified.map_err(Failure::from)?;
        if !verified.is_whole() {
            self.report.damaged = true;
        }
        self.report.store_done();
        Ok(())
    }

    async fn next_store(&mut self) -> anyhow::Result<()> {
        self.close_store().await?;
        if !self.report.is_good() {
            return Ok(());
        }
        let old = store_folder(&self.folder, self.stores);
        std::fs::remove_dir_all(&old).with_context(|| format!("remove {}", old.display()))?;
        self.stores += 1;
        self.server = Server::start(&store_folder(&self.folder, self.stores)).await?;
        let seed = self.seed.wrapping_add(self.stores);
        self.writers = (0..self.clients)
            .map(|nth| Writer::new(nth, seed))
            .collect();
        self.reader = Reader::default();
        Ok(())
    }

    async fn finish(mut self) -> anyhow::Result<Report> {
        if self.report.broken.is_none() {
            self.close_store().await?;
        }
        Ok(self.report)
    }
}

fn store_folder(folder: &Path, nth: u64) -> PathBuf {
    folder.join(format!("store-{nth}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_a_length() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for text in ["", "10", "0s", "-5m", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
